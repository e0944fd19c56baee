package bolt

import (
	"bytes"
	"context"
	"fmt"

	"github.com/strongroom/strongroom/internal/seal"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/state"
)

// A Report is what [Store.Verify] found.
type Report struct {
	Owners, Secrets, Deleted, Versions int
	Problems                           []string // each names the row, and the secret where it can
}

func (r *Report) problem(format string, args ...any) {
	r.Problems = append(r.Problems, fmt.Sprintf(format, args...))
}

// Verify opens everything that the store has, values included, and says what
// does not open, belongs to nothing or is counted wrong. It reads one moment
// of the store, and writes go on meanwhile.
func (s *Store) Verify(ctx context.Context) (*Report, error) {
	report := &Report{}
	err := s.file.View(func(tx *state.Tx) error {
		v := &verifier{s, tx, report, map[recordID]bool{}}
		for _, step := range []func(context.Context) error{v.secrets, v.deleted, v.orphans} {
			if err := step(ctx); err != nil {
				return err
			}
		}
		return nil
	})
	return report, err
}

type verifier struct {
	*Store
	tx     *state.Tx
	report *Report
	known  map[recordID]bool
}

// secrets goes through the owners' rows and those of their secrets, which
// follow them.
func (v *verifier) secrets(ctx context.Context) error {
	var owner ownerRow
	var ownerKey []byte
	found := 0
	checkCount := func() {
		if ownerKey != nil && owner.count != found {
			v.report.problem("owner %s: %d secrets are counted and %d are there", owner.owner, owner.count, found)
		}
	}
	rows := v.tx.Bucket(v.Store.secrets)
	for key, stored := range rows.From([]byte{0}) {
		if err := ctx.Err(); err != nil {
			return err
		}
		switch {
		case len(key) == seal.MACBytes:
			checkCount()
			o, err := v.openOwner(key, stored)
			if err != nil {
				v.report.problem("owner row %x: %v", key, err)
			}
			owner, ownerKey, found = o, bytes.Clone(key), 0
			v.report.Owners++
		case len(key) != rowKeyBytes || !bytes.HasPrefix(key, ownerKey) || ownerKey == nil:
			v.report.problem("secret row %x belongs to no owner", key)
		default:
			found++
			v.report.Secrets++
			v.live(owner.owner, key, stored)
		}
	}
	checkCount()
	return nil
}

func (v *verifier) live(owner secret.Owner, key, stored []byte) {
	r, err := v.openRecord(owner, stored)
	if err != nil {
		v.report.problem("secret row %x of %s: %v", key, owner, err)
	} else if at := v.rowKey(r.info.Ref); !bytes.Equal(at[:], key) {
		v.report.problem("secret %s is in the row of another", r.info.Ref)
	}
	v.record(owner, r, stored)
}

// record looks at the values of a record, live or deleted, and at its past.
func (v *verifier) record(owner secret.Owner, r record, stored []byte) {
	head, err := headOf(stored)
	if err != nil {
		return // reported by whoever tried to open it
	}
	v.known[head.id] = true
	name := fmt.Sprintf("%s, record %x", owner, head.id)
	if r.info.Name != "" {
		name = r.info.Ref.String()
	}
	past := v.tx.Bucket(v.past)
	if past.Get(versionKey(head.id, head.valuesAt)) == nil {
		v.report.problem("secret %s: its values are missing", name)
	}
	for key, stored := range past.Prefix(head.id[:]) {
		place := v.valuesPlace(owner, key)
		sealed, what := stored, "values"
		if key[len(key)-1] == descriptionMark && len(key) == pastKeyBytes {
			earlier, err := headOf(stored)
			if err != nil {
				v.report.problem("secret %s: version row %x: %v", name, key, err)
				continue
			}
			v.report.Versions++
			if past.Get(versionKey(earlier.id, earlier.valuesAt)) == nil {
				v.report.problem("secret %s: the values of an earlier version are missing", name)
			}
			sealed, what, place = stored[headBytes:], "an earlier version", v.descriptionPlace(owner, earlier)
		}
		if text, err := v.ring.Open(sealed, place); err != nil {
			v.report.problem("secret %s: %s in row %x: %v", name, what, key, err)
		} else {
			clear(text)
		}
	}
}

func (v *verifier) deleted(ctx context.Context) error {
	rows := v.tx.Bucket(v.Store.deleted)
	for key, stored := range rows.From([]byte{0}) {
		if err := ctx.Err(); err != nil {
			return err
		}
		owner, err := v.ownerOf(v.tx, key)
		if err != nil {
			v.report.problem("deleted row %x belongs to no owner", key)
			continue
		}
		if len(key) != deletedKeyBytes {
			v.report.problem("deleted row %x of %s: %v", key, owner, errDamaged)
			continue
		}
		r, err := v.openAt(owner, deletedRow{key, stored}.live(), stored)
		if err != nil {
			v.report.problem("deleted row %x of %s: %v", key, owner, err)
		}
		v.report.Deleted++
		v.record(owner, r, stored)
	}
	return nil
}

// orphans are values and versions of which there is no record.
func (v *verifier) orphans(ctx context.Context) error {
	rows := v.tx.Bucket(v.past)
	for key := range rows.From([]byte{0}) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if len(key) < idBytes || !v.known[recordID(key)] {
			v.report.problem("row %x of the past belongs to no secret", key)
		}
	}
	return nil
}
