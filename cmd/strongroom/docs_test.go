package main_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const (
	repository = "../.."
	// maxReadme is the maximum size of the README in bytes.
	maxReadme = 12 << 10
)

func TestReadmeIsShort(t *testing.T) {
	if n := len(mustRead(t, filepath.Join(repository, "README.md"))); n > maxReadme {
		t.Errorf("README.md has %d bytes, want at most %d: move a part to the README beside the thing it describes", n, maxReadme)
	}
}

var (
	markdownLink    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	markdownHeading = regexp.MustCompile(`(?m)^#+ (.*)$`)
	notInSlug       = regexp.MustCompile(`[^a-z0-9 _-]`)
	fencedBlock     = regexp.MustCompile("(?ms)^```.*?^```$")
)

func TestLinksInReadmesResolve(t *testing.T) {
	for _, page := range pages(t) {
		text := mustRead(t, page)
		for _, match := range markdownLink.FindAllStringSubmatch(fencedBlock.ReplaceAllString(text, ""), -1) {
			if link := match[1]; !strings.Contains(link, "://") && !resolves(t, page, link) {
				t.Errorf("%s: %s leads nowhere", page, link)
			}
		}
	}
}

// resolves reports whether a relative link names an existing file and, after #,
// one of its headings.
func resolves(t *testing.T, page, link string) bool {
	t.Helper()
	path, heading, _ := strings.Cut(link, "#")
	target := page
	if path != "" {
		target = filepath.Join(filepath.Dir(page), path)
	}
	if _, err := os.Stat(target); err != nil {
		return false
	}
	if heading == "" {
		return true
	}
	for _, match := range markdownHeading.FindAllStringSubmatch(mustRead(t, target), -1) {
		if slug(match[1]) == heading {
			return true
		}
	}
	return false
}

// slug returns the anchor that hosting sites generate for a heading.
func slug(heading string) string {
	return strings.ReplaceAll(notInSlug.ReplaceAllString(strings.ToLower(heading), ""), " ", "-")
}

// Either a test runs the commands in a README, or the README says why not:
//
//	<!-- not run: it needs a cluster -->
func TestCommandsInReadmesAreRunOrMarked(t *testing.T) {
	for _, page := range pages(t) {
		inSession, before := false, ""
		for line := range strings.Lines(mustRead(t, page)) {
			line = strings.TrimSpace(line)
			switch {
			case line == sessionBegins || line == tourBegins:
				inSession = true
			case line == sessionEnds || line == tourEnds:
				inSession = false
			case (line == "```sh" || line == "```bash") && !inSession && !strings.HasPrefix(before, "<!-- not run: "):
				t.Errorf("%s: a block of commands is neither in a session nor marked, behind %q", page, before)
			}
			if line != "" {
				before = line
			}
		}
	}
}

// Commands in running text and tables must exist and have the given flags.
func TestCommandsNamedInReadmesExist(t *testing.T) {
	t.Parallel()
	named := regexp.MustCompile("`strongroom ([a-z][a-z-]*(?: [a-z][a-z-]*)*)[^`]*`")
	for _, page := range pages(t) {
		for _, match := range named.FindAllStringSubmatch(mustRead(t, page), -1) {
			words := strings.Fields(match[1])
			if r := run(t, append([]string{"help"}, words...)...); strings.Contains(r.stdout+r.stderr, "nknown") {
				t.Errorf("%s: strongroom %s: %s%s", page, match[1], r.stdout, r.stderr)
			}
		}
	}
}

// pages returns the paths of all READMEs and other Markdown files of this
// project.
func pages(t *testing.T) (paths []string) {
	t.Helper()
	err := filepath.WalkDir(repository, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != repository && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata"):
			return filepath.SkipDir
		case filepath.Ext(path) == ".md":
			paths = append(paths, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}
