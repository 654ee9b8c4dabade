package settings

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"chartroom/db"
)

// TestEnvFilesAreFoundAsGitHasThem makes repositories with git itself, in each form that an index can have.
func TestEnvFilesAreFoundAsGitHasThem(t *testing.T) {
	top := t.TempDir()
	git := func(args ...string) {
		t.Helper()
		c := exec.Command("git", append([]string{"-c", "user.name=t", "-c", "user.email=t@clinic.example"}, args...)...)
		c.Dir = top
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("this test needs git: %v %s", err, out)
		}
	}
	write := func(name, text string) {
		t.Helper()
		file := filepath.Join(top, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(when, dir, result, says string) {
		t.Helper()
		c := Settings{Environment: "production"}.CheckEnvFiles(filepath.Join(top, dir))
		if c.Result != result || !strings.Contains(c.Found, says) || c.ID != "env-file" || strings.Contains(c.Found+c.Mend, "made-up") {
			t.Errorf("%s: %+v", when, c)
		}
	}
	expect("nothing", ".", db.CheckPass, "none")
	write(".env.example", "KEY=")
	write(".environment", "no such file")
	expect("an example", ".", db.CheckPass, "none")
	write(".env", "KEY=made-up")
	expect("no repository", ".", db.CheckPass, "owner alone")
	git("init", "-q")
	expect("an empty one", ".", db.CheckWarn, "not in .gitignore")
	for n, try := range []struct{ ignore, result string }{
		{".env\n", db.CheckPass}, {"/.env", db.CheckPass}, {"*.env", db.CheckPass}, {"**/.env", db.CheckPass}, {".env*\n!.env.example\n", db.CheckPass},
		{".env\n!.env\n", db.CheckWarn}, {"# .env\n", db.CheckWarn}, {"sub/.env\n", db.CheckWarn}, {".env/\n", db.CheckWarn}, {".env.*\n", db.CheckWarn},
	} {
		write(".gitignore", try.ignore)
		expect(strings.TrimSpace(try.ignore), ".", try.result, "")
		c := exec.Command("git", "check-ignore", "-q", "--no-index", ".env") // and git agrees
		c.Dir = top
		if err := c.Run(); (err == nil) != (try.result == db.CheckPass) {
			t.Errorf("%d: git does not agree on %q", n, try.ignore)
		}
	}
	write(".gitignore", "")
	for _, name := range []string{"a", "sub/b", "sub/.env.production", "z/long/" + strings.Repeat("n", 200)} {
		write(name, name)
	}
	git("add", "a", "sub/b", "z")
	for _, version := range []string{"2", "3", "4"} {
		git("update-index", "--index-version", version)
		git("rm", "-q", "--cached", "--ignore-unmatch", ".env", "sub/.env.production")
		expect("version "+version+", not in it", ".", db.CheckWarn, "not in .gitignore")
		git("add", ".env", "sub/.env.production")
		if version == "3" {
			write("later", "")
			git("add", "-N", "later") // has the extended flag, which is what version 3 is for
		}
		expect("version "+version, ".", db.CheckFail, ".env is in the git repository")
		expect("version "+version+", below", "sub", db.CheckFail, ".env.production is in the git repository")
	}
	git("rm", "-q", "--cached", ".env", "sub/.env.production")
	git("add", "-N", "later")
	git("commit", "-qm", "x", "a")
	git("worktree", "add", "-q", "--detach", filepath.Join(top, "tree"))
	write("tree/.env", "KEY=made-up")
	expect("a worktree", "tree", db.CheckWarn, "not in .gitignore")
	if err := os.WriteFile(filepath.Join(top, ".git", "index"), []byte("DIRC\x00\x00\x00\x02\x00\x00\x00\x05cut"), 0o600); err != nil {
		t.Fatal(err)
	}
	expect("a broken index", ".", db.CheckWarn, "cut off")
	if err := os.Chmod(filepath.Join(top, ".env"), 0o640); err != nil {
		t.Fatal(err)
	}
	expect("a group's", ".", db.CheckFail, "0640")
}
