//go:build prove

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"chartroom/db/dbtest"
)

// installed finds a program that a proof needs; without it the proof fails and says what to install.
func installed(t testing.TB, name, debian string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		path, err = exec.LookPath("/usr/sbin/" + name) // not on everybody's PATH
	}
	if err != nil {
		t.Fatalf("%s is not there; on Debian: apt-get install %s", name, debian)
	}
	return path
}

// outputOf runs a program to its end and returns what it wrote to standard output.
func outputOf(t testing.TB, dir string, name string, args ...string) string {
	t.Helper()
	var stderr bytes.Buffer
	c := exec.Command(name, args...)
	c.Dir, c.Stderr = dir, &stderr
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", filepath.Base(name), strings.Join(args, " "), err, out, stderr.String())
	}
	return strings.TrimSpace(string(out))
}

// builder is buildah with a store of its own, in which two images of the same names stand in for those of Debian's and Alpine's
// publishers: busybox for a shell, and the Go of this machine. Nothing is fetched.
type builder struct {
	t     testing.TB
	path  string
	store string
	cache string // Go's, empty at first
}

func newBuilder(t testing.TB) *builder {
	t.Helper()
	outputOf(t, dbtest.Root(), "go", "mod", "download") // the image's build has no network, and asks for all modules, not only those of the tests
	if os.Getuid() != 0 {
		t.Fatal("run this proof as root: buildah runs the steps of a Dockerfile in a chroot here")
	}
	b := &builder{t, installed(t, "buildah", "buildah"), t.TempDir(), t.TempDir()}
	base, shell := t.TempDir(), installed(t, "busybox", "busybox-static")
	for _, dir := range []string{"bin", "tmp", "root", "etc"} {
		if err := os.MkdirAll(filepath.Join(base, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(base, "tmp"), 0o777); err != nil {
		t.Fatal(err)
	}
	outputOf(t, base, "cp", shell, "bin/busybox")
	for _, command := range []string{"sh", "head"} {
		if err := os.Symlink("busybox", filepath.Join(base, "bin", command)); err != nil {
			t.Fatal(err)
		}
	}
	standIn := "FROM scratch\nCOPY . /\nENV PATH=/usr/local/sbin:/usr/local/bin:/usr/local/go/bin:/bin GOPATH=/go HOME=/root GOPROXY=off GOTOOLCHAIN=local\n"
	recipe := filepath.Join(t.TempDir(), "Dockerfile")
	if err := os.WriteFile(recipe, []byte(standIn), 0o644); err != nil {
		t.Fatal(err)
	}
	b.buildah("bud", "--isolation", "chroot", "-t", "docker.io/library/golang:1.26-alpine", "-t", "docker.io/library/alpine:3", "-f", recipe, base)
	t.Cleanup(func() { b.buildah("rm", "--all") })
	return b
}

func (b *builder) buildah(args ...string) string {
	b.t.Helper()
	return outputOf(b.t, "/", b.path, append([]string{"--root", b.store + "/images", "--runroot", b.store + "/run", "--storage-driver", "vfs"}, args...)...)
}

// image builds the Dockerfile of a directory as it is. Of the network the steps see what this machine has; Go is told to use none.
func (b *builder) image(name, dir string, args ...string) {
	b.t.Helper()
	b.buildah(slices.Concat([]string{"bud", "--isolation", "chroot", "--network", "host", "--pull-never", "--format", "docker", "-t", name,
		"--volume", outputOf(b.t, ".", "go", "env", "GOROOT") + ":/usr/local/go:ro", "--volume", outputOf(b.t, ".", "go", "env", "GOMODCACHE") + ":/go/pkg/mod",
		"--volume", b.cache + ":/root/.cache"}, args, []string{dir})...)
}

// root is where an image's files are seen.
func (b *builder) root(name string) string {
	b.t.Helper()
	return b.buildah("mount", b.buildah("from", "--pull-never", name))
}

type imageConfig struct {
	User, StopSignal     string
	Env, Entrypoint, Cmd []string
	ExposedPorts         map[string]any
	Labels               map[string]string
	Healthcheck          struct{ Test []string }
}

func (b *builder) config(name string) (c imageConfig) {
	b.t.Helper()
	var all struct {
		Docker struct{ Config imageConfig }
	}
	if err := json.Unmarshal([]byte(b.buildah("inspect", "--type", "image", name)), &all); err != nil {
		b.t.Fatal(err)
	}
	return all.Docker.Config
}

// versionOf asks a binary that stands in an image, with nothing around it but that image.
func versionOf(t testing.TB, root string) (v struct{ Version, Commit, Date, Go string }) {
	t.Helper()
	p := alone(t, root, "/usr/local/bin/chartroom", nil, "version", "--json").start()
	if code := p.finish(); code != 0 || json.Unmarshal([]byte(p.stdout.String()), &v) != nil {
		t.Fatalf("version: %d\n%s%s", code, p.stdout, p.stderr)
	}
	return v
}

// TestProveTheImageHoldsTheReleasedProgram builds the image as `task image` does, from nothing, in another directory and with
// another build cache than the release beside it: the same bytes.
func TestProveTheImageHoldsTheReleasedProgram(t *testing.T) {
	b, dist := newBuilder(t), t.TempDir()
	outputOf(t, ".", ".ci/release", dist, "linux/amd64")
	sums := outputOf(t, dist, "cat", "SHA256SUMS")
	sum, file, _ := strings.Cut(sums, "  ")
	outputOf(t, dist, "sha256sum", "--check", "--strict", "SHA256SUMS")
	var v struct{ Version, Commit, Date string }
	if err := json.Unmarshal([]byte(outputOf(t, dist, "./"+file, "version", "--json")), &v); err != nil || v.Version == "" || len(v.Commit) != 40 || !strings.HasSuffix(v.Date, "Z") {
		t.Fatalf("a release does not know itself: %+v %v", v, err)
	}
	b.image("chartroom", dbtest.Root(), "--build-arg", "VERSION="+v.Version, "--build-arg", "COMMIT="+v.Commit, "--build-arg", "DATE="+v.Date)

	c := b.config("chartroom")
	for what, is := range map[string]bool{
		"user": c.User == "65532:65532", "port": len(c.ExposedPorts) == 1 && c.ExposedPorts["8080/tcp"] != nil && slices.Contains(c.Env, "PORT=8080"),
		"entrypoint": slices.Equal(c.Entrypoint, []string{"/usr/local/bin/chartroom"}) && slices.Equal(c.Cmd, []string{"serve"}),
		"health":     slices.Equal(c.Healthcheck.Test, []string{"CMD", "/usr/local/bin/chartroom", "healthcheck"}),
		"labels": c.Labels["org.opencontainers.image.version"] == v.Version && c.Labels["org.opencontainers.image.revision"] == v.Commit &&
			c.Labels["org.opencontainers.image.created"] == v.Date && c.Labels["org.opencontainers.image.title"] == "Chartroom",
		"stop signal": c.StopSignal == "" || c.StopSignal == "SIGTERM",
	} {
		if !is {
			t.Errorf("the image's %s is not as it must be: %+v", what, c)
		}
	}
	root := b.root("chartroom")
	if got, _, _ := strings.Cut(outputOf(t, root, "sha256sum", "usr/local/bin/chartroom"), " "); got != sum {
		t.Errorf("the program in the image has SHA-256 %s, the released one %s", got, sum)
	}
	if got := outputOf(t, root, "cat", ".aptible/.aptible.yml"); got != outputOf(t, ".", "cat", ".aptible.yml") {
		t.Errorf("the image's .aptible.yml is another:\n%s", got)
	}
	if got := versionOf(t, root); got.Version != v.Version || got.Commit != v.Commit || got.Date != v.Date {
		t.Errorf("the image's program says %+v, the release is %+v", got, v)
	}
	t.Logf("chartroom %s, %s in the image and in the release", v.Version, sum)
}

// cloned is this repository with one commit, and in it the tree as it is now, which may be ahead.
func cloned(t testing.TB) string {
	t.Helper()
	clone := filepath.Join(t.TempDir(), "clone")
	outputOf(t, ".", "git", "clone", "-q", "--depth", "1", "file://"+dbtest.Root(), clone)
	outputOf(t, dbtest.Root(), "bash", "-o", "pipefail", "-c",
		`git ls-files -z --cached --others --exclude-standard | tar -c --null --ignore-failed-read --files-from - | tar -x -C "$0"`, clone)
	return clone
}

// TestProveAReleaseBearsItsTagAndHoldsNothingElse releases a tagged commit, and refuses to once a file was changed.
func TestProveAReleaseBearsItsTagAndHoldsNothingElse(t *testing.T) {
	clone, dist := cloned(t), t.TempDir()
	git := []string{"-c", "user.name=A Tester", "-c", "user.email=tester@example.org"}
	outputOf(t, clone, "git", "add", "-A")
	outputOf(t, clone, "git", append(git, "commit", "-q", "--allow-empty", "--date", "2026-01-02T03:04:05+02:00", "-m", "A release")...)
	outputOf(t, clone, "git", append(git, "tag", "-a", "v9.8.7", "-m", "v9.8.7")...)
	outputOf(t, clone, ".ci/release", dist, "linux/amd64")
	said := outputOf(t, dist, "./chartroom-v9.8.7-linux-amd64", "version")
	if !strings.HasPrefix(said, "chartroom v9.8.7, commit "+outputOf(t, clone, "git", "rev-parse", "HEAD")+" of 20") {
		t.Error(said)
	}
	if err := os.WriteFile(filepath.Join(clone, "main.go"), []byte("package main // changed\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := exec.Command(filepath.Join(clone, ".ci", "release"), dist, "linux/amd64")
	if out, err := c.CombinedOutput(); err == nil || !strings.Contains(string(out), "differs from v9.8.7") {
		t.Errorf("a changed tree was released: %v %s", err, out)
	}
}

// TestProveAPushedRepositoryMakesAnImageWithItsCommitAndWithoutSecrets builds as a platform does that clones the one commit, reads
// no .dockerignore, gives no arguments and puts the application's settings beside the sources.
func TestProveAPushedRepositoryMakesAnImageWithItsCommitAndWithoutSecrets(t *testing.T) {
	b, clone := newBuilder(t), cloned(t)
	b.cache = filepath.Dir(outputOf(t, ".", "go", "env", "GOCACHE")) // what is built is not the question here
	const secret = "made-up-secret-of-this-test-5d1f"
	for _, name := range []string{".aptible.env", ".env", "db/.env"} {
		if err := os.WriteFile(filepath.Join(clone, name), []byte("SESSION_SECRET_KEY="+secret+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b.image("pushed", clone, "--ignorefile", "/dev/null")
	root := b.root("pushed")
	commit := outputOf(t, dbtest.Root(), "git", "rev-parse", "HEAD")
	if v := versionOf(t, root); v.Commit != commit || v.Version != "dev-"+commit[:12] {
		t.Errorf("the image's program says %+v, pushed was %s", v, commit)
	}
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		if bytes.Contains(content, []byte(secret)) {
			t.Errorf("%s holds the secret", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
