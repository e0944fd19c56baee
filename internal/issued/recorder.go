package issued

import (
	"context"

	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/state"
)

// The keys stand before the audit log: what a key delivers is counted where it
// goes on record, in the same transaction, so that there is neither a delivery
// without a count nor one more than a key is good for.
var _ Log = (*Keys)(nil)

// Append puts the event on record in the transaction. If it is a delivery by a
// key whose deliveries are counted, that takes one of them; the error is
// secret.ErrForbidden if the key does not work any more.
func (k *Keys) Append(tx *state.Tx, e secret.Event) error {
	if e.Counted && e.Action == secret.Reveal && e.Outcome == secret.Done {
		if err := k.deliver(tx, e.Key); err != nil {
			return err
		}
	}
	return k.audit.Append(tx, e)
}

// Record implements [secret.Recorder]. With a store that does not record, an
// intent is all that can come before the delivery, and takes one of the key's:
// there, one that fails afterwards was spent as well.
func (k *Keys) Record(ctx context.Context, e secret.Event) error {
	if !e.Counted || e.Action != secret.Reveal || e.Outcome != secret.Unknown {
		return k.audit.Record(ctx, e)
	}
	return k.file.UpdateReserved(ctx, func(tx *state.Tx) error {
		if err := k.deliver(tx, e.Key); err != nil {
			return err
		}
		return k.audit.Append(tx, e)
	})
}

// Note implements [secret.Recorder].
func (k *Keys) Note(e secret.Event) error { return k.audit.Note(e) }

// deliver goes by what is on disk: memory may not know yet of what others
// deliver in this commit.
func (k *Keys) deliver(tx *state.Tx, id string) error {
	key, err := k.read(tx, id)
	if err != nil {
		return secret.ErrForbidden
	}
	now := k.clock.now()
	if _, over := key.over(now); over || key.Agent == nil {
		return secret.ErrForbidden
	}
	agent := *key.Agent
	agent.Delivered++
	agent.Last = now
	key.Agent = &agent
	return k.write(tx, key)
}
