package packages

import (
	"archive/tar"
	"compress/gzip"
	"debug/elf"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The architectures by Go's names, as packages and programs name them.
var architectures = map[string]struct {
	rpm     string
	machine elf.Machine
}{
	"amd64": {"x86_64", elf.EM_X86_64},
	"arm64": {"aarch64", elf.EM_AARCH64},
}

// Packages for another architecture than this machine's cannot be installed here. They
// have the same files, and a program for their own processor.
func TestPackagesOfEachArchitectureHaveTheSameFiles(t *testing.T) {
	var deb, rpm, archive []string
	for _, arch := range []string{"amd64", "arm64"} {
		deb = wantSame(t, deb, mustUnpackDeb(t, arch))
		archive = wantSame(t, archive, mustUnpackArchive(t, arch))
		wantImage(t, arch)
	}
	if _, err := exec.LookPath("rpm"); err != nil {
		t.Fatalf("THE RPM IS NOT TESTED: %v", err)
	}
	for _, arch := range []string{"amd64", "arm64"} {
		rpm = wantSame(t, rpm, mustListRPM(t, arch))
	}
}

// wantSame compares the files of two packages, if there is an earlier one.
func wantSame(t *testing.T, before, now []string) []string {
	t.Helper()
	if len(now) < 10 {
		t.Errorf("a package has only the files %q", now)
	}
	if before != nil && !slices.Equal(before, now) {
		t.Errorf("the packages differ:\n%q\n%q", before, now)
	}
	return now
}

func mustUnpackDeb(t *testing.T, arch string) (files []string) {
	t.Helper()
	deb, dir := mustFind(t, currentDir, "*_"+arch+".deb"), t.TempDir()
	if got := mustRun(t, "dpkg-deb", "--field", deb, "Architecture"); got != arch {
		t.Errorf("%s is for %s", deb, got)
	}
	mustRun(t, "dpkg-deb", "--extract", deb, dir)
	wantProgramFor(t, arch, filepath.Join(dir, "usr/bin/strongroom"))
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, strings.TrimPrefix(path, dir))
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	return files
}

func mustListRPM(t *testing.T, arch string) []string {
	t.Helper()
	rpm := mustFind(t, currentDir, "*."+architectures[arch].rpm+".rpm")
	if got := mustRun(t, "rpm", "-qp", "--qf", "%{ARCH} %{OS}", rpm); got != architectures[arch].rpm+" linux" {
		t.Errorf("%s is for %s", rpm, got)
	}
	return strings.Fields(mustRun(t, "rpm", "-qpl", rpm))
}

func mustUnpackArchive(t *testing.T, arch string) (files []string) {
	t.Helper()
	f, err := os.Open(mustFind(t, currentDir, "*-linux-"+arch+".tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	unzipped, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(unzipped); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		_, name, _ := strings.Cut(h.Name, "/")
		files = append(files, name)
		if name == "usr/bin/strongroom" {
			program := filepath.Join(t.TempDir(), "strongroom")
			content, err := io.ReadAll(r)
			if err = errors.Join(err, os.WriteFile(program, content, 0o700)); err != nil {
				t.Fatal(err)
			}
			wantProgramFor(t, arch, program)
		}
	}
}

func wantImage(t *testing.T, arch string) {
	t.Helper()
	layout, root := t.TempDir(), t.TempDir()
	mustUntar(t, mustFind(t, currentDir, "*-linux-"+arch+".oci.tar"), layout)
	var index, manifest struct {
		Manifests []struct {
			Digest   string
			Platform struct{ Architecture string }
		}
		Config struct{ Digest string }
		Layers []struct{ Digest string }
	}
	var config struct{ Architecture, OS string }
	mustDecode(t, filepath.Join(layout, "index.json"), &index)
	mustDecode(t, mustBlob(t, layout, index.Manifests[0].Digest), &manifest)
	mustDecode(t, mustBlob(t, layout, manifest.Config.Digest), &config)
	if config.Architecture != arch || config.OS != "linux" || index.Manifests[0].Platform.Architecture != arch {
		t.Errorf("the image for %s is for %+v, and its index says %+v", arch, config, index.Manifests[0].Platform)
	}
	for _, l := range manifest.Layers {
		mustUntar(t, mustBlob(t, layout, l.Digest), root)
	}
	wantProgramFor(t, arch, filepath.Join(root, "strongroom"))
}

// wantProgramFor checks that a program is for the processor, and needs no libraries.
func wantProgramFor(t *testing.T, arch, program string) {
	t.Helper()
	f, err := elf.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if f.Machine != architectures[arch].machine || f.Section(".interp") != nil {
		t.Errorf("the program for %s is for %v, and wants a loader: %t", arch, f.Machine, f.Section(".interp") != nil)
	}
}

func mustRun(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return strings.TrimSpace(string(out))
}
