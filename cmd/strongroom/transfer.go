package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/strongroom/strongroom/internal/client"
	"github.com/strongroom/strongroom/internal/client/envfile"
	"github.com/strongroom/strongroom/internal/safefile"
)

func formatFlag(c *cobra.Command, name *string, fallback, usage string) {
	c.Flags().StringVarP(name, "format", "f", fallback, "`format`: "+strings.Join(envfile.Names(), ", ")+usage)
	_ = c.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(envfile.Names(), cobra.ShellCompDirectiveNoFileComp))
}

func exportCommand() *cobra.Command {
	var sel client.Selection
	var name, out string
	var show bool
	c := remoteCommand("export [OWNER]", "Write secrets as a .env file, JSON, YAML or in another format", cobra.MaximumNArgs(1), func(ctx context.Context, r *remote, args []string) error {
		f, err := envfile.Parse(name)
		if err != nil {
			return fmt.Errorf("--format: %w", err)
		}
		if out == "" {
			if err := r.mustHide(show); err != nil {
				return err
			}
		}
		text, err := r.export(ctx, strings.Join(args, ""), sel, f)
		if err != nil {
			return err
		}
		if out != "" {
			return safefile.CreateText(out, text)
		}
		return r.printf("%s", text)
	})
	c.Long = `Write secrets to standard output, or with --out to a new file that only you can read. An exported file has values in clear: strongroom run
needs none.

JSON and YAML keep the names of secrets and data keys. The other formats use the variables of strongroom run; kubernetes is a
manifest of a Secret. A value that a format cannot hold is an error, such as a line break for docker --env-file.`
	c.Example = `  strongroom export > .env
  strongroom export app/0f8fad5b-d9cb-469f-a165-70867728950e --format json --out secrets.json
  strongroom export --format kubernetes --only GITHUB_TOKEN | kubectl apply -f -`
	formatFlag(c, &name, string(envfile.Dotenv), "")
	selectionFlags(c, &sel)
	c.Flags().StringVar(&out, "out", "", "write a new `file` with mode 0600")
	c.Flags().BoolVar(&show, "show", false, "print values even to a terminal")
	return c
}

func (r *remote) export(ctx context.Context, owner string, sel client.Selection, f envfile.Name) ([]byte, error) {
	s, of, err := r.open(owner)
	if err != nil {
		return nil, err
	}
	vars, _, err := client.Vars(ctx, s, of, sel)
	if err != nil {
		return nil, err
	}
	return envfile.Write(f, vars)
}

// An applier shows a plan and applies it.
type applier struct {
	yes, dryRun, prune bool
}

func (a *applier) flags(c *cobra.Command, prune string) {
	f := c.Flags()
	f.BoolVarP(&a.yes, "yes", "y", false, "do not ask for confirmation")
	f.BoolVar(&a.dryRun, "dry-run", false, "only show the changes")
	f.BoolVar(&a.prune, "prune", false, prune)
	outputFlag(c)
}

// apply shows the changes, asks and makes them.
func (a *applier) apply(ctx context.Context, r *remote, s client.Secrets, plan *client.Plan) error {
	err := r.print(plan.Rows, func() error {
		return writeTable(r.out.OutOrStdout(), "NAME|CHANGE|NOW|AFTER", plan.Rows, func(row client.Row) []string {
			return []string{row.Name, string(row.Step), dash(row.Now), dash(row.Then)}
		})
	})
	if err != nil || a.dryRun || plan.Steps() == 0 {
		return err
	}
	if err := r.agree(a.yes, fmt.Sprintf("This changes %d secrets.", plan.Steps())); err != nil {
		return err
	}
	warnings, err := plan.Apply(ctx, s, r.progress(plan.Steps()))
	r.warn(warnings)
	return err
}

func dash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// manySecrets is the number of secrets above which a terminal shows the progress.
const manySecrets = 50

func (r *remote) progress(of int) func(int) {
	if of <= manySecrets || !isTerminal(r.out.ErrOrStderr()) {
		return func(int) {}
	}
	return func(done int) {
		end := ""
		if done == of {
			end = "\n"
		}
		_, _ = fmt.Fprintf(r.out.ErrOrStderr(), "\r%d of %d%s", done, of, end)
	}
}

func importCommand() *cobra.Command {
	var a applier
	var name, into string
	c := remoteCommand("import [OWNER] FILE", "Create and change secrets from a .env, JSON, YAML or other file", cobra.RangeArgs(1, 2), func(ctx context.Context, r *remote, args []string) error {
		owner, path := ownerAnd(args)
		vars, err := readVars(r, path, name)
		if err != nil {
			return fmt.Errorf("reading %s: %w; nothing was changed", path, err)
		}
		s, kind, err := r.open(owner)
		if err != nil {
			return err
		}
		wanted := client.Wanted(vars, into)
		if err := client.Check(kind, wanted); err != nil {
			return fmt.Errorf("%w; nothing was changed", err)
		}
		plan, err := client.NewPlan(ctx, s, wanted, a.prune)
		if err != nil {
			return err
		}
		return a.apply(ctx, r, s, plan)
	})
	c.Long = `Create and change secrets from a file, or from standard input if FILE is -. All lines are read first; an invalid one is reported and
changes nothing. Then a table shows which values are new, changed or the same, with fingerprints that compare values within
this table only. Then the command asks.

Besides the formats of strongroom export it reads Kubernetes' manifests of a Secret and the JSON of doppler secrets, infisical
export and vault kv get -format=json. The format follows from the file's name and beginning, or from --format. .env
files are read like Node's dotenv does, and no variable in them is expanded.

The secrets of the file replace those of the same names; data keys that it does not have stay, too, without --prune.`
	c.Example = `  strongroom import .env
  strongroom import app/0f8fad5b-d9cb-469f-a165-70867728950e secrets.json --dry-run
  strongroom import app/0f8fad5b-d9cb-469f-a165-70867728950e db.env --into db
  strongroom import vault.json --yes`
	formatFlag(c, &name, "", " (default by the file's name and beginning)")
	c.Flags().StringVar(&into, "into", "", "make all values of the file data keys of one app secret of this `name`")
	a.flags(c, "also delete secrets and data keys that are not in the file")
	return c
}

func readVars(r *remote, path, name string) ([]envfile.Var, error) {
	text, err := readImport(r, path)
	if err != nil {
		return nil, err
	}
	f := envfile.Detect(path, text)
	if name != "" {
		if f, err = envfile.Parse(name); err != nil {
			return nil, fmt.Errorf("--format: %w", err)
		}
	}
	return envfile.Read(f, text)
}

func readImport(r *remote, path string) ([]byte, error) {
	if path == "-" {
		text, err := readAtMost(r.out.InOrStdin(), maxImport)
		return text, err
	}
	f, err := safefile.Open(path, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return readAtMost(f, maxImport)
}

func copyCommand() *cobra.Command {
	var a applier
	c := remoteCommand("copy FROM TO [NAME...]", "Copy secrets to another owner or server", cobra.MinimumNArgs(2), func(ctx context.Context, r *remote, args []string) error {
		from, _, err := r.open(args[0])
		if err != nil {
			return err
		}
		to, kind, err := r.open(args[1])
		if err != nil {
			return err
		}
		wanted, err := client.Choose(ctx, from, args[2:])
		if err != nil {
			return err
		}
		if err := client.Check(kind, wanted); err != nil {
			return err
		}
		plan, err := client.NewPlan(ctx, to, wanted, a.prune)
		if err != nil {
			return err
		}
		return a.apply(ctx, r, to, plan)
	})
	c.Long = `Copy all secrets of an owner, or those with the given names, to another owner or to another server. A table shows which values are new,
changed or the same, with fingerprints that compare values within this table only, never values. Then the command asks.

FROM and TO are me, user/<id>, app/<uuid> or an alias, and PROFILE:OWNER on the server of another profile.`
	c.Example = `  strongroom copy staging:app/0f8fad5b-d9cb-469f-a165-70867728950e production:app/0f8fad5b-d9cb-469f-a165-70867728950e --dry-run
  strongroom copy me work:me GITHUB_TOKEN NPM_TOKEN`
	a.flags(c, "also delete secrets and data keys that are only in TO; needs all secrets, so no NAME")
	before := c.Args
	c.Args = func(c *cobra.Command, args []string) error {
		if a.prune && len(args) > 2 {
			return errors.New("--prune compares all secrets: leave the names out")
		}
		return before(c, args)
	}
	return c
}
