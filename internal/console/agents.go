package console

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/issued"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/server"
)

// An agentKey is a row of the page.
type agentKey struct {
	issued.Key
	Owner secret.Owner
	Names []string
	Works bool
	Left  string // number of reads left
	Audit string // address of its audit entries
}

type agentsBody struct{ Keys []agentKey }

// agentKeys returns the agent keys for secrets that the caller administers, oldest first.
func (c *Console) agentKeys(caller secret.Caller) (keys []agentKey) {
	for _, k := range c.Agents.List(true) {
		if len(k.Grants) == 0 {
			continue
		}
		names := k.Grants[0].Names
		owner, err := secret.ParseOwner(k.Grants[0].Owner)
		if err != nil || len(names) == 0 || !administersAll(caller, owner, names) {
			continue
		}
		keys = append(keys, agentKey{
			Key: k, Owner: owner, Names: names, Works: c.Agents.Works(k), Left: readsLeft(k.Agent),
			Audit: "/console/audit?caller=" + url.QueryEscape(k.ID),
		})
	}
	return keys
}

func readsLeft(a *issued.Agent) string {
	if a.Reads == 0 {
		return "no limit"
	}
	return fmt.Sprintf("%d of %d", max(0, a.Reads-a.ReadCount), a.Reads)
}

func (c *Console) agentsPage(v *visit) error {
	if !c.audits(v.caller) {
		return secret.ErrForbidden
	}
	keys := c.agentKeys(v.caller)
	slices.Reverse(keys)
	return c.render(v, http.StatusOK, "agents", page{Title: "Agent keys", Nav: "agents", Body: agentsBody{keys}})
}

// maxChoice limits the secrets that the form for a new agent key offers.
const maxChoice = 500

// A newAgentBody is the form for a new agent key.
type newAgentBody struct {
	Owner   secret.Owner
	Owners  []secret.OwnerInfo // choices if the query names no owner
	Secrets []secret.Info
	Chosen  string // name of the secret that is selected at first
}

func (c *Console) newAgentPage(v *visit) error {
	body := newAgentBody{Chosen: v.values.Get("name")}
	if v.values.Get("owner") == "" {
		owners, err := c.owners(v)
		if err != nil {
			return err
		}
		body.Owners = slices.DeleteFunc(owners, func(o secret.OwnerInfo) bool { return !v.caller.May(secret.Admin, secret.Ref{Owner: o.Owner}) })
		return c.render(v, http.StatusOK, "agent", page{Title: "New agent key", Nav: "agents", Body: body})
	}
	ref, kind, err := c.named(v)
	if err != nil {
		return err
	}
	body.Owner = ref.Owner
	if body.Secrets, err = kind.Secrets.List(v.r.Context(), v.caller, ref.Owner, secret.Page{Limit: maxChoice}); err != nil {
		return err
	}
	return c.render(v, http.StatusOK, "agent", page{Title: "New agent key", Nav: "agents", Owner: ref.Owner.String(), Body: body})
}

// createAgent creates an agent key and shows it once. The caller needs the rights admin and
// reveal on each secret, so a key never has more rights than its creator.
func (c *Console) createAgent(v *visit) error {
	ref, kind, err := c.named(v)
	if err != nil {
		return err
	}
	names := v.values["names"]
	for _, name := range names {
		about := secret.Ref{Owner: ref.Owner, Name: name}
		for _, action := range []secret.Action{secret.Admin, secret.Reveal} {
			if !v.caller.May(action, about) {
				return kind.Secrets.Refuse(v.r.Context(), v.caller, action, about, secret.ErrForbidden)
			}
		}
	}
	lifetime, err := time.ParseDuration(v.values.Get("for"))
	reads, readsErr := strconv.Atoi(cmp.Or(strings.TrimSpace(v.values.Get("reads")), "0"))
	if err != nil || readsErr != nil {
		return &secret.InvalidError{Field: "reads", Reason: "must be a number, and the time one of the list"}
	}
	key, _, err := c.Agents.CreateAgent(v.r.Context(), v.caller, issued.AgentDraft{
		Owner: ref.Owner, Names: names, Lifetime: lifetime, Reads: reads, Subject: strings.TrimSpace(v.values.Get("subject")),
	})
	if err != nil {
		return err
	}
	return server.WriteJSON(v.w, http.StatusOK, map[string]string{"key": key})
}

func (c *Console) revokeAgent(v *visit) error {
	id := v.values.Get("id")
	if !slices.ContainsFunc(c.agentKeys(v.caller), func(k agentKey) bool { return k.ID == id }) {
		return secret.ErrNotFound
	}
	if _, err := c.Agents.Revoke(v.r.Context(), v.caller, id, true); err != nil {
		return err
	}
	return v.goTo("/console/agents")
}
