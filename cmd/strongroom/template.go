package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"text/template"

	"github.com/spf13/cobra"

	"github.com/strongroom/strongroom/internal/client"
	"github.com/strongroom/strongroom/internal/safefile"
)

func templateCommand() *cobra.Command {
	var out, mode string
	var show bool
	c := remoteCommand("template FILE", "Fill a Go template with secrets", cobra.ExactArgs(1), func(ctx context.Context, r *remote, args []string) error {
		perm, err := strconv.ParseUint(mode, 8, 9)
		if err != nil {
			return fmt.Errorf("--mode: %q: want octal digits such as 0600", mode)
		}
		if out == "" {
			if err := r.mustHide(show); err != nil {
				return err
			}
		}
		text, err := r.fill(ctx, args[0])
		if err != nil {
			return err
		}
		if out == "" {
			return r.printf("%s", text)
		}
		return safefile.Replace(out, os.FileMode(perm), text)
	})
	c.Long = `Fill a template of Go's text/template with secrets: {{secret "OWNER" "NAME"}}, or {{secret "OWNER" "NAME" "KEY"}} for one of several
values. Nothing is written unless all secrets can be read. --out replaces the file in one step. The file has values in clear, so keep it
in memory, below /dev/shm or /run.`
	c.Example = `  strongroom template app.conf.tmpl --out /run/app/app.conf --mode 0640
  strongroom template app.conf.tmpl > app.conf`
	f := c.Flags()
	f.StringVar(&out, "out", "", "replace this `file` in one step")
	f.StringVar(&mode, "mode", "0600", "octal `mode` of the file of --out")
	f.BoolVar(&show, "show", false, "print values even to a terminal")
	return c
}

// fill returns the filled template. Its errors name the secret and quote no value.
func (r *remote) fill(ctx context.Context, path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	t, err := template.New(path).Option("missingkey=error").Funcs(template.FuncMap{
		"secret": func(owner, name string, key ...string) (string, error) {
			ref := client.Ref{Name: name}
			switch len(key) {
			case 0:
			case 1:
				ref.DataKey = key[0]
			default:
				return "", errors.New("secret takes an owner, a name and at most one data key")
			}
			v, err := r.value(ctx, owner, ref)
			return string(v), err
		},
	}).Parse(string(text))
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = t.Execute(&b, nil)
	return b.Bytes(), err
}
