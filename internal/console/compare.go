package console

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
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
	for i, row := range body.Rows {
		if row.Old {
			body.Rows[i].OldPrint = c.fingerprint(older[row.Key])
		}
		if row.New {
			body.Rows[i].NewPrint = c.fingerprint(newer[row.Key])
		}
	}
	return c.showCompared(v, body)
}

// fingerprint identifies a value to tell equal ones. It is a MAC under a random key that
// lives no longer than the console, so that values cannot be guessed from it later.
func (c *Console) fingerprint(value secret.Value) string {
	mac := hmac.New(sha256.New, c.printKey)
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
	keys := slices.Concat(older.Keys, newer.Keys)
	slices.Sort(keys)
	for _, key := range slices.Compact(keys) {
		body.Rows = append(body.Rows, compared{Key: key, Old: slices.Contains(older.Keys, key), New: slices.Contains(newer.Keys, key)})
	}
	return body, kind, errors.Join(oldErr, newErr)
}
