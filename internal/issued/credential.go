package issued

import (
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/state"
)

// credential is an issued key as [secret.Service] asks it again when it changes
// or delivers something.
type credential struct {
	keys *Keys
	id   string
}

var _ secret.Credential = credential{}

// Check implements [secret.Credential]. Memory knows of a revocation before
// Revoke returns. A key that is used up is left to Spend: its last delivery is
// still to be answered.
func (c credential) Check() error {
	c.keys.mu.RLock()
	e := c.keys.byID[c.id]
	c.keys.mu.RUnlock()
	if e == nil || e.stopped(c.keys.clock.now()) {
		return secret.ErrForbidden
	}
	return nil
}

// Spend implements [secret.Credential]. It reads the key from the transaction,
// since memory does not yet know of other deliveries in the same commit.
func (c credential) Spend(tx secret.Tx) error {
	t, ok := tx.(*state.Tx)
	if !ok {
		return secret.ErrForbidden // a recorder without transactions could not count
	}
	k := c.keys
	key, err := k.read(t, c.id)
	now := k.clock.now()
	if _, over := key.over(now); err != nil || over {
		return secret.ErrForbidden
	}
	if key.Agent == nil {
		return nil
	}
	agent := *key.Agent
	agent.Delivered++
	agent.Last = now
	key.Agent = &agent
	return k.write(t, key)
}
