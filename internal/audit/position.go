package audit

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"

	"github.com/strongroom/strongroom/internal/state"
)

// The bucket of positions has a row for each destination that entries were sent to:
//
//	SHA-256 of the destination   number of an entry (8) ‖ its MAC (32) ‖ MAC (32)
const (
	positionBucket = "audit/sent"
	positionBytes  = keyBytes + macBytes + macBytes
	positionLabel  = "audit position of "
)

// A Position is the last entry that a destination outside has received. It is zero before
// the first one.
type Position struct {
	Seq uint64
	MAC MAC
}

// Position returns the position of the entry.
func (e Entry) Position() Position { return Position(e.link()) }

// ErrPosition means that a stored position does not belong to this log, because its row
// was changed or the log was cut off.
var ErrPosition = errors.New("the stored position is not one of this audit log")

// Position returns the stored position of a destination. With ErrPosition it is zero, so
// that all entries are sent again.
func (l *Log) Position(destination string) (p Position, err error) {
	err = l.file.View(func(tx *state.Tx) error {
		p, err = l.position(tx, destination)
		return err
	})
	return p, err
}

func (l *Log) position(tx *state.Tx, destination string) (Position, error) {
	key := sha256.Sum256([]byte(destination))
	sent := tx.Bucket(positionBucket)
	stored := sent.Get(key[:])
	if stored == nil {
		return Position{}, nil
	}
	if len(stored) != positionBytes {
		return Position{}, ErrPosition
	}
	text := stored[:positionBytes-macBytes]
	if !hmac.Equal(stored[len(text):], l.positionMAC(key[:], text)) {
		return Position{}, ErrPosition
	}
	p := Position{binary.BigEndian.Uint64(text), MAC(text[keyBytes:])}
	log := tx.Bucket(bucket)
	start, err := l.checkpoint(&log)
	if err != nil {
		return Position{}, err
	}
	if p.Seq < start.Seq { // pruned meanwhile
		return p, nil
	}
	if at, err := linkAt(&log, start.link(), p.Seq); err != nil || Position(at) != p {
		return Position{}, ErrPosition
	}
	return p, nil
}

// SetPosition stores the position of a destination, as an ordinary change.
func (l *Log) SetPosition(ctx context.Context, destination string, p Position) error {
	key := sha256.Sum256([]byte(destination))
	text := append(keyOf(p.Seq), p.MAC[:]...)
	return l.file.Update(ctx, func(tx *state.Tx) error {
		sent := tx.Bucket(positionBucket)
		return sent.Put(key[:], append(text[:len(text):len(text)], l.positionMAC(key[:], text)...))
	})
}

func (l *Log) positionMAC(key, text []byte) []byte {
	return l.mac(positionLabel, append(key[:len(key):len(key)], text...))
}

// KeepUnsent makes [Log.Prune] keep the entries after the position of a destination. Call
// it before the log is used.
func (l *Log) KeepUnsent(destination string) { l.unsent = destination }

// sent returns the number of the last entry that no destination waits for: at most last.
func (l *Log) sent(last uint64) (uint64, error) {
	if l.unsent == "" {
		return last, nil
	}
	p, err := l.Position(l.unsent)
	if err != nil && !errors.Is(err, ErrPosition) {
		return 0, err
	}
	return min(last, p.Seq), nil
}
