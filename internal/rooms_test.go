package internal_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// maxLines is the length of the longest function that reads without scrolling.
const maxLines = 60

// Test files are exempt, since many tests are one long table.
func TestFunctionsHaveAtMost60Lines(t *testing.T) {
	set, functions := token.NewFileSet(), 0
	for path, file := range sources(t, set, "..") {
		for _, d := range file.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			functions++
			if n := set.Position(fn.End()).Line - set.Position(fn.Pos()).Line + 1; n > maxLines {
				t.Errorf("%s: %s has %d lines, want at most %d: split it", path, fn.Name.Name, n, maxLines)
			}
		}
	}
	if functions < 1000 {
		t.Errorf("found only %d functions", functions)
	}
}

// serving lists the names, by import path, that a package needs to serve
// anything. A * stands for every name.
var serving = map[string]string{
	"net":                         "Listen ListenTCP ListenUnix ListenPacket ListenConfig FileListener",
	"crypto/tls":                  "Listen NewListener",
	"net/http":                    "Server Serve ServeTLS ListenAndServe ListenAndServeTLS Handle HandleFunc NewServeMux",
	"github.com/labstack/echo/v4": "*",
	module + "internal/server":    "*",
}

// Commands stay thin: internal/app opens, wires and serves the parts.
func TestCommandsServeNothing(t *testing.T) {
	commands := 0
	for path, file := range sources(t, token.NewFileSet(), "../cmd") {
		if len(uses(file, map[string]string{"github.com/spf13/cobra": "Command"})) > 0 {
			commands++
		}
		for _, used := range uses(file, serving) {
			t.Errorf("%s uses %s: move the serving part to internal/app", path, used)
		}
	}
	if commands < 10 {
		t.Errorf("found only %d files with commands", commands)
	}
}

// uses returns the imported names in the file that the table has.
func uses(file *ast.File, table map[string]string) (used []string) {
	wanted := map[string]string{} // by the local name of the import
	for _, i := range file.Imports {
		importPath, _ := strconv.Unquote(i.Path.Value)
		names, ok := table[importPath]
		switch {
		case !ok:
		case names == "*":
			used = append(used, importPath)
		case i.Name != nil:
			wanted[i.Name.Name] = names
		default:
			wanted[filepath.Base(importPath)] = names
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		s, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if x, ok := s.X.(*ast.Ident); ok && slices.Contains(strings.Fields(wanted[x.Name]), s.Sel.Name) {
			used = append(used, fmt.Sprintf("%s.%s", x.Name, s.Sel.Name))
		}
		return true
	})
	return used
}

// sources returns the parsed Go files below a directory, by path, without
// tests and generated files.
func sources(t *testing.T, set *token.FileSet, root string) map[string]*ast.File {
	t.Helper()
	files := map[string]*ast.File{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && strings.HasPrefix(d.Name(), "."):
			return fs.SkipDir
		case !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(set, path, nil, parser.ParseComments)
		if err == nil && !ast.IsGenerated(file) {
			files[path] = file
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
