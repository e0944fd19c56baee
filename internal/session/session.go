// Package session keeps the sessions of the web console in the state file, sealed.
//
// A session has a token, of which only the hash is stored, and the hash of the API key
// that signed in, or the tokens of an OpenID Connect issuer. It has no grants: the console
// asks the strategies for the caller at each request, so a revoked key ends its sessions
// and changed grants apply at once.
//
// Sessions are read from the state file at each request. There is no copy in memory.
// pending.go has sign-ins that wait for the issuer.
package session

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/strongroom/strongroom/internal/auth"
	"github.com/strongroom/strongroom/internal/auth/apikey"
	"github.com/strongroom/strongroom/internal/seal"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/state"
)

const (
	// Lifetime is the time after which a session ends.
	Lifetime = 8 * time.Hour
	// Idle is the time without a request after which a session ends.
	Idle = 30 * time.Minute

	// MaxSessions limits the stored sessions.
	MaxSessions = 2000
	// maxOfOne limits the sessions of one credential. Beyond it, the least recently used
	// session ends.
	maxOfOne = 20

	// touchEvery is the maximum age of the stored time of the last use. After a crash a
	// session ends too early by at most this time.
	touchEvery = time.Minute
	// If the clock has gone back by more than maxBack since the last use, the session
	// ends, because its age is unknown.
	maxBack = time.Minute
)

// The audited actions.
const (
	SignIn  secret.Action = "console sign in"
	SignOut secret.Action = "console sign out"
)

// kind is the kind of owner that names a session in the audit log.
const kind = "session"

// The bucket: MAC(id) → sealed session, in JSON.
const bucket = "session"

// ErrNone means that there is no such session, or that it has ended.
var ErrNone = errors.New("no such session")

var (
	errDamaged = errors.New("its row is damaged or was moved from another place")
	errTooMany = &secret.InvalidError{Field: "sessions", Reason: "are too many: end some of them first"}
)

// A Session is a sign-in to the console.
type Session struct {
	// ID names the session in lists and in the audit log. It is not secret.
	ID string `json:"id"`
	// SHA256 is the hash of the token.
	SHA256 [sha256.Size]byte `json:"sha256"`
	// Strategy is the strategy of the config that accepted the credential.
	Strategy string `json:"strategy"`
	// APIKey is the hash of the API key that signed in, unless an issuer's tokens did.
	APIKey apikey.Hash `json:"api_key"`
	// Tokens are those of the issuer that signed in.
	Tokens Tokens `json:"-"`
	// Subject and Key name the caller as in the audit log.
	Subject      string `json:"subject"`
	CredentialID string `json:"key,omitempty"`
	// From is the address that signed in.
	From string `json:"from,omitempty"`
	// Browser is the User-Agent that signed in, cut to 200 bytes.
	Browser string `json:"browser,omitempty"`
	// Created, Used and Ends are the times of the sign-in, of the last request (to the
	// minute) and of the end.
	Created time.Time `json:"created"`
	Used    time.Time `json:"used"`
	Ends    time.Time `json:"ends"`

	renewing time.Time // when a node began to renew the tokens; zero if they are renewed
}

// Tokens are an issuer's tokens for a session. They are credentials.
type Tokens struct {
	Issuer  string
	Access  secret.Value
	Refresh secret.Value // empty: there is none
	// Renewed is when the issuer gave or last refused to renew them.
	Renewed time.Time
}

// stored is the form of a session in its row, with its tokens.
type stored struct {
	Session
	Issuer   string    `json:"issuer,omitempty"`
	Access   string    `json:"access,omitempty"`
	Refresh  string    `json:"refresh,omitempty"`
	Renewed  time.Time `json:"renewed,omitzero"`
	Renewing time.Time `json:"renewing,omitzero"`
}

// Over reports whether the session has ended at this time.
func (s *Session) Over(now time.Time) bool {
	return !now.Before(s.Ends) || now.Sub(s.Used) >= Idle || now.Before(s.Used.Add(-maxBack))
}

// Same reports whether both sessions are of one credential.
func (s *Session) Same(other *Session) bool {
	return s.Strategy == other.Strategy && s.Subject == other.Subject && s.CredentialID == other.CredentialID
}

// A Ring seals rows and computes their row keys. It is *seal.Ring.
type Ring interface {
	Seal(text, place []byte) []byte
	Open(sealed, place []byte) ([]byte, error)
	SealedByPrimary(sealed []byte) bool
	MAC(name []byte) [16]byte
}

// A Log records events. It is *audit.Log.
type Log interface {
	Append(tx *state.Tx, e secret.Event) error
}

// Sessions are the sessions of a state file. They are safe for concurrent use.
type Sessions struct {
	file  *state.File
	ring  Ring
	audit Log

	renewals singleflight.Group

	once     sync.Mutex            // guards the lookup and the entry of one sign-in
	answered auth.Memory[struct{}] // sign-ins that had an answer
}

// Open returns the sessions in the file.
func Open(file *state.File, ring Ring, audit Log) *Sessions {
	return &Sessions{file: file, ring: ring, audit: audit}
}

// Begin stores a session for the caller and returns it with its token, which is not
// stored. It needs the strategy and the hash of the API key or the tokens, and sets everything else.
// Sessions that have ended are removed. Errors: an InvalidError, and those of the state
// file.
func (s *Sessions) Begin(ctx context.Context, by secret.Caller, draft Session) (token string, _ Session, err error) {
	id, random := randomText(5), randomText(32)
	token = id + "_" + random
	now := time.Now().UTC()
	draft.ID, draft.SHA256 = id, sha256.Sum256([]byte(token))
	draft.Subject, draft.CredentialID, draft.From = by.Subject, by.CredentialID, by.From
	draft.Created, draft.Used, draft.Ends = now, now, now.Add(Lifetime)
	err = s.file.Update(ctx, func(tx *state.Tx) error {
		if err := s.makeRoom(tx, &draft, now); err != nil {
			return err
		}
		return errors.Join(s.write(tx, draft), s.note(tx, by, SignIn, draft))
	})
	return token, draft, err
}

// makeRoom removes sessions that have ended, and the least recently used one of a
// credential with too many.
func (s *Sessions) makeRoom(tx *state.Tx, next *Session, now time.Time) error {
	var drop [][]byte
	var own []Session
	kept := 0
	rows := tx.Bucket(bucket)
	for row, sealed := range rows.From([]byte{0}) {
		old, err := s.open(row, sealed)
		if err != nil || old.Over(now) {
			drop = append(drop, bytes.Clone(row))
			continue
		}
		if kept++; old.Same(next) {
			own = append(own, old)
		}
	}
	if len(own) >= maxOfOne {
		oldest := slices.MinFunc(own, func(a, b Session) int { return a.Used.Compare(b.Used) })
		drop = append(drop, s.row(oldest.ID))
		kept--
	}
	if kept >= MaxSessions {
		return errTooMany
	}
	for _, row := range drop {
		if err := rows.Delete(row); err != nil {
			return err
		}
	}
	return nil
}

// Find returns the session with this token, and restarts its idle time. The error is
// ErrNone, or one of the state file.
func (s *Sessions) Find(ctx context.Context, token string) (Session, error) {
	id, _, _ := strings.Cut(token, "_")
	found, err := s.get(id)
	if err != nil {
		return Session{}, err
	}
	hash, now := sha256.Sum256([]byte(token)), time.Now().UTC()
	if subtle.ConstantTimeCompare(hash[:], found.SHA256[:]) != 1 || found.Over(now) {
		return Session{}, ErrNone
	}
	if now.Sub(found.Used) < touchEvery {
		return found, nil
	}
	err = s.file.Update(ctx, func(tx *state.Tx) error {
		stored, err := s.load(tx, id)
		if err != nil {
			return err
		}
		found = stored
		found.Used = now
		return s.write(tx, found)
	})
	if errors.Is(err, secret.ErrFull) {
		err = nil // only the time of the last use is lost
	}
	return found, err
}

func (s *Sessions) get(id string) (found Session, err error) {
	err = s.file.View(func(tx *state.Tx) error {
		found, err = s.load(tx, id)
		return err
	})
	return found, err
}

// load returns a stored session, or ErrNone.
func (s *Sessions) load(tx *state.Tx, id string) (Session, error) {
	rows, row := tx.Bucket(bucket), s.row(id)
	sealed := rows.Get(row)
	if sealed == nil {
		return Session{}, ErrNone
	}
	found, err := s.open(row, sealed)
	if err != nil {
		return Session{}, ErrNone // doctor reports the damage
	}
	return found, nil
}

// End ends the sessions for which over returns true, and returns them. It may use the
// reserve of a full disk.
func (s *Sessions) End(ctx context.Context, by secret.Caller, over func(*Session) bool) (ended []Session, err error) {
	err = s.file.UpdateReserved(ctx, func(tx *state.Tx) error {
		ended = nil
		rows := tx.Bucket(bucket)
		for row, sealed := range rows.From([]byte{0}) {
			if old, err := s.open(row, sealed); err == nil && over(&old) {
				ended = append(ended, old)
			}
		}
		for _, old := range ended {
			if err := errors.Join(rows.Delete(s.row(old.ID)), s.note(tx, by, SignOut, old)); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil && len(ended) > 0 {
		err = s.file.Everywhere(ctx)
	}
	return ended, err
}

// List returns the sessions that have not ended, the last used first.
func (s *Sessions) List() (all []Session, err error) {
	now := time.Now()
	err = s.file.View(func(tx *state.Tx) error {
		rows := tx.Bucket(bucket)
		for row, sealed := range rows.From([]byte{0}) {
			if found, err := s.open(row, sealed); err == nil && !found.Over(now) {
				all = append(all, found)
			}
		}
		return nil
	})
	slices.SortFunc(all, func(a, b Session) int { return b.Used.Compare(a.Used) })
	return all, err
}

func (s *Sessions) row(id string) []byte {
	mac := s.ring.MAC(seal.Place("session", id))
	return mac[:]
}

func (s *Sessions) place(row []byte) []byte { return seal.Place("session", s.file.ID(), string(row)) }

func (s *Sessions) open(at, sealed []byte) (found Session, err error) {
	text, err := s.ring.Open(sealed, s.place(at))
	if err != nil {
		return Session{}, fmt.Errorf("%w: %w", errDamaged, err)
	}
	var row stored
	if json.Unmarshal(text, &row) != nil {
		return Session{}, errDamaged
	}
	row.Tokens, row.renewing = Tokens{row.Issuer, secret.Value(row.Access), secret.Value(row.Refresh), row.Renewed}, row.Renewing
	return row.Session, nil
}

func (s *Sessions) write(tx *state.Tx, session Session) error {
	t := session.Tokens
	text, err := json.Marshal(stored{session, t.Issuer, string(t.Access), string(t.Refresh), t.Renewed, session.renewing}) // #nosec G117 -- the row is sealed
	if err != nil {
		return fmt.Errorf("encoding a session: %w", err)
	}
	rows, row := tx.Bucket(bucket), s.row(session.ID)
	return rows.Put(row, s.ring.Seal(text, s.place(row)))
}

func (s *Sessions) note(tx *state.Tx, by secret.Caller, action secret.Action, about Session) error {
	return s.audit.Append(tx, secret.Event{
		Time: time.Now().UTC(), Subject: by.Subject, CredentialID: by.CredentialID, From: by.From, Request: by.Request,
		Action: action, Ref: secret.Ref{Owner: secret.Owner{Kind: kind, ID: about.ID}}, Outcome: secret.Done,
	})
}

// Reseal seals rows under the primary key if they are sealed under another. It calls
// progress with the number of rows checked so far.
func (s *Sessions) Reseal(ctx context.Context, progress func(rows int)) error {
	return s.file.Sweep(ctx, bucket, func(tx *state.Tx, row, sealed []byte) error {
		if s.ring.SealedByPrimary(sealed) {
			return nil
		}
		text, err := s.ring.Open(sealed, s.place(row))
		if err != nil {
			return fmt.Errorf("session in row %x: %w", row, errDamaged)
		}
		rows := tx.Bucket(bucket)
		return rows.Put(row, s.ring.Seal(text, s.place(row)))
	}, progress)
}

// Verify opens all rows and returns the problems.
func (s *Sessions) Verify() (problems []string, err error) {
	err = s.file.View(func(tx *state.Tx) error {
		rows := tx.Bucket(bucket)
		for row, sealed := range rows.From([]byte{0}) {
			if _, err := s.open(row, sealed); err != nil {
				problems = append(problems, fmt.Sprintf("session in row %x: %v", row, err))
			}
		}
		return nil
	})
	return problems, err
}

var digits = base32.StdEncoding.WithPadding(base32.NoPadding)

// randomText returns this many random bytes in lower-case base32.
func randomText(n int) string {
	random := make([]byte, n)
	_, _ = rand.Read(random) // never fails: crypto/rand crashes the program instead
	return strings.ToLower(digits.EncodeToString(random))
}
