package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

func testRelease() *release {
	return &release{source: "../../..", version: "1.2.3", commit: "c0ffee", time: time.Unix(1800000000, 0).UTC()}
}

// The schemas are CycloneDX's own; its library contains them.
func TestBOMIsValid(t *testing.T) {
	program, err := os.Executable() // its modules are those of this module
	if err != nil {
		t.Fatal(err)
	}
	modules, err := modulesOf(program)
	if err != nil || len(modules) < 2 {
		t.Fatalf("%d modules: %v", len(modules), err)
	}
	var b bytes.Buffer
	if err := testRelease().writeBOM(&b, "amd64", modules); err != nil {
		t.Fatal(err)
	}
	valid := mustCompileSchema(t)
	if err := valid(b.String()); err != nil {
		t.Errorf("the SBOM is not valid: %v", err)
	}
	if valid(strings.Replace(b.String(), `"type": "library"`, `"type": "book"`, 1)) == nil {
		t.Error("a wrong SBOM is valid")
	}
}

// The SBOMs of a build, of which make packages-test sets the directory.
func TestBuiltBOMsAreValid(t *testing.T) {
	dir := os.Getenv("STRONGROOM_PACKAGES")
	if dir == "" {
		t.Skip("no packages are tested: make packages-test sets STRONGROOM_PACKAGES")
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.cdx.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no SBOMs in %s: %v", dir, err)
	}
	valid := mustCompileSchema(t)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err == nil {
			err = valid(string(text))
		}
		if err != nil || !strings.Contains(string(text), `"pkg:golang/github.com/labstack/echo/v4@`) {
			t.Errorf("%s: %v", file, err)
		}
	}
}

func mustCompileSchema(t *testing.T) (validate func(document string) error) {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/CycloneDX/cyclonedx-go").Output()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(strings.TrimSpace(string(out)), "schema")
	c := jsonschema.NewCompiler()
	c.UseLoader(schemas(dir))
	schema, err := c.Compile("http://cyclonedx.org/schema/bom.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return func(document string) error {
		parsed, err := jsonschema.UnmarshalJSON(strings.NewReader(document))
		if err != nil {
			return err
		}
		return schema.Validate(parsed)
	}
}

// schemas loads CycloneDX's schemas from a directory. One of them has another name there.
type schemas string

func (dir schemas) Load(url string) (any, error) {
	name := map[string]string{
		"bom.schema.json": "bom-1.6.schema.json", "jsf-0.82.schema.json": "jsf-0.82.schemax.json",
	}[filepath.Base(url)]
	if name == "" {
		name = filepath.Base(url)
	}
	f, err := os.Open(filepath.Join(string(dir), name))
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return jsonschema.UnmarshalJSON(f)
}

func TestArchivesOfTheSameFilesAreTheSame(t *testing.T) {
	build := func(umask os.FileMode) []byte {
		dir := t.TempDir()
		for name, mode := range map[string]os.FileMode{"b": 0o666, "a": 0o777} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(name), mode&^umask); err != nil {
				t.Fatal(err)
			}
		}
		var b bytes.Buffer
		if err := testRelease().writeArchive(&b, "tree", dir); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	if !bytes.Equal(build(0o022), build(0o077)) {
		t.Error("the archive depends on the directory or the umask")
	}
}

func TestImageIndexNamesTheVersion(t *testing.T) {
	text, err := testRelease().index("arm64", []byte("{}"))
	var index struct {
		Manifests []struct {
			Annotations map[string]string
			Platform    struct{ Architecture string }
		}
	}
	if err == nil {
		err = json.Unmarshal(text, &index)
	}
	if err != nil {
		t.Fatal(err)
	}
	m := index.Manifests[0]
	if m.Platform.Architecture != "arm64" || m.Annotations["io.containerd.image.name"] != "docker.io/library/strongroom:1.2.3" {
		t.Errorf("the index is %s", text)
	}
}
