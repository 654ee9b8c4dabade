package handlers

import (
	"strconv"

	"github.com/mileusna/useragent"

	"chartroom/views/texts"
)

// browsers and systems are those that are said by name. Whatever else a User-Agent claims is not repeated: it is text that
// anybody can make up.
var (
	browsers = map[string]string{useragent.Chrome: "Chrome", useragent.HeadlessChrome: "Chrome", useragent.Firefox: "Firefox",
		useragent.Safari: "Safari", useragent.Edge: "Edge", useragent.Opera: "Opera", useragent.OperaTouch: "Opera",
		useragent.Vivaldi: "Vivaldi", useragent.SamsungBrowser: "Samsung Internet"}
	systems = map[string]string{useragent.Windows: "Windows", useragent.Linux: "Linux", useragent.Android: "Android",
		useragent.IOS: "iOS", useragent.ChromeOS: "ChromeOS", useragent.FreeBSD: "FreeBSD"}
)

// device says in words what a User-Agent claims to be: Firefox 128 on Windows.
func device(t *texts.Texts, agent string) string {
	ua := useragent.Parse(agent)
	browser, system := browsers[ua.Name], systems[ua.OS]
	if ua.OS == useragent.IOS && (ua.Device == "iPhone" || ua.Device == "iPad") {
		system = ua.Device
	}
	if ua.OS == useragent.MacOS {
		system = t.Account.Mac
	}
	if browser != "" && ua.VersionNo.Major > 0 {
		browser += " " + strconv.Itoa(ua.VersionNo.Major)
	}
	switch {
	case browser == "" && system == "":
		return t.Account.UnknownDevice
	case browser == "":
		return t.Account.DeviceOn(t.Account.OtherBrowser, system)
	case system == "":
		return browser
	}
	return t.Account.DeviceOn(browser, system)
}
