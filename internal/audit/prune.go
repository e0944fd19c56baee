package audit

import (
	"context"
	"crypto/hmac"
	"encoding/json"
	"errors"
	"time"

	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/state"
)

// A Checkpoint replaces the pruned entries: the chain continues from the last of them.
type Checkpoint struct {
	Seq     uint64    `json:"seq"` // of the last pruned entry
	MAC     MAC       `json:"mac"` // of that entry
	Time    time.Time `json:"time"`
	By      string    `json:"by"`
	Dropped int       `json:"dropped"` // number of entries dropped by that pruning
}

func (c Checkpoint) link() link { return link{c.Seq, c.MAC} }

// Checkpoint returns the log's checkpoint, or a zero one if it was never pruned.
func (l *Log) Checkpoint() (c Checkpoint, err error) {
	err = l.file.View(func(tx *state.Tx) error {
		log := tx.Bucket(bucket)
		c, err = l.checkpoint(&log)
		return err
	})
	return c, err
}

func (l *Log) checkpoint(log *state.Bucket) (c Checkpoint, err error) {
	stored := log.Get(checkpointKey)
	if stored == nil {
		return Checkpoint{}, nil
	}
	mac, sealed, ok := split(stored)
	if !ok || !hmac.Equal(mac[:], l.mac(checkpointLabel, sealed)) {
		return Checkpoint{}, &Break{What: BadCheckpoint}
	}
	text, err := l.entry.Open(sealed, l.checkpointPlace())
	if err != nil || json.Unmarshal(text, &c) != nil {
		return Checkpoint{}, &Break{What: BadCheckpoint}
	}
	return c, nil
}

func (l *Log) putCheckpoint(log *state.Bucket, c Checkpoint) error {
	text, err := json.Marshal(c)
	if err != nil {
		return err
	}
	sealed := l.entry.Seal(text, l.checkpointPlace())
	return log.Put(checkpointKey, append(l.mac(checkpointLabel, sealed), sealed...))
}

func (l *Log) checkpointPlace() []byte { return []byte(checkpointLabel + l.file.ID()) }

// Prune drops the entries before the first one that is not older than before, and returns
// their number. Each of its commits drops a bounded number, leaves a checkpoint, and
// appends the event with the number. Entries that do not verify are never dropped, so
// traces of tampering stay, and so do entries that a stream has yet to send (see
// [Log.KeepUnsent]). Error: ErrPruned.
func (l *Log) Prune(ctx context.Context, before time.Time, by secret.Event) (dropped int, err error) {
	l.pruning.Lock()
	defer l.pruning.Unlock()
	head, err := l.lastLink()
	if err != nil {
		return 0, err
	}
	end, err := l.sent(head.Seq)
	if err != nil {
		return 0, err
	}
	for {
		old, err := l.oldest(before, end)
		if err != nil || len(old) == 0 {
			return dropped, err
		}
		last := old[len(old)-1]
		c := Checkpoint{last.Seq, last.MAC, time.Now().UTC(), by.Subject, dropped + len(old)}
		if err := l.drop(ctx, c, old, by); err != nil {
			return dropped, err
		}
		dropped = c.Dropped
	}
}

// ErrPruned means that another process has pruned the log meanwhile.
var ErrPruned = errors.New("the audit log was pruned by another process meanwhile")

// oldest returns entries to drop. It excludes entries after last, which pruning itself
// has appended.
func (l *Log) oldest(before time.Time, last uint64) ([]Entry, error) {
	found, err := l.step(link{})
	if err != nil {
		return nil, err
	}
	for i, e := range found {
		if e.Seq > last || !e.Event.Time.Before(before) {
			return found[:i], nil
		}
	}
	return found, nil
}

func (l *Log) drop(ctx context.Context, c Checkpoint, old []Entry, by secret.Event) error {
	by.Time, by.Action, by.Outcome = c.Time, Pruning, secret.Done
	return l.file.Update(ctx, func(tx *state.Tx) error {
		log := tx.Bucket(bucket)
		// The entries were read in an earlier transaction. The checkpoint must be the one
		// before them: it never goes back, and each entry is counted once.
		now, err := l.checkpoint(&log)
		if err == nil && now.Seq != old[0].Seq-1 {
			err = ErrPruned
		}
		if err != nil {
			return err
		}
		if err := l.append(tx, Entry{Event: by, Count: len(old)}); err != nil {
			return err
		}
		for _, e := range old {
			if err := log.Delete(keyOf(e.Seq)); err != nil {
				return err
			}
		}
		return l.putCheckpoint(&log, c)
	})
}
