package issued

import (
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/state"
)

// A credential lets [secret.Service] check an issued key again when an operation takes
// effect.
type credential struct {
	keys *Keys
	id   string
}

var _ secret.Credential = credential{}

// Check implements [secret.Credential]. A revocation is in memory before Revoke returns.
// Check accepts an agent key without reads left, because the response to its last read
// may still be in progress; Spend rejects it.
func (c credential) Check() error {
	c.keys.mu.RLock()
	e := c.keys.byID[c.id]
	c.keys.mu.RUnlock()
	if e == nil || e.stopped(c.keys.clock.now()) {
		return secret.ErrForbidden
	}
	return nil
}

// Spend implements [secret.Credential]. It reads the key from the transaction, because
// memory does not yet have the other reads of the same commit.
func (c credential) Spend(tx secret.Tx) error {
	t, ok := tx.(*state.Tx)
	if !ok {
		return secret.ErrForbidden // without a transaction the read cannot be counted
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
	agent.ReadCount++
	if now.After(agent.Last) {
		agent.Last = now
	}
	key.Agent = &agent
	return k.write(t, key)
}
