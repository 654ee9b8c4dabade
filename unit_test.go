package main

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/crypto/x509roots/fallback/bundle"

	"crypto/x509"
)

// TestTheSystemdUnitIsHardened holds the directives that docs/deploy-linux.md promises.
func TestTheSystemdUnitIsHardened(t *testing.T) {
	t.Parallel()
	unit, err := os.ReadFile("docs/chartroom.service")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(unit), "\n")
	for _, wanted := range []string{"DynamicUser=yes", "ProtectSystem=strict", "ProtectHome=yes", "PrivateTmp=yes", "PrivateDevices=yes", "NoNewPrivileges=yes",
		"CapabilityBoundingSet=", "AmbientCapabilities=", "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX", "MemoryDenyWriteExecute=yes",
		"RestrictNamespaces=yes", "LockPersonality=yes", "SystemCallArchitectures=native", "SystemCallFilter=@system-service",
		"SystemCallFilter=~@privileged @resources", "ProtectKernelModules=yes", "ProtectKernelTunables=yes", "ProtectControlGroups=yes", "LimitCORE=0",
		"EnvironmentFile=/etc/chartroom/chartroom.env", "ExecStart=/usr/local/bin/chartroom serve", "TimeoutStopSec=10", "KillSignal=SIGTERM"} {
		found := 0
		for _, line := range lines {
			if line == wanted {
				found++
			}
		}
		if found != 1 {
			t.Errorf("%s stands there %d times", wanted, found)
		}
	}
	if m := regexp.MustCompile(`(?m)^(Environment|User|ReadWritePaths|StateDirectory)=.*`).FindString(string(unit)); m != "" {
		t.Errorf("%s: it needs no account, writes nothing, and secrets do not stand in a unit, which everybody may read", m)
	}
}

// TestTheImageTakesFilesByName: a builder that reads no .dockerignore must not find a way for .env, .git or tests into it.
func TestTheImageTakesFilesByName(t *testing.T) {
	t.Parallel()
	recipe, err := os.ReadFile("Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{"go.mod": true, "go.sum": true, "main.go": true, "embed.go": true, "templ.go": true, ".git/shallo[w]": true,
		"assets": true, "db": true, "views": true, "handlers": true, ".aptible.yml": true, "/chartroom": true, "--from=build": true}
	copies := regexp.MustCompile(`(?m)^(?:COPY|ADD) (.*) \S+$`).FindAllStringSubmatch(string(recipe), -1)
	if len(copies) < 7 {
		t.Fatalf("found only %d copies", len(copies))
	}
	for _, c := range copies {
		for _, from := range strings.Fields(c[1]) {
			if !named[from] {
				t.Errorf("it copies %s", from)
			}
		}
	}
	if n := strings.Count(string(recipe), "\nEXPOSE "); n != 1 {
		t.Errorf("it has %d EXPOSE; platforms take the lowest, and one must be clear", n)
	}
}

// TestPublicAuthoritiesAreKnownWithoutTheMachines starts this test once more on a machine that has no certificate authorities.
func TestPublicAuthoritiesAreKnownWithoutTheMachines(t *testing.T) {
	t.Parallel()
	if os.Getenv("SSL_CERT_FILE") != "/nowhere" {
		again := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.count=1")
		again.Env = append(os.Environ(), "SSL_CERT_FILE=/nowhere", "SSL_CERT_DIR=/nowhere")
		if out, err := again.CombinedOutput(); err != nil || !strings.Contains(string(out), "PASS") {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	known := 0
	for root := range bundle.Roots() {
		if c, err := x509.ParseCertificate(root.Certificate); err != nil {
			t.Error(err)
		} else if _, err := c.Verify(x509.VerifyOptions{KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}, CurrentTime: c.NotBefore.AddDate(0, 1, 0)}); err == nil {
			known++
		}
	}
	if known < 50 {
		t.Errorf("%d authorities are known", known)
	}
}
