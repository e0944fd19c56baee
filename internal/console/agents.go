package console

import (
	"cmp"
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

// An agentKey is an agent key as the page shows it.
type agentKey struct {
	issued.Key
	Owner secret.Owner
	Names []string
	Works bool
	Left  string // reads
	Audit string // address of what it has done
}

type agentsBody struct{ Keys []agentKey }

// agentsPage lists the agent keys for owners that the caller administers.
func (c *Console) agentsPage(v *visit) error {
	if !c.audits(v.caller) {
		return secret.ErrForbidden
	}
	var body agentsBody
	for _, k := range slices.Backward(c.Agents.List(true)) {
		key := agentKey{Key: k, Works: c.Agents.Works(k), Left: "no limit", Audit: "/console/audit?caller=" + url.QueryEscape(k.ID)}
		if len(k.Grants) == 0 {
			continue
		}
		owner, err := secret.ParseOwner(k.Grants[0].Owner)
		if err != nil || !v.caller.May(secret.Admin, secret.Ref{Owner: owner}) {
			continue
		}
		key.Owner, key.Names = owner, k.Grants[0].Names
		if k.Agent.Reads > 0 {
			key.Left = strconv.Itoa(max(0, k.Agent.Reads-k.Agent.ReadCount)) + " of " + strconv.Itoa(k.Agent.Reads)
		}
		body.Keys = append(body.Keys, key)
	}
	return c.render(v, http.StatusOK, "agents", page{Title: "Agent keys", Nav: "agents", Body: body})
}

// maxChoice limits the secrets that the form for a new agent key offers.
const maxChoice = 500

// A newAgentBody is the form for a new agent key.
type newAgentBody struct {
	Owner   secret.Owner
	Owners  []secret.OwnerInfo // to choose from, if there is no owner yet
	Secrets []secret.Info
	Chosen  string // the secret whose page led here
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

// createAgent issues an agent key and shows it once. Its creator needs the right admin on
// each secret, and may reveal it: a key never has more rights than its creator.
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
	for _, k := range c.Agents.List(true) {
		if k.ID != id || len(k.Grants) == 0 {
			continue
		}
		owner, err := secret.ParseOwner(k.Grants[0].Owner)
		if err != nil || !v.caller.May(secret.Admin, secret.Ref{Owner: owner}) {
			break
		}
		if _, err := c.Agents.Revoke(v.r.Context(), v.caller, id, true); err != nil {
			return err
		}
		return v.goTo("/console/agents")
	}
	return secret.ErrNotFound
}
