package settings

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strings"
	"time"

	"chartroom/db"
)

// longestOff is how far ahead sign-in may be switched off: a day, in which somebody looks at it again.
const longestOff = 24 * time.Hour

const untilMust = "SESSION_AUTH_DISABLED_UNTIL must be a time with its zone at most 24 h ahead, such as 2030-01-31T18:00:00Z; to have sign-in on, remove SESSION_AUTH_ENABLED"

// readSignIn fills SignInOff, which is nil while sign-in is on: for ever, or again because the time is over. That a time is over
// never keeps a server from starting: it may start by itself, at night. Outside production what is not said is a day, and this
// machine.
func readSignIn(s *Settings, raw Raw, enabled bool, now time.Time, bad func(string, ...any)) {
	until, allow := strings.TrimSpace(raw.SessionAuthUntil), strings.TrimSpace(raw.SessionAuthAllowing)
	if enabled {
		if until+allow != "" {
			s.Warnings = append(s.Warnings, "SESSION_AUTH_DISABLED_UNTIL and SESSION_AUTH_DISABLED_ALLOW do nothing while sign-in is on: remove them")
		}
		return
	}
	off := db.SignInOff{Until: now.Add(longestOff).Truncate(time.Second)}
	if until != "" {
		var err error
		if off.Until, err = time.Parse(time.RFC3339, until); err != nil || off.Until.After(now.Add(longestOff)) {
			bad(untilMust)
			return
		}
	}
	if !off.Until.After(now) {
		s.Warnings = append(s.Warnings, "sign-in is on again, since SESSION_AUTH_DISABLED_UNTIL is past: remove SESSION_AUTH_ENABLED, SESSION_AUTH_DISABLED_UNTIL and SESSION_AUTH_DISABLED_ALLOW")
		return
	}
	if s.Production() {
		if until == "" {
			bad(untilMust)
		}
		if allow == "" {
			bad("SESSION_AUTH_DISABLED_ALLOW is required in production to switch sign-in off: the networks of the clinic, such as 203.0.113.8/29,10.20.0.0/16")
		}
		if s.Hops == 0 {
			bad("SESSION_AUTH_ENABLED=false needs TRUSTED_PROXY_HOPS in production: without it every client has the address of the proxy that does HTTPS, and all would be let in")
		}
	}
	if allow == "" {
		allow = "127.0.0.0/8,::1/128"
	}
	var err error
	if off.Allow, err = readNetworks(allow); err != nil {
		bad("SESSION_AUTH_DISABLED_ALLOW %v", err)
		return
	}
	s.SignInOff = &off
}

// private are the networks that no packet from the internet comes from. They may be let in whole: 10.0.0.0/8 is a usual way to say
// "our own network".
var private = prefixes("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "fc00::/7", "fe80::/10", "::1/128")

// translated addresses stand for others, of the whole internet.
var translated = prefixes("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")

// Of public networks a clinic has an address or a few. A /16 is what the largest organisations have, and a /48 is a site
// (RFC 6177); all together must not be more than one /16 and sixteen /48.
const (
	mostPublic4 = 1 << 16
	mostPublic6 = 1 << 4
	mostListed  = 100
)

// readNetworks takes the list apart. An address alone is itself.
func readNetworks(text string) (all []netip.Prefix, err error) {
	public4, public6 := 0.0, 0.0
	for _, one := range strings.Split(text, ",") {
		p, err := readNetwork(strings.TrimSpace(one))
		if err != nil {
			return nil, err
		}
		all = append(all, p)
		switch {
		case within(p, private):
		case overlaps(p, translated):
			return nil, fmt.Errorf("must not hold %s, whose addresses stand for others", p)
		case p.Addr().Is4():
			public4 += math.Pow(2, float64(32-p.Bits()))
		default:
			public6 += math.Pow(2, float64(48-p.Bits()))
		}
	}
	if public4 > mostPublic4 || public6 > mostPublic6 {
		return nil, errors.New("lets too much of the internet in: name the clinic's own networks, at most one /16 in all (IPv6: sixteen /48)")
	}
	if len(all) > mostListed {
		return nil, fmt.Errorf("must not hold more than %d networks", mostListed)
	}
	return all, nil
}

func readNetwork(text string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(text)
	if err != nil {
		a, err := netip.ParseAddr(text)
		if err != nil || a.Zone() != "" {
			return p, errors.New("must be a list of networks with commas between them, such as 203.0.113.8/29,10.20.0.0/16")
		}
		p = netip.PrefixFrom(a, a.BitLen())
	}
	if p.Addr().Is4In6() && p.Bits() >= 96 { // clients are compared as IPv4
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	if p != p.Masked() {
		return p, fmt.Errorf("must not hold %s, which is an address within a network: write %s for all of it", p, p.Masked())
	}
	return p, nil
}

func within(p netip.Prefix, all []netip.Prefix) bool {
	for _, w := range all {
		if w.Overlaps(p) && w.Bits() <= p.Bits() {
			return true
		}
	}
	return false
}

func overlaps(p netip.Prefix, all []netip.Prefix) bool {
	for _, w := range all {
		if w.Overlaps(p) {
			return true
		}
	}
	return false
}

func prefixes(all ...string) (list []netip.Prefix) {
	for _, text := range all {
		list = append(list, netip.MustParsePrefix(text))
	}
	return list
}

// SignInNote says in one sentence until when sign-in is off and for whom; "" while it is on.
func (s Settings) SignInNote() string {
	if !s.SignInOff.Now(time.Now()) {
		return ""
	}
	var allow []string
	for _, p := range s.SignInOff.Allow {
		allow = append(allow, p.String())
	}
	return fmt.Sprintf("sign-in is switched off until %s: clients of %s read patients without it, and nobody can change anything",
		s.SignInOff.Until.Format(time.RFC3339), strings.Join(allow, ", "))
}

// CheckSignIn is the line on whether one must sign in.
func (s Settings) CheckSignIn() db.Check {
	const mend = "remove SESSION_AUTH_ENABLED, SESSION_AUTH_DISABLED_UNTIL and SESSION_AUTH_DISABLED_ALLOW, and start again"
	note := s.SignInNote()
	switch {
	case note == "":
		return pass("sign-in", "sign-in", "it is on")
	case s.Production(): // refused unless it is limited in time and to clients, and then somebody decided it
		return db.Check{ID: "sign-in", What: "sign-in", Result: db.CheckWarn, Found: note, Mend: "look from a network that is not named whether sign-in is asked for there; as soon as sign-in works: " + mend}
	}
	return db.Check{ID: "sign-in", What: "sign-in", Result: db.CheckWarn, Found: note, Mend: mend}
}
