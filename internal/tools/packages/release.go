package main

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// A release has the properties that all packages share.
type release struct {
	source, out                          string
	version, commit, maintainer, signKey string
	time                                 time.Time
}

// build builds everything into an empty directory.
func (r *release) build(architectures []string) (err error) {
	if err := errors.Join(os.RemoveAll(r.out), os.MkdirAll(r.out, 0o755)); err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "strongroom-packages-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	common := filepath.Join(work, "common")
	if err := r.stageCommon(common); err != nil {
		return err
	}
	for _, arch := range architectures {
		tree := filepath.Join(work, arch)
		if err := os.CopyFS(tree, os.DirFS(common)); err != nil {
			return err
		}
		if err := r.buildFor(arch, tree); err != nil {
			return fmt.Errorf("%s: %w", arch, err)
		}
	}
	return r.seal()
}

// buildFor builds the packages of an architecture. The tree has the files as they will be
// installed.
func (r *release) buildFor(arch, tree string) error {
	program := filepath.Join(tree, "usr/bin/strongroom")
	if err := r.compile(arch, program); err != nil {
		return err
	}
	modules, err := modulesOf(program)
	if err != nil {
		return err
	}
	licenses, err := r.licenses(modules)
	if err != nil {
		return err
	}
	doc := filepath.Join(tree, "usr/share/doc/strongroom")
	if err := errors.Join(put(filepath.Join(doc, "copyright"), []byte(copyright)), putCompressed(filepath.Join(doc, "licenses.gz"), licenses)); err != nil {
		return err
	}
	for _, write := range []struct {
		name string
		do   func(io.Writer) error
	}{
		{".cdx.json", func(w io.Writer) error { return r.writeBOM(w, arch, modules) }},
		{".oci.tar", func(w io.Writer) error { return r.writeImage(w, arch, program) }},
		{".tar.gz", func(w io.Writer) error { return r.writeArchive(w, r.name(arch), tree) }},
	} {
		if err := create(filepath.Join(r.out, r.name(arch)+write.name), write.do); err != nil {
			return err
		}
	}
	return r.writePackages(arch, tree)
}

// name returns the name of the files of an architecture, without their extension.
func (r *release) name(arch string) string {
	return fmt.Sprintf("strongroom-%s-linux-%s", r.version, arch)
}

// ldflags sets the variables of cmd/strongroom/version.go. It leaves out the build id,
// which differs between builds, and the data that only a debugger needs.
func (r *release) ldflags() string {
	return fmt.Sprintf("-s -w -buildid= -X main.version=%s -X main.builtCommit=%s", r.version, r.commit)
}

func (r *release) compile(arch, program string) error {
	_, err := r.run([]string{"CGO_ENABLED=0", "GOOS=linux", "GOARCH=" + arch},
		"go", "build", "-trimpath", "-buildvcs=false", "-ldflags", r.ldflags(), "-o", program, "./cmd/strongroom")
	return err
}

// stageCommon writes the files that all architectures share.
func (r *release) stageCommon(tree string) error {
	for from, to := range map[string]string{
		"configs/systemd/strongroom.service": "usr/lib/systemd/system/strongroom.service",
		"configs/systemd/strongroom.yaml":    "etc/strongroom/strongroom.yaml",
		"configs/packaging/sysusers.conf":    "usr/lib/sysusers.d/strongroom.conf",
		"configs/packaging/setup.sh":         "usr/libexec/strongroom/setup",
	} {
		text, err := os.ReadFile(filepath.Join(r.source, from))
		if err != nil {
			return err
		}
		if err := put(filepath.Join(tree, to), text); err != nil {
			return err
		}
	}
	if err := os.Chmod(filepath.Join(tree, "usr/libexec/strongroom/setup"), 0o755); err != nil {
		return err
	}
	doc := filepath.Join(tree, "usr/share/doc/strongroom/changelog.gz")
	return errors.Join(putCompressed(doc, r.changelog()), r.stageManual(tree), r.stageCompletion(tree))
}

// stageManual writes the man pages with the program for this machine.
func (r *release) stageManual(tree string) error {
	dir := filepath.Join(tree, "usr/share/man/man1")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	env := []string{fmt.Sprintf("SOURCE_DATE_EPOCH=%d", r.time.Unix()), "CGO_ENABLED=0"}
	if _, err := r.run(env, "go", "run", "-tags", "man", "-trimpath", "-buildvcs=false", "-ldflags", r.ldflags(), "./cmd/strongroom", dir); err != nil {
		return err
	}
	pages, err := filepath.Glob(filepath.Join(dir, "*.1"))
	if err != nil {
		return err
	}
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err = errors.Join(err, os.Remove(page)); err != nil {
			return err
		}
		if err := putCompressed(page+".gz", text); err != nil {
			return err
		}
	}
	return nil
}

func (r *release) stageCompletion(tree string) error {
	for shell, path := range map[string]string{
		"bash": "usr/share/bash-completion/completions/strongroom",
		"zsh":  "usr/share/zsh/vendor-completions/_strongroom",
		"fish": "usr/share/fish/vendor_completions.d/strongroom.fish",
	} {
		script, err := r.run([]string{"CGO_ENABLED=0"}, "go", "run", "-trimpath", "-buildvcs=false", "-ldflags", r.ldflags(), "./cmd/strongroom", "completion", shell)
		if err != nil {
			return err
		}
		if err := put(filepath.Join(tree, path), script); err != nil {
			return err
		}
	}
	return nil
}

// changelog returns Debian's form of the changelog. The changes themselves are in
// cmd/strongroom/README.md.
func (r *release) changelog() []byte {
	return fmt.Appendf(nil, "strongroom (%s) stable; urgency=medium\n\n  * Built from commit %s.\n\n -- %s  %s\n",
		r.version, r.commit, r.maintainer, r.time.Format(time.RFC1123Z))
}

// run runs a command in the repository and returns its standard output.
func (r *release) run(env []string, name string, args ...string) ([]byte, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env = r.source, append(os.Environ(), env...)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", strings.Join(append([]string{name}, args...), " "), err, complaints.Bytes())
	}
	return out, nil
}

// put writes a file, and its directory.
func put(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o644)
}

func putCompressed(path string, content []byte) error {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return err
	}
	if _, err := w.Write(content); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return put(path, b.Bytes())
}

func create(path string, write func(io.Writer) error) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}
