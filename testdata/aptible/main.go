// Command aptible stands in for the platform's command line in TestProveADeploymentByTheDocument: it does on this machine what
// the real one asks the platform to do. What it knows stands in the directory that PLATFORM names.
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

var platform = os.Getenv("PLATFORM")

func main() {
	if len(os.Args) < 2 || platform == "" {
		fail("no command, or no PLATFORM")
	}
	options, rest := parse(os.Args[2:])
	switch os.Args[1] {
	case "apps:create", "db:create", "endpoints:https:create", "db:backup":
		note(os.Args[1:])
	case "db:url":
		print(read("url"))
	case "environment:ca_cert":
		print(read("ca.pem"))
	case "db:tunnel":
		tunnel(options["port"])
	case "config:set":
		set(rest)
	case "deploy":
		deploy(options["docker-image"])
	case "ssh":
		os.Exit(run(rest...))
	default:
		fail("no such command: " + os.Args[1])
	}
}

func fail(said string) {
	fmt.Fprintln(os.Stderr, "aptible: "+said)
	os.Exit(1)
}

func must(err error) {
	if err != nil {
		fail(err.Error())
	}
}

func print(text string) { fmt.Print(text) }

func read(name string) string {
	b, err := os.ReadFile(filepath.Join(platform, name))
	must(err)
	return string(b)
}

func note(args []string) {
	f, err := os.OpenFile(filepath.Join(platform, "done"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	must(err)
	defer f.Close()
	fmt.Fprintln(f, strings.Join(args, " "))
}

// parse takes options with a value apart from what else stands there.
func parse(args []string) (options map[string]string, rest []string) {
	options = map[string]string{}
	for i := 0; i < len(args); i++ {
		name, is := strings.CutPrefix(args[i], "--")
		switch {
		case len(rest) > 0 && !is: // of a command to run, all is its own
			rest = append(rest, args[i])
		case is && name != "managed-tls" && i+1 < len(args):
			i++
			options[name] = args[i]
		case !is:
			rest = append(rest, args[i])
		}
	}
	return options, rest
}

// set keeps each setting in a file of its own.
func set(all []string) {
	must(os.MkdirAll(filepath.Join(platform, "env"), 0o700))
	for _, one := range all {
		name, value, ok := strings.Cut(one, "=")
		if !ok {
			fail(one + " is no setting")
		}
		must(os.WriteFile(filepath.Join(platform, "env", name), []byte(value), 0o600))
	}
}

// environ is what a container gets: the configuration, and what the image sets.
func environ() (all []string) {
	files, err := os.ReadDir(filepath.Join(platform, "env"))
	must(err)
	for _, f := range files {
		all = append(all, f.Name()+"="+read(filepath.Join("env", f.Name())))
	}
	return append(all, "LISTEN_ADDR=127.0.0.1:"+read("port"), "PATH="+os.Getenv("PATH"))
}

func container(args ...string) *exec.Cmd {
	c := exec.Command(args[0], args[1:]...)
	c.Env, c.Dir = environ(), platform
	return c
}

func run(args ...string) int {
	c := container(args...)
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	err := c.Run()
	if exit, ok := err.(*exec.ExitError); ok {
		return exit.ExitCode()
	}
	must(err)
	return 0
}

// deploy runs before_deploy in a container of its own, starts the release, and waits until it is healthy.
func deploy(image string) {
	if image == "" {
		fail("no image")
	}
	if run("chartroom", "migrate") != 0 {
		fail("before_deploy failed, nothing was released")
	}
	log, err := os.Create(filepath.Join(platform, "log"))
	must(err)
	c := container("chartroom", "serve")
	c.Stdout, c.Stderr, c.SysProcAttr = log, log, &syscall.SysProcAttr{Setpgid: true}
	must(c.Start())
	must(os.WriteFile(filepath.Join(platform, "pid"), []byte(fmt.Sprint(c.Process.Pid)), 0o600))
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		req, err := http.NewRequest(http.MethodGet, "http://127.0.0.1:"+read("port")+"/healthcheck", nil)
		must(err)
		req.Host = "containers"
		if res, err := http.DefaultTransport.RoundTrip(req); err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				note([]string{"deploy"})
				return
			}
		}
	}
	fail("the release does not get healthy:\n" + read("log"))
}

// tunnel hands connections on until it is stopped.
func tunnel(port string) {
	l, err := net.Listen("tcp", "127.0.0.1:"+port)
	must(err)
	for {
		c, err := l.Accept()
		must(err)
		go func() {
			defer c.Close()
			to, err := net.Dial("tcp", read("database"))
			if err != nil {
				return
			}
			defer to.Close()
			go func() { _, _ = io.Copy(to, c); _ = to.Close() }()
			_, _ = io.Copy(c, to)
		}()
	}
}
