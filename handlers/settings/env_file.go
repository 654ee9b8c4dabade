package settings

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"chartroom/db"
)

// CheckEnvFiles looks for files with secrets (.env, .env.*) in a directory: whether others on the machine can read them, and whether
// git has them or would take them. git itself is not asked: its index and the .gitignore files are read.
func (s Settings) CheckEnvFiles(dir string) db.Check {
	c := pass("env-file", ".env files", "there is none in this directory")
	dir, err := filepath.Abs(dir)
	if err != nil {
		return c
	}
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	found, _ := filepath.Glob(filepath.Join(dir, ".env*"))
	found = slices.DeleteFunc(found, func(f string) bool { return !holdsSecrets(filepath.Base(f)) })
	if len(found) == 0 {
		return c
	}
	repo, index := findGit(dir)
	var worst db.Check
	for _, f := range found {
		line := s.checkEnvFile(f, repo, index)
		if worst.Result == "" || worst.Result == db.CheckPass || worst.Result == db.CheckWarn && line.Result == db.CheckFail {
			worst = line
		}
	}
	return worst
}

// holdsSecrets leaves out those that are made to be shown.
func holdsSecrets(name string) bool {
	if name != ".env" && !strings.HasPrefix(name, ".env.") {
		return false
	}
	return !slices.Contains([]string{".example", ".sample", ".template", ".dist"}, filepath.Ext(name))
}

func (s Settings) checkEnvFile(file, repo, index string) db.Check {
	name := filepath.Base(file)
	c := pass("env-file", ".env files", "%s is for its owner alone, and not for git", name)
	info, err := os.Stat(file)
	switch {
	case err != nil || info.IsDir():
		return c
	case info.Mode().Perm()&0o077 != 0:
		c.Result, c.Found, c.Mend = s.grave(), fmt.Sprintf("%s can be read by other accounts of this machine (mode %04o)", name, info.Mode().Perm()), "chmod 600 "+name
		return c
	case repo == "":
		return c
	}
	rel, err := filepath.Rel(repo, file)
	if err != nil {
		return c
	}
	rel = filepath.ToSlash(rel)
	switch tracked, err := tracks(index, rel); {
	case err != nil:
		c.Result, c.Found, c.Mend = db.CheckWarn, "this could not be looked at: git's index cannot be read ("+err.Error()+")", "git ls-files "+name+" must print nothing"
	case tracked:
		c.Result, c.Found = s.grave(), name+" is in the git repository, and its secrets with it, in every clone"
		c.Mend = "git rm --cached " + name + ", add it to .gitignore, and make all secrets in it anew: what was committed stays known"
	case !ignored(repo, rel):
		c.Result, c.Found, c.Mend = db.CheckWarn, name+" is not in .gitignore: the next `git add .` takes it", "echo "+name+" >> .gitignore"
	}
	return c
}

// findGit gives the top of the working tree that holds dir, and its index; "" where there is none.
func findGit(dir string) (top, index string) {
	for {
		at := filepath.Join(dir, ".git")
		if info, err := os.Stat(at); err == nil {
			if info.IsDir() {
				return dir, filepath.Join(at, "index")
			}
			if text, err := os.ReadFile(at); err == nil { // a worktree or a submodule
				if to, ok := strings.CutPrefix(strings.TrimSpace(string(text)), "gitdir: "); ok {
					if !filepath.IsAbs(to) {
						to = filepath.Join(dir, to)
					}
					return dir, filepath.Join(to, "index")
				}
			}
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", ""
		}
		dir = up
	}
}

// tracks reads git's index (gitformat-index, versions 2 to 4): a header of 12 bytes, then an entry for each file, in which 62 bytes
// (64 with the extended flag) come before the name.
func tracks(index, name string) (bool, error) {
	b, err := os.ReadFile(index)
	if os.IsNotExist(err) {
		return false, nil // nothing was ever added
	}
	if err != nil {
		return false, fmt.Errorf("it cannot be opened")
	}
	if len(b) < 12 || string(b[:4]) != "DIRC" {
		return false, fmt.Errorf("it is not one")
	}
	version, n := binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[8:])
	if version < 2 || version > 4 {
		return false, fmt.Errorf("version %d", version)
	}
	last := ""
	for at := 12; n > 0; n-- {
		start := at
		if at += 62; at > len(b) {
			return false, fmt.Errorf("it is cut off")
		}
		if binary.BigEndian.Uint16(b[at-2:])&0x4000 != 0 {
			at += 2
		}
		drop := 0
		if version == 4 { // the name is what follows a part of the one before
			for more := true; more; at++ {
				if at >= len(b) {
					return false, fmt.Errorf("it is cut off")
				}
				drop = drop<<7 | int(b[at]&0x7f)
				if more = b[at]&0x80 != 0; more {
					drop++
				}
			}
		}
		if at > len(b) {
			return false, fmt.Errorf("it is cut off")
		}
		length := bytes.IndexByte(b[at:], 0)
		if length < 0 || drop > len(last) {
			return false, fmt.Errorf("it is cut off")
		}
		kept := ""
		if version == 4 {
			kept = last[:len(last)-drop]
		}
		last = kept + string(b[at:at+length])
		if last == name {
			return true, nil
		}
		at += length + 1
		if version < 4 { // padded with zeros to a multiple of eight
			at = start + (at-1-start+8)/8*8
		}
	}
	return false, nil
}

// ignored reads the .gitignore files from the top down to the file. Lists of one clone or one account are not looked at: a colleague
// does not have them.
func ignored(top, rel string) (is bool) {
	dirs, at := []string{"."}, ""
	for _, d := range strings.Split(path.Dir(rel), "/") {
		if d != "." {
			at = path.Join(at, d)
			dirs = append(dirs, at)
		}
	}
	for _, d := range dirs {
		below := strings.TrimPrefix(rel, strings.TrimPrefix(d+"/", "./"))
		text, err := fs.ReadFile(os.DirFS(top), path.Join(d, ".gitignore"))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			pattern, not := strings.CutPrefix(strings.TrimSpace(line), "!")
			if pattern != "" && !strings.HasPrefix(pattern, "#") && matches(pattern, below) {
				is = !not
			}
		}
	}
	return is
}

// matches is gitignore's rule for a file: a pattern with a slash before its end is for the whole path, another one for each name.
func matches(pattern, rel string) bool {
	pattern = strings.TrimPrefix(pattern, "**/")
	whole := strings.Contains(strings.TrimSuffix(pattern, "/"), "/")
	if strings.HasSuffix(pattern, "/") { // directories alone
		return false
	}
	name := path.Base(rel)
	if whole {
		pattern, name = strings.TrimPrefix(pattern, "/"), rel
	}
	ok, err := path.Match(pattern, name)
	return err == nil && ok
}
