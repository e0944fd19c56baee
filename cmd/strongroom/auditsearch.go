package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/strongroom/strongroom/internal/duration"
)

func auditSearchCommand() *cobra.Command {
	var q auditQuery
	var since, until string
	c := adminCommand("search", "Print the entries about a secret, an owner or a caller, as lines of JSON", noArgs, func(ctx context.Context, a *adminClient, _ []string) (err error) {
		if q.since, err = momentOf(since); err != nil {
			return fmt.Errorf("--since: %w", err)
		}
		if q.until, err = momentOf(until); err != nil {
			return fmt.Errorf("--until: %w", err)
		}
		_, err = a.exportEntries(ctx, 0, q.matches)
		return err
	})
	c.Long = `Print the entries of the audit log that match all given flags, as lines of JSON. --secret also finds renames,
coalesced reads of several secrets, and the creation of keys whose grants name the secret. It reads the whole log.`
	c.Example = `  strongroom audit search --secret GITHUB_TOKEN --action reveal --since 7d
  strongroom audit search --owner user/alice --outcome denied
  strongroom audit search --subject ci --since 2026-11-01T00:00:00Z --until 2026-12-01T00:00:00Z`
	c.Flags().StringVar(&q.secret, "secret", "", "`name` of the secret")
	c.Flags().StringVar(&q.owner, "owner", "", "`owner`, such as user/alice or app/UUID")
	c.Flags().StringVar(&q.subject, "subject", "", "`name` of the caller")
	c.Flags().StringVar(&q.action, "action", "", "`action`, such as reveal or write")
	c.Flags().StringVar(&q.outcome, "outcome", "", "`outcome`, such as done or denied")
	c.Flags().StringVar(&since, "since", "", "start `time`, such as 2026-11-29T12:00:00Z, or 7d for seven days ago")
	c.Flags().StringVar(&until, "until", "", "end `time`, exclusive, in the same forms")
	return c
}

// momentOf returns the time in a flag, or the zero time for an empty flag.
func momentOf(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, nil
	}
	var ago duration.Duration
	if err := ago.Set(text); err != nil || ago < 0 {
		return time.Time{}, errors.New("must be a time such as 2026-11-29T12:00:00Z, or an age such as 7d")
	}
	return time.Now().Add(-time.Duration(ago)), nil
}

// An auditQuery selects entries. Empty fields match every entry.
type auditQuery struct {
	secret, owner, subject, action, outcome string
	since, until                            time.Time // until is exclusive
}

// An auditEntry has the fields that a query compares.
type auditEntry struct {
	Time    time.Time      `json:"time"`
	Subject string         `json:"subject"`
	Action  string         `json:"action"`
	Kind    string         `json:"kind"`
	Owner   string         `json:"owner"`
	Name    string         `json:"name"`
	NewName string         `json:"new_name"`
	Names   map[string]int `json:"names"`
	Covers  []string       `json:"covers"`
	Outcome string         `json:"outcome"`
}

func (q auditQuery) matches(line json.RawMessage) bool {
	var e auditEntry
	if json.Unmarshal(line, &e) != nil {
		return false
	}
	same := func(want, got string) bool { return want == "" || want == got }
	return same(q.subject, e.Subject) && same(q.action, e.Action) && same(q.outcome, e.Outcome) &&
		!e.Time.Before(q.since) && (q.until.IsZero() || e.Time.Before(q.until)) && q.matchesTarget(e)
}

// matchesTarget compares the secret and the owner, and the same in the grants of a key.
func (q auditQuery) matchesTarget(e auditEntry) bool {
	_, coalesced := e.Names[q.secret]
	owner := q.owner == "" || q.owner == e.Kind+"/"+e.Owner
	if owner && (q.secret == "" || q.secret == e.Name || q.secret == e.NewName || coalesced) {
		return true
	}
	return slices.ContainsFunc(e.Covers, func(grant string) bool {
		owner, name, _ := strings.Cut(grant, " ")
		return (q.owner == "" || q.owner == owner) && (q.secret == "" || q.secret == name)
	})
}
