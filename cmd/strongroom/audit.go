package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	gen "github.com/strongroom/strongroom/gen/strongroom"
	"github.com/strongroom/strongroom/internal/duration"
	"github.com/strongroom/strongroom/internal/safefile"
)

func auditCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "audit", Short: "Read and verify the audit log", Args: noArgs, RunE: showHelp,
		Long: `Read and verify the audit log: all attempts on secrets, with their callers and outcomes. Entries are
lines of JSON. No entry has a value.`,
		Example: `  strongroom audit tail`,
	}
	c.AddCommand(
		auditVerifyCommand(),
		auditTailCommand(),
		auditSearchCommand(),
		auditExportCommand(),
		auditPruneCommand(),
		asksFirst(described(adminCommand("mend", "Accept an altered state file, and continue its audit log", noArgs, mendAudit),
			`Accept a state file whose rows are not those that Strongroom has written, and continue an audit log with a damaged
head after its last intact entry. The server does not start with such a file. An intact file is not changed.
See strongroom doctor and strongroom audit verify first, and keep a copy of the state file if the cause is unknown.`,
			`  strongroom audit mend`), says("This accepts the state file as it is, with a new head for the audit log. What was altered or removed can then no longer be proven.")),
	)
	return c
}

func auditVerifyCommand() *cobra.Command {
	var anchorFile string
	c := adminCommand("verify", "Verify the whole chain, and print its head", noArgs, func(ctx context.Context, a *adminClient, _ []string) error {
		body := gen.VerifyAuditJSONRequestBody{}
		if a.out.Flags().Changed("anchor") {
			text, err := safefile.Read(anchorFile)
			if err != nil {
				return fmt.Errorf("--anchor: %w", err)
			}
			anchor := lastLine(string(text))
			if anchor == "" {
				return errors.New("--anchor: the last line of the file must be a head of the audit log")
			}
			body.Anchor = &anchor
		}
		resp, err := a.VerifyAuditWithResponse(ctx, body)
		if err := refusal(resp, err); err != nil {
			return err
		}
		if r := resp.JSON200; !r.Ok {
			return fmt.Errorf("after %d entries: %s", r.Entries, r.Problem)
		}
		return a.printf("%d entries, and the chain is intact\n%s\n", resp.JSON200.Entries, resp.JSON200.Anchor)
	})
	c.Long = `Verify the whole chain, and print its head. It reports entries that were edited, removed, moved or cut off.
Entries cut off at the end are found only with --anchor.`
	c.Example = `  strongroom audit verify
  strongroom audit verify --anchor heads.log`
	c.Flags().StringVar(&anchorFile, "anchor", "", "a `file` whose last line is a head that was printed or anchored earlier")
	_ = c.MarkFlagFilename("anchor")
	return c
}

func lastLine(text string) string {
	text = strings.TrimRight(text, "\n")
	return text[strings.LastIndexByte(text, '\n')+1:]
}

func auditTailCommand() *cobra.Command {
	var lines int
	var follow bool
	c := adminCommand("tail", "Print the last entries, as lines of JSON", noArgs, func(ctx context.Context, a *adminClient, _ []string) error {
		if lines < 1 || lines > 1000 {
			return errors.New("--lines: must be 1 to 1000")
		}
		last, err := a.writeEntries(ctx, gen.ReadAuditJSONRequestBody{Last: &lines}, everyEntry)
		if err != nil && !errors.Is(err, io.EOF) { // EOF: the audit log is empty
			return err
		}
		if follow {
			return a.followEntries(ctx, last)
		}
		return nil
	})
	c.Example = `  strongroom audit tail -n 50
  strongroom audit tail -f
  strongroom audit tail | jq -r .action`
	c.Flags().BoolVarP(&follow, "follow", "f", false, "wait for more entries, until interrupted; needs a running server")
	c.Flags().IntVarP(&lines, "lines", "n", 10, "`number` of entries, at most 1000")
	return c
}

func auditExportCommand() *cobra.Command {
	var after int
	var follow bool
	c := adminCommand("export", "Print all entries, as lines of JSON", noArgs, func(ctx context.Context, a *adminClient, _ []string) error {
		if after < 0 {
			return errors.New("--after: must not be negative")
		}
		if follow {
			return a.followEntries(ctx, after)
		}
		_, err := a.exportEntries(ctx, after, everyEntry)
		return err
	})
	c.Long = `Print the entries of the audit log in order, as lines of JSON. The number of an entry is its seq.`
	c.Example = `  strongroom audit export
  strongroom audit export --after 1200 --follow`
	c.Flags().IntVar(&after, "after", 0, "`number` of the entry after which to start (default from the first)")
	c.Flags().BoolVarP(&follow, "follow", "f", false, "wait for more entries, until interrupted; needs a running server")
	return c
}

// everyEntry accepts all entries.
func everyEntry(json.RawMessage) bool { return true }

// exportEntries writes all entries to keep after a number and returns the number of the last one.
func (a *adminClient) exportEntries(ctx context.Context, after int, keep func(json.RawMessage) bool) (last int, err error) {
	for {
		last, err := a.writeEntries(ctx, gen.ReadAuditJSONRequestBody{After: &after}, keep)
		if errors.Is(err, io.EOF) {
			return after, nil
		}
		if err != nil {
			return after, err
		}
		after = last
	}
}

// followEvery is the interval between two requests for newer entries.
const followEvery = time.Second

func (a *adminClient) followEntries(ctx context.Context, after int) error {
	status, err := a.StatusWithResponse(ctx)
	if err := refusal(status, err); err != nil {
		return err
	}
	if !status.JSON200.Serving {
		return errors.New("--follow: no server is running, so nothing would be added")
	}
	for ctx.Err() == nil {
		if after, err = a.exportEntries(ctx, after, everyEntry); err != nil && ctx.Err() == nil {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(followEvery):
		}
	}
	return nil // the user interrupted it
}

// writeEntries writes the server's lines unchanged. It returns the number of the last
// entry, or io.EOF if there was none.
func (a *adminClient) writeEntries(ctx context.Context, body gen.ReadAuditJSONRequestBody, keep func(json.RawMessage) bool) (last int, err error) {
	resp, err := a.ReadAuditWithResponse(ctx, body)
	if err := refusal(resp, err); err != nil {
		return 0, err
	}
	var lines []json.RawMessage
	if err := json.Unmarshal(resp.Body, &lines); err != nil {
		return 0, fmt.Errorf("reading the answer: %w", err)
	}
	for _, line := range lines {
		if !keep(line) {
			continue
		}
		if err := a.printf("%s\n", line); err != nil {
			return 0, err
		}
	}
	if len(lines) == 0 {
		return 0, io.EOF
	}
	var end struct{ Seq int }
	err = json.Unmarshal(lines[len(lines)-1], &end)
	return end.Seq, err
}

func auditPruneCommand() *cobra.Command {
	var keep duration.Duration
	c := adminCommand("prune --keep DURATION", "Remove old entries, and leave a signed checkpoint", noArgs, func(ctx context.Context, a *adminClient, _ []string) error {
		if keep <= 0 {
			return errors.New("--keep: must be more than 0")
		}
		before := time.Now().Add(-time.Duration(keep)).UTC().Format(time.RFC3339)
		resp, err := a.PruneAuditWithResponse(ctx, gen.PruneAuditJSONRequestBody{Before: before})
		if err := refusal(resp, err); err != nil {
			return err
		}
		return a.printf("%d entries dropped\n", resp.JSON200.Count)
	})
	c.Flags().Var(&keep, "keep", "`time` for which entries are kept, such as 365d")
	_ = c.MarkFlagRequired("keep") // fails only for a flag that does not exist
	c.Long = `Remove old entries, and leave a signed checkpoint from which the other entries can still be verified. audit.retention in
the config does the same every hour.`
	c.Example = `  strongroom audit prune --keep 365d`
	return asksFirst(c, func([]string) string {
		return fmt.Sprintf("This removes all audit entries older than %s for good. Export them first with strongroom audit export.", &keep)
	})
}

func mendAudit(ctx context.Context, a *adminClient, _ []string) error {
	resp, err := a.MendAuditWithResponse(ctx)
	if err := refusal(resp, err); err != nil {
		return err
	}
	if !resp.JSON200.Mended {
		return a.printf("the head is intact and no row was altered: nothing was changed\n")
	}
	return a.printf("the state file is accepted as it is; the audit log continues after its last intact entry, and later entries are lost\n")
}
