package console

import (
	"net/http"
	"slices"
	"time"

	"github.com/strongroom/strongroom/internal/admin"
	"github.com/strongroom/strongroom/internal/issued"
	"github.com/strongroom/strongroom/internal/secret"
)

// A Server describes the running server to its administrators.
type Server struct {
	Version, State string
	Stores         []string
	Keyring        admin.Keyring
	// Since is when the config in force was loaded. Problem is why the one in the files is
	// not in force, if so, and NeedsRestart are the changed fields that only a restart applies.
	Since        time.Time
	Problem      string
	NeedsRestart []string
	Findings     []admin.Finding
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
	if !administers(v.caller) {
		return secret.ErrForbidden
	}
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

// revokeKey revokes an issued API key.
func (c *Console) revokeKey(v *visit) error {
	if !administers(v.caller) {
		return secret.ErrForbidden
	}
	if _, err := c.Agents.Revoke(v.r.Context(), v.caller, v.values.Get("id"), false); err != nil {
		return err
	}
	return v.goTo("/console/server")
}
