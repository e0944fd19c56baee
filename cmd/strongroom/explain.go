package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	gen "github.com/strongroom/strongroom/gen/strongroom"
	"github.com/strongroom/strongroom/internal/safefile"
	"github.com/strongroom/strongroom/internal/secret"
)

func explainCommand() *cobra.Command {
	var subject, credential string
	c := adminCommand("explain --as SUBJECT | --credential-file FILE ACTION TARGET", "Explain whether a caller is allowed to do something, and which rule decides", cobra.ExactArgs(2),
		func(ctx context.Context, a *adminClient, args []string) error {
			body := gen.ExplainJSONRequestBody{Action: args[0], Target: args[1], Subject: &subject}
			if credential != "" {
				text, err := a.credential(credential)
				if err != nil {
					return fmt.Errorf("--credential-file: %w", err)
				}
				body.Credential = &text
			}
			resp, err := a.ExplainWithResponse(ctx, body)
			if err := refusal(resp, err); err != nil {
				return err
			}
			return a.printVerdicts(*resp.JSON200, bytes.TrimSpace(resp.Body))
		})
	c.Long = `Explain whether a caller is allowed to do something, and which rule decides: a line of a keys file or of the config, or
an issued key. ACTION is list, create, write, delete, reveal or admin. TARGET is a secret, as user/alice/GITHUB_TOKEN or
app/<uuid>/db, or an owner, as user/alice. For an owner, yes means at least one of its secrets, and each name in the
caller's grants gets a line of its own. For a refused credential it says why; the APIs do not tell their callers.
The exit code is 0 for yes.`
	c.Example = `  strongroom explain --as alice reveal user/alice/GITHUB_TOKEN
  strongroom explain --credential-file token.jwt list app/0f8fad5b-d9cb-469f-a165-70867728950e`
	c.ValidArgsFunction = completeExplain
	prints(c)
	f := c.Flags()
	f.StringVar(&subject, "as", "", "`subject` of API keys; for tokens use --credential-file")
	f.StringVar(&credential, "credential-file", "", "`file` with an API key or token, - for standard input")
	c.MarkFlagsMutuallyExclusive("as", "credential-file")
	c.MarkFlagsOneRequired("as", "credential-file")
	return c
}

// completeExplain completes the action.
func completeExplain(_ *cobra.Command, args []string, _ string) (actions []string, _ cobra.ShellCompDirective) {
	if len(args) == 0 {
		for _, action := range secret.Actions() {
			actions = append(actions, string(action))
		}
	}
	return actions, cobra.ShellCompDirectiveNoFileComp
}

// maxCredential is larger than any credential, in bytes.
const maxCredential = 16 << 10

func (a *adminClient) credential(path string) (string, error) {
	from := a.out.InOrStdin()
	if path != "-" {
		file, err := safefile.Open(path, os.O_RDONLY)
		if err != nil {
			return "", err
		}
		defer func() { _ = file.Close() }()
		from = file
	}
	text, err := io.ReadAll(io.LimitReader(from, maxCredential))
	return strings.TrimSpace(string(text)), err
}

// printVerdicts writes the verdict on each credential. If none allows the action,
// the verdicts are the error.
func (a *adminClient) printVerdicts(verdicts []gen.Verdict, document []byte) error {
	if len(verdicts) == 0 {
		return errors.New("no caller matches this credential")
	}
	var lines []string
	allowed := false
	for _, v := range verdicts {
		lines = append(lines, verdictLine(v))
		allowed = allowed || v.Allowed
	}
	text := strings.Join(lines, "\n")
	switch {
	case !allowed && a.wantsJSON():
		return errors.Join(a.printf("%s\n", document), errors.New(text))
	case !allowed:
		return errors.New(text)
	}
	return a.print(document, func() error { return a.printf("%s\n", text) })
}

func verdictLine(v gen.Verdict) string {
	if v.Refused != nil {
		return fmt.Sprintf("no: %s refuses it: %s", v.Strategy, *v.Refused)
	}
	who, text, by := v.Subject, "no", "by "+v.By
	if v.Key != "" {
		who += ", key " + v.Key
	}
	if v.Allowed {
		text = "yes"
	}
	if v.By == "" {
		by = "no grant applies"
	}
	return fmt.Sprintf("%s: %s, %s: %s", text, v.Strategy, who, by)
}
