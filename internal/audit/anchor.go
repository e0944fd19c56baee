package audit

import (
	"crypto/hmac"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/state"
)

var (
	// ErrRolledBack means that the anchored log is not this one, or was longer: the
	// state file is an old copy.
	ErrRolledBack = errors.New("an old copy of the state file was put back")
	// ErrNotAnchor means that a text is not an anchor of this log, or was changed.
	ErrNotAnchor = errors.New("not an anchor of this audit log")
)

// anchorWord begins an anchor, and is part of what its signature covers. Anchors of
// earlier versions lack the position of the state file, and begin with earlierWord.
const (
	anchorWord  = "strongroom-audit-v2"
	earlierWord = "strongroom-audit-v1"
)

// An Anchor is the number and MAC of the log's last entry, kept outside of the state
// file. It is one line of text, which cannot be forged without the chain key:
//
//	strongroom-audit-v2 9f…(id of the state file) 4711 5f…(MAC) 5200 e1…(chain) 2026-11-21T12:00:00Z c0…(signature)
//
// 5200 and the chain behind it are the position of the state file, which every change
// advances, with an audit entry or without.
type Anchor struct {
	File      string // id of the state file
	Seq       uint64 // of the last entry, 0 if there was none
	MAC       MAC    // of that entry
	State     state.Position
	Time      time.Time
	Signature MAC
}

func (a Anchor) link() link { return link{a.Seq, a.MAC} }

// String returns the anchor as a line, without a line break.
func (a Anchor) String() string { return a.signed() + " " + a.Signature.String() }

func (a Anchor) signed() string {
	entry := []string{a.File, strconv.FormatUint(a.Seq, 10), a.MAC.String()}
	at := a.Time.Format(time.RFC3339Nano)
	if a.State == (state.Position{}) {
		return strings.Join(slices.Concat([]string{earlierWord}, entry, []string{at}), " ")
	}
	position := []string{strconv.FormatUint(a.State.Seq, 10), hex.EncodeToString(a.State.Chain[:])}
	return strings.Join(slices.Concat([]string{anchorWord}, entry, position, []string{at}), " ")
}

// ParseAnchor parses a line of [Anchor.String], with or without its line break. It does
// not check the signature.
func ParseAnchor(text string) (Anchor, error) {
	fields := strings.Fields(text)
	var a Anchor
	var positionErr error
	switch {
	case len(fields) == 8 && fields[0] == anchorWord:
		a.State, positionErr = parsePosition(fields[4], fields[5])
		fields = slices.Delete(fields, 4, 6)
	case len(fields) != 6 || fields[0] != earlierWord:
		return Anchor{}, fmt.Errorf("%w: want one line of eight words, the first %s", ErrNotAnchor, anchorWord)
	}
	a.File = fields[1]
	var seqErr, timeErr error
	a.Seq, seqErr = strconv.ParseUint(fields[2], 10, 64)
	a.Time, timeErr = time.Parse(time.RFC3339Nano, fields[4])
	macErr := errors.Join(a.MAC.UnmarshalText([]byte(fields[3])), a.Signature.UnmarshalText([]byte(fields[5])))
	if err := errors.Join(positionErr, seqErr, timeErr, macErr); err != nil {
		return Anchor{}, fmt.Errorf("%w: %w", ErrNotAnchor, err)
	}
	return a, nil
}

func parsePosition(seq, chain string) (at state.Position, err error) {
	at.Seq, err = strconv.ParseUint(seq, 10, 64)
	raw, hexErr := hex.DecodeString(chain)
	if hexErr != nil || len(raw) != len(at.Chain) {
		return state.Position{}, fmt.Errorf("the chain is not %d hexadecimal digits", 2*len(at.Chain))
	}
	copy(at.Chain[:], raw)
	return at, err
}

// Anchor returns an anchor of the log as it is now.
func (l *Log) Anchor() (Anchor, error) {
	at := l.file.Position()
	head, err := l.lastLink()
	if err != nil {
		return Anchor{}, err
	}
	a := Anchor{File: l.file.ID(), Seq: head.Seq, MAC: head.MAC, State: at, Time: time.Now().UTC()}
	a.Signature = MAC(l.chain.MAC([]byte(a.signed())))
	return a, nil
}

// CheckAnchor returns nil if the log still has the anchored entry. Otherwise the error is
// ErrRolledBack, ErrNotAnchor, or ErrTampered if the entry or the log's head is damaged.
//
// It reads the anchored entry and the head, so its cost does not grow with the log.
// [Log.Verify] checks the entries in between.
func (l *Log) CheckAnchor(text string) error {
	a, err := ParseAnchor(text)
	if err != nil {
		return err
	}
	if a.File != l.file.ID() {
		return fmt.Errorf("%w: it belongs to the state file with id %s, and this one has id %s", ErrNotAnchor, a.File, l.file.ID())
	}
	if !hmac.Equal(a.Signature[:], l.chain.MAC([]byte(a.signed()))) {
		return fmt.Errorf("%w: its signature is wrong", ErrNotAnchor)
	}
	err = l.file.View(func(tx *state.Tx) error {
		log := tx.Bucket(bucket)
		return l.holds(&log, a.link())
	})
	if err != nil {
		return err
	}
	return l.continues(a.State)
}

// continues checks that the state file has the anchored changes. Of those before its last
// one it knows the number only; the audit log has the rest.
func (l *Log) continues(anchored state.Position) error {
	now := l.file.Position()
	switch {
	case now.Seq < anchored.Seq:
		return fmt.Errorf("%w: the state file ends at change %d but was anchored at change %d", ErrRolledBack, now.Seq, anchored.Seq)
	case now.Seq == anchored.Seq && now.Chain != anchored.Chain:
		return fmt.Errorf("%w: change %d of the state file is not the one that was anchored", ErrRolledBack, now.Seq)
	}
	return nil
}

func (l *Log) holds(log *state.Bucket, anchored link) error {
	head, err := l.checkEnd(log)
	if err != nil {
		return err
	}
	start, err := l.checkpoint(log)
	switch {
	case err != nil:
		return err
	case head.Seq < anchored.Seq:
		return fmt.Errorf("%w: the audit log ends at entry %d but was anchored at entry %d", ErrRolledBack, head.Seq, anchored.Seq)
	case start.Seq > anchored.Seq:
		return nil // pruned later, and an old copy has not been pruned
	}
	got, err := linkAt(log, start.link(), anchored.Seq)
	if err == nil && got != anchored {
		err = fmt.Errorf("%w: audit entry %d is not the one that was anchored", ErrRolledBack, anchored.Seq)
	}
	return err
}
