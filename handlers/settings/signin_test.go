package settings

import (
	"slices"
	"strings"
	"testing"
	"time"

	"chartroom/db"
)

func in(d time.Duration) string { return time.Now().Add(d).Format(time.RFC3339) }

func offInProduction() Raw {
	return Raw{Environment: "production", DatabaseURL: "host=/tmp", SessionSecure: "true", SessionSecretKey: "f39a1c07be2d5548a6e0917c3bd4822fe6170d9b4ac358f1",
		TrustedProxyHops: "2", SessionAuthEnabled: "false", SessionAuthUntil: in(8 * time.Hour), SessionAuthAllowing: "203.0.113.8/29, 10.20.0.0/16"}
}

func TestProductionSwitchesSignInOffOnlyForALimitedTimeAndForTheClinicsNetworks(t *testing.T) {
	s, problems := Read(offInProduction())
	if len(problems) > 0 || !s.SignInOff.Now(time.Now()) || len(s.SignInOff.Allow) != 2 || !slices.Contains(s.Weakened(), "SESSION_AUTH_ENABLED") {
		t.Fatalf("%q %+v", problems, s.SignInOff)
	}
	if c := s.CheckSignIn(); c.Result != db.CheckWarn || !strings.Contains(c.Found, "203.0.113.8/29, 10.20.0.0/16") || !strings.Contains(c.Mend, "SESSION_AUTH_ENABLED") {
		t.Errorf("check says %+v", c)
	}
	for name, spoil := range map[string]func(*Raw){
		"SESSION_AUTH_ENABLED must be one of": func(r *Raw) { r.SessionAuthEnabled = "off" },
		"SESSION_AUTH_DISABLED_UNTIL must be": func(r *Raw) { r.SessionAuthUntil = "" },
		"UNTIL must be a time":                func(r *Raw) { r.SessionAuthUntil = "tomorrow" },
		"a time with its zone":                func(r *Raw) { r.SessionAuthUntil = time.Now().Add(time.Hour).Format("2006-01-02T15:04:05") },
		"at most 24 h ahead":                  func(r *Raw) { r.SessionAuthUntil = in(24*time.Hour + time.Minute) },
		"SESSION_AUTH_DISABLED_ALLOW is":      func(r *Raw) { r.SessionAuthAllowing = " " },
		"TRUSTED_PROXY_HOPS":                  func(r *Raw) { r.TrustedProxyHops = "0" },
	} {
		raw := offInProduction()
		spoil(&raw)
		if s, problems := Read(raw); len(problems) != 1 || !strings.Contains(problems[0], name) {
			t.Errorf("%s: %q %+v", name, problems, s.SignInOff)
		}
	}
	for _, allow := range []string{"0.0.0.0/0", "::/0", "10.20.0.0/16,0.0.0.0/0", "0.0.0.0/1,128.0.0.0/1", "203.0.0.0/15", "203.0.0.0/16,198.51.100.0/24", "10.0.0.0/7", "172.0.0.0/8", "::ffff:0:0/96",
		"::ffff:203.0.0.0/111", "2001:db8::/43", "64:ff9b::/96", "64:ff9b::c000:0/100", "2002:cb00:7100::/48", "::/1,8000::/1", "fc00::/6", "203.0.113.9/29", "clinic.example", "203.0.113.8/33", "203.0.113.8/29,",
		"203.0.113.8/29;10.20.0.0/16", "fe80::1%eth0", strings.Repeat("10.0.0.1,", 100) + "10.0.0.1"} {
		raw := offInProduction()
		raw.SessionAuthAllowing = allow
		if s, problems := Read(raw); len(problems) != 1 || !strings.Contains(problems[0], "SESSION_AUTH_DISABLED_ALLOW") || s.SignInOff != nil {
			t.Errorf("%.60s: %q", allow, problems)
		}
	}
	for _, allow := range []string{"203.0.113.8", "10.0.0.0/8", "203.0.0.0/16", "192.168.0.0/16,172.16.0.0/12", "::ffff:203.0.113.0/120", "2001:db8::/44", "fd00::/8", "2001:db8::1"} {
		raw := offInProduction()
		raw.SessionAuthAllowing = allow
		if s, problems := Read(raw); len(problems) > 0 || s.SignInOff == nil {
			t.Errorf("%s: %q", allow, problems)
		}
	}
}

// TestATimeThatIsOverKeepsNoServerFromStarting: a container that starts again at night comes up, with sign-in.
func TestATimeThatIsOverKeepsNoServerFromStarting(t *testing.T) {
	for _, spoil := range []func(*Raw){
		func(r *Raw) { r.SessionAuthUntil = in(-time.Second) },
		func(r *Raw) { r.SessionAuthUntil, r.TrustedProxyHops = in(-1000*time.Hour), "0" },
		func(r *Raw) { r.SessionAuthUntil, r.SessionAuthAllowing = in(-time.Hour), "" },
	} {
		raw := offInProduction()
		spoil(&raw)
		s, problems := Read(raw)
		if len(problems) > 0 || s.SignInOff != nil || len(s.Warnings) != 1 || !strings.Contains(s.Warnings[0], "remove SESSION_AUTH_ENABLED") || slices.Contains(s.Weakened(), "SESSION_AUTH_ENABLED") {
			t.Errorf("%q %q %+v", problems, s.Warnings, s.SignInOff)
		}
		if c := s.CheckSignIn(); c.Result != db.CheckPass {
			t.Errorf("check says %+v", c)
		}
	}
	raw := offInProduction()
	raw.SessionAuthEnabled = ""
	if s, problems := Read(raw); len(problems) > 0 || s.SignInOff != nil || len(s.Warnings) != 1 {
		t.Errorf("left over: %q %q", problems, s.Warnings)
	}
}

func TestElsewhereSignInGoesOffForThisMachineAndADayUnlessMoreIsSaid(t *testing.T) {
	s, problems := Read(Raw{SessionAuthEnabled: "false"})
	if len(problems) > 0 || !s.SignInOff.Now(time.Now().Add(longestOff-time.Minute)) || s.SignInOff.Now(time.Now().Add(longestOff)) {
		t.Fatalf("%q %+v", problems, s.SignInOff)
	}
	if got := s.SignInNote(); !strings.Contains(got, "127.0.0.0/8, ::1/128") {
		t.Error(got)
	}
	if _, problems := Read(Raw{SessionAuthEnabled: "false", SessionAuthUntil: in(25 * time.Hour)}); len(problems) != 1 {
		t.Errorf("more than a day: %q", problems)
	}
	if _, problems := Read(Raw{SessionAuthEnabled: "false", SessionAuthAllowing: "0.0.0.0/0"}); len(problems) != 1 {
		t.Errorf("the whole internet: %q", problems)
	}
}
