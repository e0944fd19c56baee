package issued

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/strongroom/strongroom/internal/grant"
	"github.com/strongroom/strongroom/internal/seal"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/state"
)

// The bucket of issued keys:
//
//	MAC(id) (16)  sealed key, in JSON
//	time          sealed: the latest time seen, as Unix nanoseconds (8)
const (
	bucket   = "issued"
	rowBytes = seal.MACBytes
)

var timeKey = []byte("time")

// ErrNoKey is a [secret.ErrNotFound] for keys.
var ErrNoKey error = noKey{}

type noKey struct{}

func (noKey) Error() string { return "no such key was issued" }

// Is makes [errors.Is] report a match with secret.ErrNotFound.
func (noKey) Is(target error) bool { return target == secret.ErrNotFound }

var errDamaged = errors.New("its row is damaged or was moved from another place")

func (k *Keys) rowKey(id string) []byte {
	mac := k.ring.MAC(seal.Place("issued key", id))
	return mac[:]
}

func (k *Keys) place(row []byte) []byte { return seal.Place("issued", k.file.ID(), string(row)) }

func (k *Keys) load() error {
	return k.file.View(func(tx *state.Tx) error {
		rows := tx.Bucket(bucket)
		for row, sealed := range rows.From([]byte{0}) {
			k.apply(row, sealed)
		}
		return nil
	})
}

// follow copies changed rows into memory.
func (k *Keys) follow(rows []state.Row) {
	for _, r := range rows {
		if r.Value == nil {
			k.drop(r.Key)
		} else {
			k.apply(r.Key, r.Value)
		}
	}
}

// apply copies a row into memory.
func (k *Keys) apply(row, sealed []byte) {
	var err error
	if bytes.Equal(row, timeKey) {
		err = k.applyTime(sealed)
	} else {
		err = k.applyKey(row, sealed)
	}
	if err != nil {
		k.drop(row)
		k.log.Error("an issued key is damaged and does not work", "problem", fmt.Sprintf("row %x: %v", row, err))
	}
}

func (k *Keys) applyTime(sealed []byte) error {
	seen, err := k.openTime(sealed)
	if err != nil {
		return err
	}
	k.clock.setAhead(seen)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.marked = seen
	return nil
}

func (k *Keys) applyKey(row, sealed []byte) error {
	key, err := k.open(row, sealed)
	if err != nil {
		return err
	}
	for _, seen := range []time.Time{key.Created, key.Revoked} {
		if !seen.IsZero() {
			k.clock.setAhead(seen)
		}
	}
	k.put(row, key)
	return nil
}

func (k *Keys) openTime(sealed []byte) (time.Time, error) {
	text, err := k.ring.Open(sealed, k.place(timeKey))
	if err != nil || len(text) != 8 {
		return time.Time{}, errDamaged
	}
	return time.Unix(0, int64(binary.BigEndian.Uint64(text))), nil // #nosec G115 -- the reverse of how it was written
}

// raiseTime stores the latest time seen, unless a later one is stored.
func (k *Keys) raiseTime(tx *state.Tx, now time.Time) error {
	rows := tx.Bucket(bucket)
	if stored := rows.Get(timeKey); stored != nil {
		if seen, err := k.openTime(stored); err == nil && !now.After(seen) {
			return nil
		}
	}
	text := binary.BigEndian.AppendUint64(nil, uint64(now.UnixNano()))
	return rows.Put(timeKey, k.ring.Seal(text, k.place(timeKey)))
}

func (k *Keys) open(row, sealed []byte) (Key, error) {
	text, err := k.ring.Open(sealed, k.place(row))
	if err != nil {
		return Key{}, fmt.Errorf("%w: %w", errDamaged, err)
	}
	var key Key
	if err := json.Unmarshal(text, &key); err != nil {
		return Key{}, errDamaged
	}
	return key, nil
}

// read returns the key from the transaction, or ErrNoKey.
func (k *Keys) read(tx *state.Tx, id string) (Key, error) {
	rows, row := tx.Bucket(bucket), k.rowKey(id)
	sealed := rows.Get(row)
	if sealed == nil {
		return Key{}, ErrNoKey
	}
	return k.open(row, sealed)
}

// write stores the key. Memory follows after the commit.
func (k *Keys) write(tx *state.Tx, key Key) error {
	text, err := json.Marshal(key)
	if err != nil {
		return fmt.Errorf("encoding an issued key: %w", err)
	}
	rows, row := tx.Bucket(bucket), k.rowKey(key.ID)
	return rows.Put(row, k.ring.Seal(text, k.place(row)))
}

// note records the operation and its caller in the audit log.
func (k *Keys) note(tx *state.Tx, by secret.Caller, verb string, key Key) error {
	kind := key.kind()
	covers := ""
	if verb != "revoke" {
		covers = coversOf(key.Grants)
	}
	return k.audit.Append(tx, secret.Event{
		Covers: covers,
		Time:   time.Now().UTC(), Subject: by.Subject, CredentialID: by.CredentialID, From: by.From, Request: by.Request,
		Action: secret.Action(kind + " " + verb), Ref: secret.Ref{Owner: secret.Owner{Kind: kind, ID: key.ID}}, Outcome: secret.Done,
	})
}

// maxCovered limits the lines of an entry.
const maxCovered = 200

// coversOf returns [secret.Event].Covers for the grants of a key.
func coversOf(grants []grant.Line) string {
	var lines []string
	for _, g := range grants {
		owner := g.Owner
		if g.Deny {
			owner = "except " + owner
		}
		if len(g.Names) == 0 {
			lines = append(lines, owner)
		}
		for _, name := range g.Names {
			lines = append(lines, owner+" "+name)
		}
	}
	if more := len(lines) - maxCovered; more > 0 {
		lines = append(lines[:maxCovered], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(lines, "\n")
}

// Reseal seals rows under the primary key if they are sealed under another. It calls
// progress with the number of rows checked so far.
func (k *Keys) Reseal(ctx context.Context, progress func(rows int)) error {
	return k.file.Sweep(ctx, bucket, k.resealRow, progress)
}

func (k *Keys) resealRow(tx *state.Tx, row, sealed []byte) error {
	if k.ring.SealedByPrimary(sealed) {
		return nil
	}
	text, err := k.ring.Open(sealed, k.place(row))
	if err != nil {
		return fmt.Errorf("issued key in row %x: %w", row, errDamaged)
	}
	rows := tx.Bucket(bucket)
	return rows.Put(row, k.ring.Seal(text, k.place(row)))
}

// Verify opens all rows, and returns the number of keys and the problems.
func (k *Keys) Verify() (keys int, problems []string, err error) {
	err = k.file.View(func(tx *state.Tx) error {
		rows := tx.Bucket(bucket)
		for row, sealed := range rows.From([]byte{0}) {
			var err error
			if bytes.Equal(row, timeKey) {
				_, err = k.ring.Open(sealed, k.place(row))
			} else {
				keys++
				_, err = k.open(row, sealed)
			}
			if err != nil {
				problems = append(problems, fmt.Sprintf("issued key in row %x: %v", row, err))
			}
		}
		return nil
	})
	return keys, problems, err
}

func invalid(is bool, field, reason string) error {
	if !is {
		return nil
	}
	return &secret.InvalidError{Field: field, Reason: reason}
}

func printable(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, unicode.IsControl)
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
