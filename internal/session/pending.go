package session

import (
	"encoding/base64"
	"encoding/json"
	"time"

	"github.com/strongroom/strongroom/internal/auth"
	"github.com/strongroom/strongroom/internal/seal"
)

// PendingLifetime is the time that a person has to sign in at an issuer.
const PendingLifetime = 10 * time.Minute

// A Pending is a sign-in that waits for the issuer's answer. The browser keeps it in a
// cookie, sealed, so that it takes no memory here and another browser cannot have it.
type Pending struct {
	Strategy string `json:"strategy"`
	State    string `json:"state"`
	Nonce    string `json:"nonce"`
	Verifier string `json:"verifier"`
	Redirect string `json:"redirect"`
	// Next is the address to go to afterwards.
	Next string    `json:"next"`
	Ends time.Time `json:"ends"`
}

func (s *Sessions) pendingPlace() []byte { return seal.Place("console sign-in", s.file.ID()) }

// Suspend returns the sealed sign-in. It sets Ends.
func (s *Sessions) Suspend(p Pending) string {
	p.Ends = time.Now().UTC().Add(PendingLifetime)
	text, _ := json.Marshal(p) // of texts and a time
	return base64.RawURLEncoding.EncodeToString(s.ring.Seal(text, s.pendingPlace()))
}

// Resume opens a sealed sign-in. The error is ErrNone.
func (s *Sessions) Resume(sealed string) (p Pending, err error) {
	bytes, err := base64.RawURLEncoding.DecodeString(sealed)
	if err != nil {
		return Pending{}, ErrNone
	}
	text, err := s.ring.Open(bytes, s.pendingPlace())
	if err != nil || json.Unmarshal(text, &p) != nil || !time.Now().Before(p.Ends) {
		return Pending{}, ErrNone
	}
	return p, nil
}

// Answered reports whether the sign-in has already had an answer, and notes that it has one
// now. After a restart an earlier one is not known; issuers refuse its code then.
func (s *Sessions) Answered(p Pending) bool {
	s.once.Lock()
	defer s.once.Unlock()
	hash := auth.HashOf(p.State)
	_, before := s.answered.Get(hash)
	s.answered.Put(hash, struct{}{}, p.Ends)
	return before
}
