package backup

import (
	"bytes"
	"crypto/fips140"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"
)

// ErrNotFIPS means that FIPS 140-3 mode is on. It does not allow age, which uses
// ChaCha20-Poly1305.
var ErrNotFIPS = errors.New("backups for an age recipient are not available in FIPS 140-3 mode: leave out the recipient")

// ErrRecipient means that a recipient is not an age public key.
var ErrRecipient = errors.New("the recipient must be an age public key: age1…")

// ForAge returns a writer that encrypts for an age recipient (age1…). Its identity
// decrypts the result (age-encryption.org).
func ForAge(w io.Writer, recipient string) (io.WriteCloser, error) {
	if fips140.Enforced() {
		return nil, ErrNotFIPS
	}
	r, err := age.ParseX25519Recipient(recipient)
	if err != nil {
		return nil, ErrRecipient
	}
	return age.Encrypt(w, r)
}

// FromAge returns a reader that decrypts with one of the identities in an age identity
// file.
func FromAge(r io.Reader, identities []byte) (io.Reader, error) {
	if fips140.Enforced() {
		return nil, ErrNotFIPS
	}
	ids, err := age.ParseIdentities(bytes.NewReader(identities))
	if err != nil {
		return nil, errors.New("the identity file is invalid: want AGE-SECRET-KEY-1…")
	}
	plain, err := age.Decrypt(r, ids...)
	if err != nil {
		return nil, fmt.Errorf("%w, or not for this identity", ErrDamaged)
	}
	return damageReader{plain}, nil
}

// A damageReader replaces age's errors with ErrDamaged.
type damageReader struct{ r io.Reader }

func (d damageReader) Read(p []byte) (int, error) {
	n, err := d.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return n, err
}
