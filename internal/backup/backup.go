// Package backup encrypts copies of the state file: for the keyring, so that
// the key-encryption key alone opens them, or for an age recipient (age.go).
//
// A backup for the keyring is a line of text, a line of JSON, and the copy in
// pieces, each sealed for its place, so that none can be left out, moved or
// brought in from another backup:
//
//	strongroom backup v1
//	{"state":"…","keyring":"…","nonce":"…"}
//	length (4) ‖ sealed piece …
package backup

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/strongroom/strongroom/internal/seal"
)

const (
	firstLine  = "strongroom backup v1\n"
	pieceBytes = 64 << 10
	// A sealed piece starts with the id of its key (4 bytes).
	maxSealed = pieceBytes + seal.Overhead + 4
)

// ErrDamaged means that the backup is truncated or has been changed.
var ErrDamaged = errors.New("the backup is damaged or incomplete")

// A header holds the data needed to open the pieces. Its keyring is wrapped.
type header struct {
	State   string `json:"state"`
	Keyring []byte `json:"keyring"`
	Nonce   []byte `json:"nonce"` // of this backup; bound to each piece
}

// Seal returns a writer that encrypts with the ring and stores the wrapped ring in the
// backup. The backup is complete once Close returns no error.
func Seal(w io.Writer, stateID string, ring *seal.Ring, wrapped []byte) (io.WriteCloser, error) {
	h := header{State: stateID, Keyring: wrapped, Nonce: make([]byte, 16)}
	_, _ = rand.Read(h.Nonce)
	line, err := json.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("encoding the header: %w", err)
	}
	if _, err := io.WriteString(w, firstLine+string(line)+"\n"); err != nil {
		return nil, err
	}
	return &sealer{w: w, ring: ring, header: h}, nil
}

type sealer struct {
	w      io.Writer
	ring   *seal.Ring
	header header
	piece  []byte
	number int
}

func (s *sealer) Write(p []byte) (n int, err error) {
	for len(p) > 0 {
		if len(s.piece) == pieceBytes { // not the last piece: more data follows
			if err := s.flush(false); err != nil {
				return n, err
			}
		}
		taken := min(len(p), pieceBytes-len(s.piece))
		s.piece = append(s.piece, p[:taken]...)
		p, n = p[taken:], n+taken
	}
	return n, nil
}

func (s *sealer) Close() error { return s.flush(true) }

func (s *sealer) flush(last bool) error {
	sealed := s.ring.Seal(s.piece, s.header.place(s.number, last))
	s.number++
	s.piece = s.piece[:0]
	_, err := s.w.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(sealed))), sealed...)) // #nosec G115 -- a piece is far under 4 GiB
	return err
}

func (h header) place(number int, last bool) []byte {
	return seal.Place("backup", h.State, string(h.Nonce), strconv.Itoa(number), strconv.FormatBool(last))
}

// Open returns a reader of the state file in the backup. unwrap opens the keyring in the
// header. If anything is missing or changed, the reader returns ErrDamaged and never
// io.EOF.
func Open(r io.Reader, unwrap func(wrapped []byte, stateID string) (*seal.Ring, error)) (io.Reader, error) {
	br := bufio.NewReaderSize(r, maxSealed)
	first := make([]byte, len(firstLine))
	if _, err := io.ReadFull(br, first); err != nil || string(first) != firstLine {
		return nil, errors.New("this is not a Strongroom backup, or it is from a newer version")
	}
	line, err := br.ReadSlice('\n')
	if err != nil {
		return nil, ErrDamaged
	}
	o := &opener{r: br}
	if json.Unmarshal(line, &o.header) != nil {
		return nil, ErrDamaged
	}
	if o.ring, err = unwrap(o.header.Keyring, o.header.State); err != nil {
		return nil, err
	}
	return o, nil
}

type opener struct {
	r      io.Reader
	ring   *seal.Ring
	header header
	piece  bytes.Reader
	number int
	last   bool
}

func (o *opener) Read(p []byte) (int, error) {
	for o.piece.Len() == 0 {
		if o.last {
			return 0, o.end()
		}
		if err := o.next(); err != nil {
			return 0, err
		}
	}
	return o.piece.Read(p)
}

// end fails unless the input ends here.
func (o *opener) end() error {
	if n, err := o.r.Read(make([]byte, 1)); n > 0 || !errors.Is(err, io.EOF) {
		return ErrDamaged
	}
	return io.EOF
}

// next opens the next piece. The place that it opens in shows whether it is the last one.
func (o *opener) next() error {
	var length [4]byte
	if _, err := io.ReadFull(o.r, length[:]); err != nil {
		return ErrDamaged
	}
	n := binary.BigEndian.Uint32(length[:])
	if n > maxSealed {
		return ErrDamaged
	}
	sealed := make([]byte, n)
	if _, err := io.ReadFull(o.r, sealed); err != nil {
		return ErrDamaged
	}
	for _, last := range []bool{false, true} {
		if text, err := o.ring.Open(sealed, o.header.place(o.number, last)); err == nil {
			o.piece.Reset(text)
			o.number++
			o.last = last
			return nil
		}
	}
	return ErrDamaged
}
