package issued

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/state"
)

// flushEvery is how late the disk may know of a last use, and of how late it
// is.
const flushEvery = time.Minute

// run writes times now and then, and when a key ends: so one that has ended has
// ended for the next process as well, to whatever time the clock is set.
func (k *Keys) run() {
	defer close(k.done)
	next := time.NewTimer(k.untilNext())
	defer next.Stop()
	for {
		select {
		case <-next.C:
			if err := k.flush(); err != nil && !errors.Is(err, secret.ErrFull) {
				k.log.Error("writing when issued keys were used", "error", err)
			}
		case <-k.wake:
		case <-k.stop:
			return
		}
		next.Reset(k.untilNext())
	}
}

// wakeUp has run look again when the next key ends.
func (k *Keys) wakeUp() {
	select {
	case k.wake <- struct{}{}:
	default: // it will anyway
	}
}

func (k *Keys) untilNext() time.Duration {
	now := k.clock.now()
	wait := flushEvery
	k.mu.RLock()
	defer k.mu.RUnlock()
	for _, e := range k.byID {
		if left := e.Ends.Sub(now); left > 0 && left < wait {
			wait = left
		}
	}
	return wait
}

// flush writes what has changed of last uses, forgets what ended long ago, and
// writes how late it is as long as there is a key whose end the disk does not
// know to be over.
func (k *Keys) flush() error {
	now := k.clock.now()
	used, forgotten, ending := k.due(now)
	if err := errors.Join(k.each(used, k.writeUsed), k.each(forgotten, k.forget)); err != nil {
		return err
	}
	if !ending {
		return nil
	}
	err := k.file.Update(context.Background(), func(tx *state.Tx) error {
		text := binary.BigEndian.AppendUint64(nil, uint64(now.UnixNano()))
		rows := tx.Bucket(bucket)
		return rows.Put(timeKey, k.ring.Seal(text, k.place(timeKey)))
	})
	if err == nil {
		k.marked = now
	}
	return err
}

// due returns the ids of the keys of which the disk does not know the last use,
// and of those to be forgotten, and whether there are keys that end.
func (k *Keys) due(now time.Time) (used, forgotten []string, ending bool) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	remembered := Remembered
	if len(k.byID) > manyKeys {
		remembered = rememberedOfMany
	}
	for id, e := range k.byID {
		since, over := e.over(now)
		switch {
		case over && now.Sub(since) > remembered:
			forgotten = append(forgotten, id)
		case !e.now().Used.Equal(e.Used):
			used = append(used, id)
		}
		ending = ending || (e.Revoked.IsZero() && e.Ends.After(k.marked))
	}
	return used, forgotten, ending
}

// stepKeys bounds how many keys one transaction writes.
const stepKeys = 64

// each does something to keys as they are on disk, some at a time.
func (k *Keys) each(ids []string, do func(*state.Tx, Key) error) error {
	for step := range slices.Chunk(ids, stepKeys) {
		err := k.file.Update(context.Background(), func(tx *state.Tx) error {
			for _, id := range step {
				key, err := k.read(tx, id)
				if err == nil {
					err = do(tx, key)
				}
				if err != nil && !errors.Is(err, secret.ErrNotFound) {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (k *Keys) writeUsed(tx *state.Tx, key Key) error {
	known, ok := k.get(key.ID)
	if !ok {
		return nil
	}
	key.Used = known.Used
	return k.write(tx, key)
}

// forget is for keys that do not work, and never will again.
func (k *Keys) forget(tx *state.Tx, key Key) error {
	rows := tx.Bucket(bucket)
	if err := rows.Delete(k.rowKey(key.ID)); err != nil {
		return err
	}
	tx.OnCommit(func() { k.drop(key) })
	return nil
}
