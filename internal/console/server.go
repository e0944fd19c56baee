package console

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/admin"
	"github.com/strongroom/strongroom/internal/auth/apikey"
	"github.com/strongroom/strongroom/internal/grant"
	"github.com/strongroom/strongroom/internal/issued"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/server"
)

// A Server describes the running server to its administrators.
type Server struct {
	Version, State string
	Stores         []string
	Keyring        admin.Keyring
	LastBackup     time.Time // zero: not known
	// Since is when the config in force was loaded. Problem is why the one in the files is
	// not in force, if so, and NeedsRestart are the changed fields that only a restart applies.
	Since        time.Time
	Problem      string
	NeedsRestart []string
	Findings     []admin.Finding
	Nodes        []admin.Node // that share the state in a database; none with a state file
}

// A serverBody is the page about the server.
type serverBody struct {
	Server
	Checked bool // all checks were run
	Wrong   int  // findings that need something done
	Keys    []apiKey
}

type apiKey struct {
	issued.Key
	Works bool
}

// serverPage shows the server to its administrators. With check in the query it runs all
// checks of strongroom doctor.
func (c *Console) serverPage(v *visit) error {
	body := serverBody{Checked: v.values.Has("check")}
	var err error
	if body.Server, err = c.Server(v.r.Context(), body.Checked); err != nil {
		return err
	}
	for _, f := range body.Findings {
		if f.Warns() {
			body.Wrong++
		}
	}
	for _, k := range slices.Backward(c.Agents.List(false)) {
		body.Keys = append(body.Keys, apiKey{k, c.Agents.Works(k)})
	}
	return c.render(v, http.StatusOK, "server", page{Title: "Server", Nav: "server", Body: body})
}

// A newKeyBody is the form for a new API key.
type newKeyBody struct{ Choices []actionChoice }

// An actionChoice is a set of actions that the form offers.
type actionChoice struct {
	Label   string
	Actions []secret.Action
}

// Value returns the actions as a form sends them.
func (a actionChoice) Value() string {
	var names []string
	for _, action := range a.Actions {
		names = append(names, string(action))
	}
	return strings.Join(names, " ")
}

var actionChoices = []actionChoice{
	{"read values", []secret.Action{secret.List, secret.Reveal}},
	{"see names only", []secret.Action{secret.List}},
	{"write, not read", []secret.Action{secret.List, secret.Create, secret.Write, secret.Delete}},
	{"read and write", []secret.Action{secret.List, secret.Create, secret.Write, secret.Delete, secret.Reveal}},
	{"everything", secret.Actions()},
}

func (c *Console) newKeyPage(v *visit) error {
	return c.render(v, http.StatusOK, "key", page{Title: "New API key", Nav: "server", Body: newKeyBody{actionChoices}})
}

// createKey issues an API key and shows it once. The caller needs every right that it gives,
// so a key never has more rights than its creator.
func (c *Console) createKey(v *visit) error {
	draft := issued.Draft{Subject: strings.TrimSpace(v.values.Get("subject"))}
	var err error
	if draft.Lifetime, err = time.ParseDuration(v.values.Get("for")); err != nil {
		return &secret.InvalidError{Field: "for", Reason: "must be a time"}
	}
	owners, names, actions := v.values["owner"], v.values["names"], v.values["actions"]
	if len(owners) != len(names) || len(owners) != len(actions) {
		return &secret.InvalidError{Field: "form", Reason: "must have names and actions for each owner"}
	}
	for i, owner := range owners {
		line := grant.Line{Owner: strings.TrimSpace(owner), Names: listed(names[i])}
		for action := range strings.FieldsSeq(actions[i]) {
			line.Actions = append(line.Actions, secret.Action(action))
		}
		draft.Grants = append(draft.Grants, line)
	}
	if err := c.mayGive(v, draft.Grants); err != nil {
		return err
	}
	key, _, err := c.Agents.Create(v.r.Context(), v.caller, draft)
	if err != nil {
		return err
	}
	return server.WriteJSON(v.w, http.StatusOK, map[string]string{"key": key})
}

// listed returns the names in a text with commas between them; nil if there are none.
func listed(text string) (names []string) {
	for name := range strings.SplitSeq(text, ",") {
		if name = strings.TrimSpace(name); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// mayGive refuses grants beyond those of the caller.
func (c *Console) mayGive(v *visit, lines []grant.Line) error {
	grants, err := grant.Parse(lines, "grants", nil)
	if err != nil {
		return &secret.InvalidError{Field: "grants", Reason: strings.ReplaceAll(err.Error(), "\n", "; ")}
	}
	for _, g := range grant.For(apikey.DefaultUser, grants) {
		if action, lacks := v.caller.Lacks(g); lacks {
			return &secret.InvalidError{Field: "grants", Reason: fmt.Sprintf("must not have %s on %s: you do not have it on all of these secrets yourself", action, g.Owner)}
		}
	}
	return nil
}

// backup downloads an encrypted backup.
func (c *Console) backup(v *visit) error {
	name := "strongroom-" + time.Now().UTC().Format("2006-01-02-150405") + ".backup"
	return server.Download(v.w, name, func(to io.Writer) error {
		return c.Backup(v.r.Context(), v.caller, strings.TrimSpace(v.values.Get("recipient")), to)
	})
}

// revokeKey revokes an issued API key.
func (c *Console) revokeKey(v *visit) error {
	if _, err := c.Agents.Revoke(v.r.Context(), v.caller, v.values.Get("id"), false); err != nil {
		return err
	}
	return v.goTo("/console/server")
}
