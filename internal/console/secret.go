package console

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"unicode/utf8"

	"github.com/strongroom/strongroom/internal/lastaccess"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/server"
)

// A secretBody is the page of one secret, without values.
type secretBody struct {
	secret.Info
	May      rights
	Access   *lastaccess.Access // nil: not known, or none
	Versions []secret.Info      // newest first
	Warnings []string           // about the values that were just stored
	Audit    string             // address of the secret's audit entries
}

// rights are what the caller may do with a secret.
type rights struct{ Reveal, Write, Delete, History bool }

func rightsOn(caller secret.Caller, ref secret.Ref) rights {
	return rights{
		caller.May(secret.Reveal, ref), caller.May(secret.Write, ref), caller.May(secret.Delete, ref), caller.May(secret.History, ref),
	}
}

// named returns the secret that the request names, and the kind of its owner.
func (c *Console) named(v *visit) (secret.Ref, *Kind, error) {
	owner, kind, err := c.ownerIn(v, "owner")
	return secret.Ref{Owner: owner, Name: v.values.Get("name")}, kind, err
}

func (c *Console) secretPage(v *visit) error {
	ref, kind, err := c.named(v)
	if err != nil {
		return err
	}
	info, err := kind.Secrets.Head(v.r.Context(), v.caller, ref)
	if err != nil {
		return err
	}
	return c.showSecret(v, kind, info, nil)
}

func (c *Console) showSecret(v *visit, kind *Kind, info secret.Info, warnings []string) error {
	body := secretBody{Info: info, May: rightsOn(v.caller, info.Ref), Warnings: warnings}
	if body.May.History {
		versions, err := kind.Secrets.Versions(v.r.Context(), v.caller, info.Ref)
		if err != nil && !errors.Is(err, secret.ErrNoHistory) {
			return err
		}
		body.Versions = versions
		last, ok, err := c.LastAccess(info.Ref)
		if err != nil {
			return err
		}
		if ok && !last.Time.Before(info.Created) { // otherwise the access was to an earlier secret of this name
			body.Access = &last
		}
		body.Audit = "/console/audit?" + url.Values{"owner": {info.Owner.String()}, "name": {info.Name}}.Encode()
	}
	return c.render(v, http.StatusOK, "secret", page{Title: info.Name, Nav: "secrets", Owner: info.Owner.String(), Body: body})
}

// A revealed value is the answer to a click. The page hides it after Hide milliseconds.
type revealed struct {
	Value  string `json:"value"`
	Base64 bool   `json:"base64,omitempty"` // the value is not text
	Hide   int64  `json:"hide"`
}

// reveal returns one value, to the script only: it never becomes part of a page's HTML.
func (c *Console) reveal(v *visit) error {
	ref, kind, err := c.named(v)
	if err != nil {
		return err
	}
	_, data, err := kind.Secrets.Reveal(v.r.Context(), v.caller, ref)
	if err != nil {
		return err
	}
	value, ok := data[v.values.Get("key")]
	if !ok {
		return secret.ErrNotFound
	}
	answer := revealed{Value: string(value), Hide: hideAfter.Milliseconds()}
	if !utf8.ValidString(string(value)) {
		answer.Value, answer.Base64 = base64.StdEncoding.EncodeToString([]byte(value)), true
	}
	return server.WriteJSON(v.w, http.StatusOK, answer)
}

func (c *Console) delete(v *visit) error {
	ref, kind, err := c.named(v)
	if err != nil {
		return err
	}
	if err := kind.Secrets.Delete(v.r.Context(), v.caller, ref, secret.Revision(v.values.Get("revision"))); err != nil {
		return c.orConflict(v, kind, ref, err)
	}
	return v.goTo("/console?" + url.Values{"owner": {ref.Owner.String()}, "deleted": {ref.Name}}.Encode())
}

// A deletedBody lists the deleted secrets of an owner.
type deletedBody struct {
	Owner   secret.Owner
	Deleted []secret.Deleted
}

func (c *Console) deletedPage(v *visit) error {
	ref, kind, err := c.named(v)
	if err != nil {
		return err
	}
	deleted, err := kind.Secrets.Deleted(v.r.Context(), v.caller, ref.Owner)
	if err != nil && !errors.Is(err, secret.ErrNoHistory) {
		return err
	}
	return c.render(v, http.StatusOK, "deleted", page{
		Title: "Deleted secrets", Nav: "secrets", Owner: ref.Owner.String(), Body: deletedBody{ref.Owner, deleted},
	})
}

// restoring is a method of secret.Service that puts something back.
type restoring func(*secret.Service, context.Context, secret.Caller, secret.Ref, secret.Revision) (secret.Info, error)

func (c *Console) undelete(v *visit) error { return c.putBack(v, (*secret.Service).Undelete) }

func (c *Console) restore(v *visit) error { return c.putBack(v, (*secret.Service).Restore) }

// putBack restores a deleted secret or an earlier version.
func (c *Console) putBack(v *visit, do restoring) error {
	ref, kind, err := c.named(v)
	if err != nil {
		return err
	}
	if _, err := do(kind.Secrets, v.r.Context(), v.caller, ref, secret.Revision(v.values.Get("revision"))); err != nil {
		return err
	}
	return v.goTo(address("secret", ref))
}
