package issued

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/state"
)

// flushEvery is the longest time for which a last use, or the latest time seen, is not
// yet on disk.
const flushEvery = time.Minute

// run flushes periodically and whenever a key expires. The expiry is then on disk, so
// that the next process knows it even if the clock is set back.
func (k *Keys) run() {
	defer close(k.done)
	next := time.NewTimer(k.untilNext())
	defer next.Stop()
	for {
		select {
		case <-next.C:
			if err := k.flush(); err != nil && !errors.Is(err, secret.ErrFull) {
				k.log.Error("writing the last uses of issued keys", "error", err)
			}
		case <-k.wake:
		case <-k.stop:
			return
		}
		next.Reset(k.untilNext())
	}
}

// wakeUp makes run recompute when the next key expires.
func (k *Keys) wakeUp() {
	select {
	case k.wake <- struct{}{}:
	default: // run will wake anyway
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

// flush writes changed last uses and removes old keys. It also writes the current time
// if some key ends after the time on disk.
func (k *Keys) flush() error {
	now := k.clock.now()
	used, old, ending := k.due(now)
	if err := errors.Join(k.each(used, k.writeUsed), k.each(old, k.remove)); err != nil {
		return err
	}
	if !ending {
		return nil
	}
	return k.file.Update(context.Background(), func(tx *state.Tx) error { return k.raiseTime(tx, now) })
}

// due returns the ids of keys with an unwritten last use and of keys to remove, and
// whether some key ends after the time on disk.
func (k *Keys) due(now time.Time) (used, old []string, ending bool) {
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
			old = append(old, id)
		case !e.now().Used.Equal(e.Used):
			used = append(used, id)
		}
		ending = ending || (e.Revoked.IsZero() && e.Ends.After(k.marked))
	}
	return used, old, ending
}

// stepKeys limits the keys written in one transaction.
const stepKeys = 64

// each calls do with stored keys, stepKeys per transaction.
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

// writeUsed raises the stored last use.
func (k *Keys) writeUsed(tx *state.Tx, key Key) error {
	known, ok := k.get(key.ID)
	if !ok || !known.Used.After(key.Used) {
		return nil
	}
	key.Used = known.Used
	return k.write(tx, key)
}

// remove removes a key that no longer works.
func (k *Keys) remove(tx *state.Tx, key Key) error {
	if _, over := key.over(k.clock.now()); !over {
		return nil
	}
	rows := tx.Bucket(bucket)
	return rows.Delete(k.rowKey(key.ID))
}
