package session

import (
	"context"
	"time"

	"github.com/strongroom/strongroom/internal/state"
)

// Renew replaces the tokens of a session by those that renew returns, and returns the
// session. Concurrent calls for one session share one call of renew, because issuers take
// a refresh token only once; so do calls on several nodes, which wait for the tokens of the
// node that is first. The error is ErrNone, that of renew, or one of the state file.
func (s *Sessions) Renew(ctx context.Context, old Session, renew func(context.Context, Tokens) (Tokens, error)) (Session, error) {
	ctx = context.WithoutCancel(ctx) // other requests wait for the same tokens
	result, err, _ := s.renewals.Do(old.ID, func() (any, error) {
		now, ours, err := s.claim(ctx, old)
		if err != nil || !ours {
			return now, err
		}
		tokens, refused := renew(ctx, now.Tokens)
		err = s.file.UpdateReserved(ctx, func(tx *state.Tx) error {
			if now, err = s.load(tx, old.ID); err != nil {
				return err
			}
			if now.renewing = (time.Time{}); refused == nil {
				now.Tokens = tokens
			}
			return s.write(tx, now)
		})
		if refused != nil {
			err = refused
		}
		return now, err
	})
	return result.(Session), err
}

const (
	// renewalTakes is how long other nodes wait for the one that renews tokens. It may have
	// ended since.
	renewalTakes = 15 * time.Second
	renewalPoll  = 20 * time.Millisecond
)

// claim returns the session, and whether its tokens are still the old ones and this
// process is to renew them. It waits while another node does.
func (s *Sessions) claim(ctx context.Context, old Session) (now Session, ours bool, err error) {
	for {
		err = s.file.UpdateReserved(ctx, func(tx *state.Tx) error {
			if now, err = s.load(tx, old.ID); err != nil {
				return err
			}
			at := time.Now().UTC()
			ours = now.Tokens == old.Tokens && at.Sub(now.renewing).Abs() >= renewalTakes
			if !ours {
				return nil
			}
			now.renewing = at
			return s.write(tx, now)
		})
		if err != nil || ours || now.Tokens != old.Tokens {
			return now, ours, err
		}
		time.Sleep(renewalPoll)
	}
}
