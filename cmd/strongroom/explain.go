package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	gen "github.com/strongroom/strongroom/gen/strongroom"
	"github.com/strongroom/strongroom/internal/safefile"
)

func explainCommand() *cobra.Command {
	var subject, credential string
	c := adminCommand("explain --as SUBJECT | --credential-file FILE ACTION TARGET", "Say whether a caller may do something, and by which line", cobra.ExactArgs(2),
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
			return a.printVerdicts(*resp.JSON200)
		})
	c.Long = `Say whether a caller may do something, and by which line: of a keys file, of the config, or of an issued key. ACTION is
list, create, write, delete, reveal or admin; TARGET is a secret, as user/alice/GITHUB_TOKEN or app/<uuid>/db, or what
an owner has, as user/alice: a yes is then about some of it at least, and where grants have names each of those has an
answer of its own. Of a credential that is refused it says why: callers of the APIs are not told. The exit code is 0 for a yes.`
	f := c.Flags()
	f.StringVar(&subject, "as", "", "`subject` of keys; who has a token has it by its roles, see --credential-file")
	f.StringVar(&credential, "credential-file", "", "`file` with a key or token, - for standard input")
	c.MarkFlagsMutuallyExclusive("as", "credential-file")
	c.MarkFlagsOneRequired("as", "credential-file")
	return c
}

// maxCredential is more than any credential has bytes.
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

// printVerdicts writes what each credential may. If that is nothing, it is what
// went wrong.
func (a *adminClient) printVerdicts(verdicts []gen.Verdict) error {
	if len(verdicts) == 0 {
		return errors.New("nobody is known by that")
	}
	var lines []string
	allowed := false
	for _, v := range verdicts {
		lines = append(lines, verdictLine(v))
		allowed = allowed || v.Allowed
	}
	if !allowed {
		return errors.New(strings.Join(lines, "\n"))
	}
	return a.printf("%s\n", strings.Join(lines, "\n"))
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
		by = "no grant is about it"
	}
	return fmt.Sprintf("%s: %s, %s: %s", text, v.Strategy, who, by)
}
