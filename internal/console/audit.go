package console

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/audit"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/server"
)

const (
	// auditRows is the number of entries on a page.
	auditRows = 100
	// exportRows is the number of entries of an export.
	exportRows = 10_000
	// auditScan limits the entries read for one page, and auditChunk those read at once.
	auditScan  = 50_000
	auditChunk = 500
)

// audits reports whether the caller may read entries of the audit log: those about the
// owners on which it has the right admin.
func (c *Console) audits(caller secret.Caller) bool {
	return slices.ContainsFunc(caller.Grants, func(g secret.Grant) bool { return caller.May(secret.Admin, secret.Ref{Owner: g.Owner}) })
}

// mayRead reports whether the caller may read the entry: it has the right admin on all
// secrets in it. Entries about the server are for its administrators.
func (c *Console) mayRead(caller secret.Caller, e audit.Entry) bool {
	ref := e.Event.Ref
	if c.kind(ref.Owner.Kind) == nil {
		return administers(caller)
	}
	names := append(slices.Collect(maps.Keys(e.Names)), ref.Name, cmp.Or(e.Event.NewName, ref.Name))
	return administersAll(caller, ref.Owner, names)
}

// administersAll reports whether the caller has the right admin on each of the secrets.
func administersAll(caller secret.Caller, owner secret.Owner, names []string) bool {
	return !slices.ContainsFunc(names, func(name string) bool { return !caller.May(secret.Admin, secret.Ref{Owner: owner, Name: name}) })
}

// A filter selects entries. Empty fields select all.
type filter struct {
	Owner, Name, Caller, Action, Outcome string
	From, To                             string // days, as 2026-11-29
	from, to                             time.Time
}

func filterIn(query url.Values) (f filter) {
	get := func(name string) string { return strings.TrimSpace(query.Get(name)) }
	f = filter{get("owner"), get("name"), get("caller"), get("action"), get("outcome"), get("from"), get("to"), time.Time{}, time.Time{}}
	f.from, _ = time.Parse(time.DateOnly, f.From) // otherwise without a limit
	if to, err := time.Parse(time.DateOnly, f.To); err == nil {
		f.to = to.AddDate(0, 0, 1)
	}
	return f
}

// values returns the filter as a query.
func (f filter) values() url.Values {
	query := url.Values{}
	for name, text := range map[string]string{
		"owner": f.Owner, "name": f.Name, "caller": f.Caller, "action": f.Action, "outcome": f.Outcome, "from": f.From, "to": f.To,
	} {
		if text != "" {
			query.Set(name, text)
		}
	}
	return query
}

func (f filter) matches(e audit.Entry) bool {
	is := func(want, got string) bool { return want == "" || want == got }
	named := is(f.Name, e.Event.Ref.Name) || e.Names[f.Name] > 0 || f.Name == e.Event.NewName
	return named && is(f.Owner, e.Event.Ref.Owner.String()) && is(f.Action, string(e.Event.Action)) && is(f.Outcome, string(e.Event.Outcome)) &&
		(f.Caller == "" || f.Caller == e.Event.Subject || f.Caller == e.Event.CredentialID) &&
		(f.to.IsZero() || e.Event.Time.Before(f.to)) && !e.Event.Time.Before(f.from)
}

// entries returns the last matching entries that the caller may read, newest first,
// before the entry of that number; 0: the last. It returns the number from which to go
// on, 0 if there are no more.
func (c *Console) entries(caller secret.Caller, f filter, before uint64, most int) (found []audit.Entry, next uint64, err error) {
	if before == 0 {
		last, err := c.Audit.Tail(1)
		if err != nil || len(last) == 0 {
			return nil, 0, err
		}
		before = last[0].Seq + 1
	}
	for scanned := 0; before > 1; {
		first := before - min(before, auditChunk+1)            // the number in front of the chunk
		chunk, err := c.Audit.Read(first, int(before-first-1)) // #nosec G115 -- at most auditChunk
		// If the entries of the chunk were pruned, Read returns later ones.
		chunk = slices.DeleteFunc(chunk, func(e audit.Entry) bool { return e.Seq >= before })
		if err != nil || len(chunk) == 0 {
			return found, 0, err
		}
		for _, e := range slices.Backward(chunk) {
			if before = e.Seq; f.matches(e) && c.mayRead(caller, e) {
				found = append(found, e)
			}
			if len(found) == most {
				return found, before, nil
			}
		}
		if chunk[0].Event.Time.Before(f.from) {
			return found, 0, nil
		}
		if scanned += len(chunk); scanned >= auditScan {
			return found, before, nil
		}
	}
	return found, 0, nil
}

// A row is an entry as the page shows it.
type row struct {
	Seq     uint64 `json:"seq"`
	Time    string `json:"time"`
	Caller  string `json:"caller"`
	Key     string `json:"key"`
	Action  string `json:"action"`
	About   string `json:"about"`
	Outcome string `json:"outcome"`
	From    string `json:"from"`
	Refused bool   `json:"refused"`
}

func rowOf(e audit.Entry) row {
	ev := e.Event
	about := strings.Trim(ev.Ref.String(), "/")
	if ev.NewName != "" {
		about += " → " + ev.NewName
	}
	if e.Count > 1 {
		about += fmt.Sprintf(" (%d times)", e.Count)
	}
	return row{
		e.Seq, ev.Time.UTC().Format("2006-01-02 15:04:05"), ev.Subject, ev.CredentialID, string(ev.Action), about, string(ev.Outcome), ev.From,
		ev.Outcome == secret.Denied,
	}
}

// An auditBody is a page of the audit log.
type auditBody struct {
	Filter   filter
	Rows     []row
	Head     uint64 // number of the last entry
	Older    string // address of the next page; empty: there is none
	Export   string
	Follow   string // address of newer entries
	Here     string // address of this page, for more in its query
	Actions  []secret.Action
	Outcomes []secret.Outcome
	Verified string // result of a verification of the whole log
	Broken   string
	Why      *why
}

var (
	auditActions = []secret.Action{
		secret.Reveal, secret.List, secret.Create, secret.Write, secret.Delete, secret.History, secret.Restore, secret.Undelete, secret.Destroy,
		"console sign in", "console sign out", "agent-key create", "agent-key revoke", "apikey create", "apikey revoke", audit.Authenticate,
	}
	auditOutcomes = []secret.Outcome{
		secret.Done, secret.Denied, secret.NotFound, secret.Exists, secret.Changed, secret.Invalid, secret.Unavailable, secret.Full, secret.Failed, secret.Unknown,
	}
)

func (c *Console) auditPage(v *visit) error {
	if !c.audits(v.caller) {
		return secret.ErrForbidden
	}
	f := filterIn(v.values)
	before, _ := strconv.ParseUint(v.values.Get("before"), 10, 64) // otherwise from the end
	found, next, err := c.entries(v.caller, f, before, auditRows)
	if err != nil {
		return err
	}
	at := func(path string, more ...string) string {
		values := f.values()
		for i := 0; i < len(more); i += 2 {
			values.Set(more[i], more[i+1])
		}
		return path + "?" + values.Encode()
	}
	body := auditBody{
		Filter: f, Export: at("/console/audit/export"), Follow: at("/console/audit/new"), Here: at("/console/audit"),
		Actions: auditActions, Outcomes: auditOutcomes,
	}
	if next > 0 {
		body.Older = at("/console/audit", "before", strconv.FormatUint(next, 10))
	}
	last, err := c.Audit.Tail(1)
	if err != nil {
		return err
	}
	for _, e := range last {
		body.Head = e.Seq
	}
	for _, e := range found {
		body.Rows = append(body.Rows, rowOf(e))
	}
	if v.values.Has("verify") {
		c.verify(v, &body)
	}
	if seq, err := strconv.ParseUint(v.values.Get("why"), 10, 64); err == nil {
		if body.Why, err = c.explain(v.caller, seq); err != nil {
			return err
		}
	}
	return c.render(v, http.StatusOK, "audit", page{Title: "Audit log", Nav: "audit", Body: body})
}

// verify checks the chain of the whole log.
func (c *Console) verify(v *visit, body *auditBody) {
	report, err := c.Audit.Verify(v.r.Context())
	if err != nil {
		body.Broken = err.Error()
		return
	}
	body.Verified = fmt.Sprintf("The chain is intact: %d entries", report.Entries)
}

// newer returns entries that are newer than the page, for the script that follows the log.
func (c *Console) newer(v *visit) error {
	if !c.audits(v.caller) {
		return secret.ErrForbidden
	}
	after, err := strconv.ParseUint(v.values.Get("after"), 10, 64)
	if err != nil {
		return &secret.InvalidError{Field: "after", Reason: "must be a number"}
	}
	all, err := c.Audit.Read(after, auditChunk)
	if err != nil {
		return err
	}
	f := filterIn(v.values)
	answer := struct {
		Head uint64 `json:"head"`
		Rows []row  `json:"rows"`
	}{after, []row{}}
	for _, e := range all {
		if answer.Head = e.Seq; f.matches(e) && c.mayRead(v.caller, e) {
			answer.Rows = append(answer.Rows, rowOf(e))
		}
	}
	return server.WriteJSON(v.w, http.StatusOK, answer)
}

// export returns the entries that match the filter as strongroom audit tail writes them,
// oldest first.
func (c *Console) export(v *visit) error {
	if !c.audits(v.caller) {
		return secret.ErrForbidden
	}
	found, _, err := c.entries(v.caller, filterIn(v.values), 0, exportRows)
	if err != nil {
		return err
	}
	if err := v.caller.Hold(400 * len(found)); err != nil {
		return err
	}
	v.w.Header().Set("Content-Type", "application/jsonl")
	v.w.Header().Set("Content-Disposition", `attachment; filename="strongroom-audit.jsonl"`)
	lines := json.NewEncoder(v.w)
	for _, e := range slices.Backward(found) {
		if err := lines.Encode(e); err != nil {
			return nil //nolint:nilerr // the client has disconnected
		}
	}
	return nil
}

// A why explains an entry by the grants that its caller has now.
type why struct {
	row
	Known   bool   // the caller's API key still works
	Allowed bool   // now
	By      string // the place of the deciding grant; empty: there is none
}

// explain finds the grant that decides about an entry. Only API keys can be looked up.
func (c *Console) explain(caller secret.Caller, seq uint64) (*why, error) {
	found, err := c.Audit.Read(max(seq, 1)-1, 1)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 || found[0].Seq != seq || !c.mayRead(caller, found[0]) {
		return nil, secret.ErrNotFound
	}
	e := found[0].Event
	w := &why{row: rowOf(found[0])}
	for _, keys := range c.APIKeys {
		for _, holder := range keys.Strategy.Callers() {
			if holder.Subject != e.Subject || holder.CredentialID != e.CredentialID {
				continue
			}
			w.Known, w.Allowed = true, holder.May(e.Action, e.Ref)
			if by := holder.Decides(e.Action, e.Ref); by != nil {
				w.By = cmp.Or(by.Source, "a grant of the key")
			}
			return w, nil
		}
	}
	return w, nil
}
