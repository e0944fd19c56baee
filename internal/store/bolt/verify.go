package bolt

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/strongroom/strongroom/internal/seal"
	"github.com/strongroom/strongroom/internal/state"
)

// A Report is the result of [Store.Verify].
type Report struct {
	Owners, Secrets, Deleted, Versions int
	Problems                           []string // each names the row, and the secret if it is known
}

func (r *Report) problem(format string, args ...any) {
	r.Problems = append(r.Problems, fmt.Sprintf(format, args...))
}

// Verify opens all records and values of the store. It reports rows that cannot be
// opened, orphans and wrong counts. It reads one snapshot, and writes continue meanwhile.
func (s *Store) Verify(ctx context.Context) (*Report, error) {
	report := &Report{}
	err := s.file.View(func(tx *state.Tx) error {
		v := &verifier{s, tx, report, map[recordID]bool{}, map[string]*tally{}}
		for _, step := range []func(context.Context) error{v.secrets, v.deleted, v.orphans, v.counts} {
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
	owners map[string]*tally // by the owner's row key
}

// A tally has an owner's row and the actual numbers.
type tally struct {
	row     ownerRow
	secrets int
	past    int64
}

// secrets checks each owner's row and the rows of its secrets, which follow it.
func (v *verifier) secrets(ctx context.Context) error {
	of := &tally{}
	rows := v.tx.Bucket(v.Store.secrets)
	for key, stored := range rows.From([]byte{0}) {
		if err := ctx.Err(); err != nil {
			return err
		}
		switch {
		case len(key) == seal.MACBytes:
			o, err := v.openOwner(key, stored)
			if err != nil {
				v.report.problem("owner row %x: %v", key, err)
			}
			of = &tally{row: o}
			v.owners[string(key)] = of
			v.report.Owners++
		case len(key) != rowKeyBytes || v.owners[string(key[:seal.MACBytes])] != of:
			v.report.problem("secret row %x belongs to no owner", key)
		default:
			of.secrets++
			v.report.Secrets++
			v.live(of, key, stored)
		}
	}
	return nil
}

// counts compares the actual numbers with those in the owners' rows.
func (v *verifier) counts(context.Context) error {
	for _, key := range slices.Sorted(maps.Keys(v.owners)) {
		switch of := v.owners[key]; {
		case of.row.sealed == nil: // reported already
		case of.row.count != of.secrets:
			v.report.problem("owner %s: the row counts %d secrets, but there are %d", of.row.owner, of.row.count, of.secrets)
		case of.row.past != of.past:
			v.report.problem("owner %s: the row counts %d bytes of earlier versions and deleted secrets, but there are %d",
				of.row.owner, of.row.past, of.past)
		}
	}
	return nil
}

func (v *verifier) live(of *tally, key, stored []byte) {
	owner := of.row.owner
	r, err := v.openRecord(owner, stored)
	if err != nil {
		v.report.problem("secret row %x of %s: %v", key, owner, err)
	} else if at := v.rowKey(r.info.Ref); !bytes.Equal(at[:], key) {
		v.report.problem("secret %s is in the row of another secret", r.info.Ref)
	}
	if h, err := headOf(stored); err == nil {
		of.past -= v.valuesSize(v.tx, h) // record has added them
	}
	v.record(of, r, stored)
}

// record checks the values of a record, live or deleted, and its past.
func (v *verifier) record(of *tally, r record, stored []byte) {
	owner := of.row.owner
	h, err := headOf(stored)
	if err != nil {
		return // already reported by the caller
	}
	v.known[h.id] = true
	name := fmt.Sprintf("%s, record %x", owner, h.id)
	if r.info.Name != "" {
		name = r.info.Ref.String()
	}
	past := v.tx.Bucket(v.past)
	if past.Get(versionKey(h.id, h.valuesAt)) == nil {
		v.report.problem("secret %s: its values are missing", name)
	}
	for key, stored := range past.Prefix(h.id[:]) {
		of.past += size(key, stored)
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
		of := v.owners[string(key[:min(len(key), seal.MACBytes)])]
		if of == nil || len(key) != deletedKeyBytes {
			v.report.problem("deleted row %x belongs to no owner", key)
			continue
		}
		owner := of.row.owner
		of.past += size(key, stored)
		r, err := v.openAt(owner, deletedRow{key, stored}.live(), stored)
		if err != nil {
			v.report.problem("deleted row %x of %s: %v", key, owner, err)
		}
		v.report.Deleted++
		v.record(of, r, stored)
	}
	return nil
}

// orphans reports values and versions without a record.
func (v *verifier) orphans(ctx context.Context) error {
	rows := v.tx.Bucket(v.past)
	for key := range rows.From([]byte{0}) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if len(key) < idBytes || !v.known[recordID(key)] {
			v.report.problem("past row %x belongs to no secret", key)
		}
	}
	return nil
}
