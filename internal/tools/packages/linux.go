package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/goreleaser/nfpm/v2"
	_ "github.com/goreleaser/nfpm/v2/deb" // registers the format
	"github.com/goreleaser/nfpm/v2/files"
	_ "github.com/goreleaser/nfpm/v2/rpm" // registers the format
)

const summary = "Server for the secrets of OpenHands and Nx1"

// documentation matches files that rpm can leave out (rpm --nodocs).
var documentation = regexp.MustCompile(`^/usr/share/(man|doc)/`)

// writePackages writes the deb and the rpm that configs/packaging/nfpm.yaml describes.
func (r *release) writePackages(arch, tree string) error {
	description, err := os.ReadFile(filepath.Join(r.source, "configs/packaging/nfpm.yaml"))
	if err != nil {
		return err
	}
	// nfpm itself expands variables in some fields only.
	config, err := nfpm.Parse(strings.NewReader(os.Expand(string(description), func(name string) string {
		return map[string]string{
			"ARCH": arch, "VERSION": r.version, "MAINTAINER": r.maintainer, "SUMMARY": summary, "TREE": tree,
			"PACKAGING": filepath.Join(r.source, "configs/packaging"),
		}[name]
	})))
	if err != nil {
		return err
	}
	if err := put(filepath.Join(filepath.Dir(tree), "changelog.yaml"), r.rpmChangelog()); err != nil {
		return err
	}
	for _, format := range []string{"deb", "rpm"} {
		info, err := config.Get(format)
		if err != nil {
			return err
		}
		info.MTime = r.time
		if format == "rpm" { // the deb has a file instead, see stageCommon
			info.Changelog = filepath.Join(filepath.Dir(tree), "changelog.yaml")
		}
		info = nfpm.WithDefaults(info)
		if err := nfpm.PrepareForPackager(info, format); err != nil {
			return err
		}
		packager, err := nfpm.Get(format)
		if err != nil {
			return err
		}
		for _, c := range info.Contents {
			c.FileInfo.MTime = r.time
			if format == "rpm" && c.Type == files.TypeFile && documentation.MatchString(c.Destination) {
				c.Type = files.TypeRPMDoc
			}
		}
		write := func(w io.Writer) error { return packager.Package(info, w) }
		if err := create(filepath.Join(r.out, packager.ConventionalFileName(info)), write); err != nil {
			return err
		}
	}
	return nil
}

// rpmChangelog returns the same entry as changelog, in the form that nfpm requires.
func (r *release) rpmChangelog() []byte {
	return fmt.Appendf(nil, "- semver: %q\n  date: %s\n  packager: %q\n  changes: [{note: %q}]\n",
		r.version, r.time.Format(time.RFC3339), r.maintainer, "Built from commit "+r.commit)
}
