package main

import (
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// modulesOf returns the modules of a program, the standard library first.
func modulesOf(program string) ([]*debug.Module, error) {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return nil, err
	}
	modules := []*debug.Module{{Path: "std", Version: strings.TrimPrefix(strings.Fields(info.GoVersion)[0], "go")}}
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		modules = append(modules, m)
	}
	return modules, nil
}

// writeBOM writes the software bill of materials. It has no serial number, which would
// differ between builds.
func (r *release) writeBOM(w io.Writer, arch string, modules []*debug.Module) error {
	program := cdx.Component{
		BOMRef: "strongroom", Type: cdx.ComponentTypeApplication, Name: "strongroom", Version: r.version, Description: summary,
		Properties: &[]cdx.Property{{Name: "commit", Value: r.commit}, {Name: "architecture", Value: arch}},
	}
	var components []cdx.Component
	var refs []string
	for _, m := range modules {
		ref := fmt.Sprintf("pkg:golang/%s@%s", m.Path, url.PathEscape(m.Version))
		c := cdx.Component{BOMRef: ref, Type: cdx.ComponentTypeLibrary, Name: m.Path, Version: m.Version, PackageURL: ref}
		if m.Sum != "" {
			c.Properties = &[]cdx.Property{{Name: "go.sum", Value: m.Sum}}
		}
		components, refs = append(components, c), append(refs, ref)
	}
	bom := cdx.NewBOM()
	bom.Metadata = &cdx.Metadata{Timestamp: r.time.Format("2006-01-02T15:04:05Z"), Component: &program}
	bom.Components = &components
	bom.Dependencies = &[]cdx.Dependency{{Ref: program.BOMRef, Dependencies: &refs}}
	return cdx.NewBOMEncoder(w, cdx.BOMFileFormatJSON).SetPretty(true).EncodeVersion(bom, cdx.SpecVersion1_6)
}

const copyright = `Strongroom, copyright by its authors. Its repository has no licence file: ask its authors
before you pass it on.

The program contains modules under their own licences, which are in licenses.gz beside this
file. On Debian, the Apache License 2.0 is in /usr/share/common-licenses/Apache-2.0.
`

// licenses returns the notices of all modules in the program. Their licences require that
// it is distributed with them.
func (r *release) licenses(modules []*debug.Module) ([]byte, error) {
	var b strings.Builder
	for _, m := range modules {
		dir, err := r.directory(m)
		if err != nil {
			return nil, err
		}
		files, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil {
			return nil, err
		}
		notices := slices.DeleteFunc(files, func(file string) bool { return !isNotice(filepath.Base(file)) })
		if len(notices) == 0 {
			return nil, fmt.Errorf("%s has no licence file", m.Path)
		}
		for _, file := range notices {
			text, err := os.ReadFile(file)
			if err != nil {
				return nil, err
			}
			fmt.Fprintf(&b, "== %s %s: %s\n\n%s\n\n", m.Path, m.Version, filepath.Base(file), strings.TrimSpace(string(text)))
		}
	}
	return []byte(b.String()), nil
}

// isNotice reports whether a file has the terms of a licence or a notice.
func isNotice(name string) bool {
	name = strings.ToUpper(name)
	return strings.HasPrefix(name, "LICENSE") || strings.HasPrefix(name, "LICENCE") || strings.HasPrefix(name, "COPYING") || strings.HasPrefix(name, "NOTICE")
}

// directory returns the directory with a module's source.
func (r *release) directory(m *debug.Module) (string, error) {
	if m.Path == "std" {
		out, err := r.run(nil, "go", "env", "GOROOT")
		return strings.TrimSpace(string(out)), err
	}
	out, err := r.run(nil, "go", "mod", "download", "-json", m.Path+"@"+m.Version)
	if err != nil {
		return "", err
	}
	var module struct{ Dir string }
	err = json.Unmarshal(out, &module)
	return module.Dir, err
}
