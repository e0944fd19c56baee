package console

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/server"
)

// An editBody is the form for a new secret or for an existing one.
type editBody struct {
	secret.Info
	OnlyKey string // the one data key of such secrets; empty: any
	Kinds   []Kind // owners that a new secret may have
	Owner   string // of a new secret, if it is known
}

func (c *Console) newPage(v *visit) error {
	body := editBody{Kinds: c.Kinds}
	if text := v.values.Get("owner"); text != "" {
		owner, err := secret.ParseOwner(text)
		kind := c.kind(owner.Kind)
		if err != nil || kind == nil {
			return secret.ErrNotFound
		}
		body.Owner, body.OnlyKey = owner.String(), kind.OnlyKey
	}
	return c.render(v, http.StatusOK, "new", page{Title: "New secret", Nav: "secrets", Owner: body.Owner, Body: body})
}

func (c *Console) editPage(v *visit) error {
	ref, kind, err := c.named(v)
	if err != nil {
		return err
	}
	info, err := kind.Secrets.Head(v.r.Context(), v.caller, ref)
	if err != nil {
		return err
	}
	body := editBody{Info: info, OnlyKey: kind.OnlyKey}
	return c.render(v, http.StatusOK, "edit", page{Title: "Edit " + info.Name, Nav: "secrets", Owner: ref.Owner.String(), Body: body})
}

// create stores a new secret.
func (c *Console) create(v *visit) error {
	ref, kind, err := c.named(v)
	if err != nil {
		return &secret.InvalidError{Field: "owner", Reason: "must be user/<id> or app/<uuid>"}
	}
	change, warnings, err := kind.change(v.values)
	err = cmp.Or(kind.CheckOwner(ref.Owner.ID), kind.CheckName(ref.Name), err)
	if err != nil {
		return kind.Secrets.Refuse(v.r.Context(), v.caller, secret.Create, ref, err)
	}
	draft := secret.Draft{Description: unix(v.values.Get("description")), Data: change.Set}
	info, err := kind.Secrets.Create(v.r.Context(), v.caller, ref, draft)
	if err != nil {
		return err
	}
	return c.saved(v, kind, info, warnings)
}

// describe changes name and description.
func (c *Console) describe(v *visit) error {
	ref, kind, err := c.named(v)
	if err != nil {
		return err
	}
	name := v.values.Get("newname")
	if name != ref.Name {
		if err := kind.CheckName(name); err != nil {
			return kind.Secrets.Refuse(v.r.Context(), v.caller, secret.Write, ref, err)
		}
	}
	onlyIf := secret.Revision(v.values.Get("revision"))
	info, err := kind.Secrets.Describe(v.r.Context(), v.caller, ref, onlyIf, name, unix(v.values.Get("description")))
	if err != nil {
		return c.orConflict(v, kind, ref, err)
	}
	return c.saved(v, kind, info, nil)
}

// replace changes the values. Fields that are left empty keep the stored value.
func (c *Console) replace(v *visit) error {
	ref, kind, err := c.named(v)
	if err != nil {
		return err
	}
	change, warnings, err := kind.change(v.values)
	if err != nil {
		return kind.Secrets.Refuse(v.r.Context(), v.caller, secret.Write, ref, err)
	}
	info, err := kind.Secrets.Replace(v.r.Context(), v.caller, ref, secret.Revision(v.values.Get("revision")), change)
	if err != nil {
		return c.orConflict(v, kind, ref, err)
	}
	return c.saved(v, kind, info, warnings)
}

// saved shows the secret, and what looks like a mistake in its new values.
func (c *Console) saved(v *visit, kind *Kind, info secret.Info, warnings []string) error {
	to := address("secret", info.Ref)
	if len(warnings) > 0 && !v.byScript() {
		return c.showSecret(v, kind, info, warnings)
	}
	if len(warnings) > 0 {
		return server.WriteJSON(v.w, http.StatusOK, map[string]any{"to": to, "warnings": warnings})
	}
	return v.goTo(to)
}

// change reads the fields key and value, which are repeated, and remove, which lists keys
// to remove. A key with an empty value keeps the stored one, if the form says that there
// is one. The error is an InvalidError.
func (k *Kind) change(form url.Values) (change secret.Change, warnings []string, err error) {
	change.Set = map[string]secret.Value{}
	keys, values := form["key"], form["value"]
	if len(keys) != len(values) {
		return change, nil, &secret.InvalidError{Field: "form", Reason: "has not as many values as keys"}
	}
	for i, key := range keys {
		value := secret.Value(unix(values[i]))
		_, twice := change.Set[key]
		switch {
		case slices.Contains(form["remove"], key), key == "" && value == "":
		case twice || slices.Contains(change.Keep, key):
			return change, nil, &secret.InvalidError{Field: "key", Reason: "is there twice"}
		case value == "" && slices.Contains(form["stored"], key):
			change.Keep = append(change.Keep, key)
		default:
			more, err := k.Suspicious.Check("value", key, value)
			if err != nil {
				return change, nil, err
			}
			for _, w := range more {
				warnings = append(warnings, w.Error())
			}
			change.Set[key] = value
		}
	}
	return change, warnings, nil
}

// unix converts the line breaks of forms, CR LF, to LF.
func unix(text string) string { return strings.ReplaceAll(text, "\r\n", "\n") }

// orConflict returns a conflict that says how the secret has changed, if that is the error.
func (c *Console) orConflict(v *visit, kind *Kind, ref secret.Ref, err error) error {
	if !errors.Is(err, secret.ErrChanged) {
		return err
	}
	now, headErr := kind.Secrets.Head(v.r.Context(), v.caller, ref)
	if headErr != nil {
		return headErr
	}
	var changes []string
	if was := unix(v.values.Get("was")); v.values.Has("was") && was != now.Description {
		changes = append(changes, "the description")
	}
	stored := v.values["stored"]
	for _, key := range now.Keys {
		if v.values.Has("stored") && !slices.Contains(stored, key) {
			changes = append(changes, "the new key "+key)
		}
	}
	for _, key := range stored {
		if !slices.Contains(now.Keys, key) {
			changes = append(changes, "the removed key "+key)
		}
	}
	if changes == nil {
		changes = []string{"a value or the description"}
	}
	return &conflict{now, fmt.Sprintf(
		"Another request changed this secret at %s: %s. Nothing of yours was saved. Open the secret in another tab to see it, or save again to apply your changes on top.",
		now.Updated.UTC().Format("15:04:05 UTC"), strings.Join(changes, ", "))}
}
