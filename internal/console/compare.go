package console

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"maps"
	"net/http"
	"slices"

	"github.com/strongroom/strongroom/internal/secret"
)

// A compareBody compares two versions of a secret.
type compareBody struct {
	secret.Ref
	Old, New secret.Info
	Rows     []compared
	May      bool // compare the values
	Values   bool // were compared
}

// A compared data key is in one of two versions or in both. Without the values it has no
// fingerprints.
type compared struct {
	Key, OldPrint, NewPrint string
	Old, New                bool
}

// compare shows how two versions of a secret differ in keys and description.
func (c *Console) compare(v *visit) error {
	body, _, err := c.versions(v)
	if err != nil {
		return err
	}
	return c.showCompared(v, body)
}

// compareValues also compares the values, by fingerprints. It counts as revealing both
// versions, because it tells which values are equal.
func (c *Console) compareValues(v *visit) error {
	body, kind, err := c.versions(v)
	if err != nil {
		return err
	}
	ctx := v.r.Context()
	older, oldErr := kind.Secrets.RevealVersion(ctx, v.caller, body.Ref, body.Old.Revision)
	newer, newErr := kind.Secrets.RevealVersion(ctx, v.caller, body.Ref, body.New.Revision)
	if err := cmp.Or(oldErr, newErr); err != nil {
		return err
	}
	body.Values = true
	c.addPrints(v, body.Rows, older, newer)
	return c.showCompared(v, body)
}

// fingerprint identifies a value to tell equal ones. It is a MAC under a key of the session
// that lives no longer than the console, so that it can be compared only with those of the
// same session, and values cannot be guessed from it later.
func (c *Console) fingerprint(v *visit, value secret.Value) string {
	key := hmac.New(sha256.New, c.printKey)
	key.Write([]byte(v.session.ID))
	mac := hmac.New(sha256.New, key.Sum(nil))
	mac.Write([]byte(value))
	return hex.EncodeToString(mac.Sum(nil)[:4])
}

func (c *Console) showCompared(v *visit, body compareBody) error {
	return c.render(v, http.StatusOK, "compare", page{Title: "Compare " + body.Name, Nav: "secrets", Owner: body.Owner.String(), Body: body})
}

// versions returns the two versions that the request names, without fingerprints.
func (c *Console) versions(v *visit) (body compareBody, kind *Kind, err error) {
	ref, kind, err := c.named(v)
	if err != nil {
		return body, nil, err
	}
	all, err := kind.Secrets.Versions(v.r.Context(), v.caller, ref)
	if err != nil {
		return body, nil, err
	}
	at := func(revision string) (secret.Info, error) {
		i := slices.IndexFunc(all, func(i secret.Info) bool { return string(i.Revision) == revision })
		if i < 0 {
			return secret.Info{}, secret.ErrNotFound
		}
		return all[i], nil
	}
	older, oldErr := at(v.values.Get("old"))
	newer, newErr := at(v.values.Get("new"))
	body = compareBody{Ref: ref, Old: older, New: newer, May: v.caller.May(secret.Reveal, ref)}
	body.Rows = compareKeys(older.Keys, newer.Keys)
	return body, kind, errors.Join(oldErr, newErr)
}

// compareKeys returns the data keys of both, sorted.
func compareKeys(older, newer []string) (rows []compared) {
	keys := slices.Concat(older, newer)
	slices.Sort(keys)
	for _, key := range slices.Compact(keys) {
		rows = append(rows, compared{Key: key, Old: slices.Contains(older, key), New: slices.Contains(newer, key)})
	}
	return rows
}

// An ownersBody compares the secrets of two owners. Old and new in the rows are left and
// right.
type ownersBody struct {
	Left, Right secret.Owner
	Choices     []secret.OwnerInfo // for the right, if the request does not name it
	Secrets     []comparedSecret
	Values      bool // were compared
	Partial     bool // an owner has more secrets
	Different   int
	NotCompared int // secrets whose values the caller may not reveal
}

// A comparedSecret is a secret that one of the owners or both have.
type comparedSecret struct {
	Name     string
	Old, New bool // the owner has it
	Hidden   bool // the caller may not reveal both
	Rows     []compared
}

// compareOwners shows how the secrets of two owners differ in names and data keys.
func (c *Console) compareOwners(v *visit) error {
	body, _, err := c.twoOwners(v)
	if err != nil {
		return err
	}
	return c.showOwners(v, body)
}

// compareOwnersValues also compares the values, by fingerprints. It counts as revealing
// every secret that both owners have.
func (c *Console) compareOwnersValues(v *visit) error {
	body, kinds, err := c.twoOwners(v)
	if err != nil {
		return err
	}
	body.Values = true
	for i := range body.Secrets {
		s := &body.Secrets[i]
		left, right := secret.Ref{Owner: body.Left, Name: s.Name}, secret.Ref{Owner: body.Right, Name: s.Name}
		if !s.Old || !s.New {
			continue
		}
		if s.Hidden = !v.caller.May(secret.Reveal, left) || !v.caller.May(secret.Reveal, right); s.Hidden {
			continue
		}
		_, older, oldErr := kinds[0].Secrets.Reveal(v.r.Context(), v.caller, left)
		_, newer, newErr := kinds[1].Secrets.Reveal(v.r.Context(), v.caller, right)
		if err := cmp.Or(oldErr, newErr); err != nil {
			return err
		}
		c.addPrints(v, s.Rows, older, newer)
	}
	return c.showOwners(v, body)
}

// addPrints adds the fingerprints of the values to the rows.
func (c *Console) addPrints(v *visit, rows []compared, older, newer map[string]secret.Value) {
	for i, row := range rows {
		if value, ok := older[row.Key]; ok {
			rows[i].OldPrint = c.fingerprint(v, value)
		}
		if value, ok := newer[row.Key]; ok {
			rows[i].NewPrint = c.fingerprint(v, value)
		}
	}
}

func (c *Console) showOwners(v *visit, body ownersBody) error {
	for _, s := range body.Secrets {
		same := s.Old && s.New && !slices.ContainsFunc(s.Rows, func(r compared) bool { return r.Old != r.New || r.OldPrint != r.NewPrint })
		if !same {
			body.Different++
		}
		if s.Hidden {
			body.NotCompared++
		}
	}
	return c.render(v, http.StatusOK, "owners", page{Title: "Compare owners", Nav: "secrets", Owner: body.Left.String(), Body: body})
}

// twoOwners returns the names and data keys of the owners that the request names, without
// fingerprints. Without a second owner it returns the choices.
func (c *Console) twoOwners(v *visit) (body ownersBody, kinds [2]*Kind, err error) {
	if body.Left, kinds[0], err = c.ownerIn(v, "left"); err != nil {
		return body, kinds, err
	}
	if v.values.Get("right") == "" {
		body.Choices, err = c.owners(v)
		body.Choices = slices.DeleteFunc(body.Choices, func(o secret.OwnerInfo) bool { return o.Owner == body.Left })
		return body, kinds, err
	}
	if body.Right, kinds[1], err = c.ownerIn(v, "right"); err != nil {
		return body, kinds, err
	}
	both := map[string][2]*secret.Info{}
	for i, owner := range []secret.Owner{body.Left, body.Right} {
		infos, err := kinds[i].Secrets.List(v.r.Context(), v.caller, owner, secret.Page{Limit: maxChoice})
		if err != nil {
			return body, kinds, err
		}
		body.Partial = body.Partial || len(infos) == maxChoice
		for _, info := range infos {
			pair := both[info.Name]
			pair[i] = &info
			both[info.Name] = pair
		}
	}
	for _, name := range slices.Sorted(maps.Keys(both)) {
		s := comparedSecret{Name: name, Old: both[name][0] != nil, New: both[name][1] != nil}
		var keys [2][]string
		for i, info := range both[name] {
			if info != nil {
				keys[i] = info.Keys
			}
		}
		s.Rows = compareKeys(keys[0], keys[1])
		body.Secrets = append(body.Secrets, s)
	}
	return body, kinds, nil
}

// ownerIn returns the owner that a field of the request names.
func (c *Console) ownerIn(v *visit, field string) (secret.Owner, *Kind, error) {
	owner, err := secret.ParseOwner(v.values.Get(field))
	kind := c.kind(owner.Kind)
	if err != nil || kind == nil {
		return secret.Owner{}, nil, secret.ErrNotFound
	}
	return owner, kind, nil
}
