package state

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"math/bits"
	"os"

	"go.etcd.io/bbolt"

	"github.com/strongroom/strongroom/internal/state/change"
)

// Each commit to bbolt stores a MAC over all rows and over the position in the sequence
// of all change sets. An attacker who can write the file therefore cannot put a row's own
// old content back into its place, remove a row or bring one back. The journal continues
// the position with its chain, so together they authenticate the whole state. Only an old
// copy of both looks right: see [File.Position].
//
// The MAC covers the rows by their sum, which a commit can bring up to date from the rows
// that it changes.

// A rowSum is the sum of the HMAC-SHA256 of each row, modulo 2^256, in little-endian
// words. Nothing but a MAC over it is ever stored, so an attacker who does not have the
// key knows no summand and no sum, and two sets of rows with the same sum are as hard to
// find as a forged MAC (MSet-Add-Hash of Clarke et al., ASIACRYPT 2003). A disclosed sum
// would allow a search: with XOR in place of addition by solving linear equations.
type rowSum [4]uint64

func (s *rowSum) add(mac [sha256.Size]byte) {
	carry := uint64(0)
	for i := range s {
		s[i], carry = bits.Add64(s[i], binary.LittleEndian.Uint64(mac[8*i:]), carry)
	}
}

func (s *rowSum) subtract(mac [sha256.Size]byte) {
	borrow := uint64(0)
	for i := range s {
		s[i], borrow = bits.Sub64(s[i], binary.LittleEndian.Uint64(mac[8*i:]), borrow)
	}
}

// An authenticator computes the MACs of rows and of a whole file. It is not safe for
// concurrent use.
type authenticator struct {
	key     MACKey
	row     hash.Hash
	encoded []byte
}

// The keys for rows and for files are MACs of these labels, which are shorter than
// everything that the key authenticates in a chain.
const (
	rowLabel  = "strongroom state row"
	fileLabel = "strongroom state mac"
	macBytes  = 8 + change.ChainBytes + sha256.Size
)

func newAuthenticator(key MACKey) *authenticator {
	return &authenticator{key: key, row: hmac.New(sha256.New, key.MAC([]byte(rowLabel)))}
}

// of returns the MAC of a row: of its bucket's length ‖ bucket ‖ key's length ‖ key ‖
// value.
func (a *authenticator) of(bucket string, key, value []byte) (mac [sha256.Size]byte) {
	a.encoded = binary.AppendUvarint(a.encoded[:0], uint64(len(bucket)))
	a.encoded = append(a.encoded, bucket...)
	a.encoded = binary.AppendUvarint(a.encoded, uint64(len(key)))
	a.encoded = append(a.encoded, key...)
	a.row.Reset()
	_, _ = a.row.Write(a.encoded)
	_, _ = a.row.Write(value)
	a.row.Sum(mac[:0])
	return mac
}

// counts reports whether the sum has the row. It lacks the rows of the header that are
// written without a change set; the MAC covers those that matter.
func counts(bucket string, key []byte) bool {
	if bucket != headerBucket {
		return true
	}
	switch string(key) {
	case string(versionKey), string(idKey), string(appliedKey), string(completeKey), string(cacheKey), string(macKey):
		return false
	}
	return true
}

// seal returns the content of the header's row mac: number (8) ‖ chain (16) ‖ MAC (32).
// Number and chain are those of the last change set of which bbolt has a row. While a
// checkpoint is in progress it comes after the one that has been applied, and the
// journal must reach to it.
func (a *authenticator) seal(lineage [16]byte, applied, until position, sum rowSum) []byte {
	number := func(b []byte, words ...uint64) []byte {
		for _, w := range words {
			b = binary.LittleEndian.AppendUint64(b, w)
		}
		return b
	}
	text := append(number(append([]byte(nil), lineage[:]...), applied.seq), applied.chain[:]...)
	text = append(number(text, until.seq), until.chain[:]...)
	text = number(text, sum[:]...)
	mac := hmac.New(sha256.New, a.key.MAC([]byte(fileLabel)))
	_, _ = mac.Write(text)
	row := append(order.AppendUint64(nil, until.seq), until.chain[:]...)
	return mac.Sum(row)
}

// until returns the position in the header's row mac, which is not authenticated yet.
func (h *header) until() position {
	at := position{seq: order.Uint64(h.mac)}
	copy(at.chain[:], h.mac[8:])
	return at
}

// sumOf returns the sum over all rows in the transaction, which reads from the file.
func sumOf(tx *bbolt.Tx, file *os.File, key MACKey) (sum rowSum, err error) {
	auth := newAuthenticator(key)
	size := int64(tx.DB().Info().PageSize)
	m := meta{pageBytes: size, root: uint64(tx.Cursor().Bucket().Root()), pages: uint64(tx.Size() / size)} // #nosec G115 -- sizes are not negative
	err = onPages(file, m, func(s *survey) error {
		s.used[0], s.used[1] = true, true
		s.visit = func(bucket string, key, value []byte) error {
			if counts(bucket, key) {
				sum.add(auth.of(bucket, key, value))
			}
			return nil
		}
		return s.tree(m.root, nil, nil, s.bucket)
	})
	return sum, err
}

// sumRows is sumOf for the last commit.
func sumRows(db *bbolt.DB, file *os.File, key MACKey) (sum rowSum, err error) {
	err = guarded(func() error {
		tx, err := db.Begin(false) // bbolt keeps its pages while it is open
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback() }()
		sum, err = sumOf(tx, file, key)
		return err
	})
	return sum, err
}

// compareAtOnce is the size in bytes up to which Open compares all rows with the MAC.
// Larger files are compared while they are in use already, at about a gigabyte in two
// seconds; until then there is no checkpoint.
const compareAtOnce = 64 << 20

// ErrAltered means that the rows of a state file are not those that were written last.
// Which ones is not known.
var ErrAltered = fmt.Errorf("%w: its rows are not those that Strongroom has written: some were altered, removed, or put back from an older copy", ErrDamaged)

// remedy follows ErrAltered.
const remedy = "restore a backup, or see strongroom doctor, and strongroom audit mend, which accepts the file as it is"

// compare begins the comparison of all rows with the MAC of the header, and ends it too in
// a file that is not large. The file must have a MAC if it is signed. It is whole if no
// change is missing of which bbolt has a part. Errors: ErrAltered, ErrDamaged.
func (f *File) compare(h header, signed, whole bool) error {
	if sizeOf(f.path) <= compareAtOnce {
		defer close(f.compared)
		return f.compareNow(h, signed, whole)
	}
	go func() {
		defer close(f.compared)
		if err := f.compareNow(h, signed, whole); err != nil {
			f.breakWith(err)
			f.discard()
		}
	}()
	return nil
}

func (f *File) compareNow(h header, signed, whole bool) error {
	sum, err := sumRows(f.gen.Load().db, f.file, f.chainKey)
	if err != nil {
		return err
	}
	f.moving.Lock()
	defer f.moving.Unlock()
	f.sum = sum
	switch {
	case h.mac == nil && signed:
		return f.suspect(fmt.Errorf("%w; the MAC over them was removed: %s", ErrAltered, remedy))
	case h.mac == nil:
		return f.takeOver()
	case !whole:
		return f.suspect(fmt.Errorf("%w; the newest changes are missing in its journal: %s", ErrAltered, remedy))
	case !hmac.Equal(h.mac, f.auth.seal(h.lineage, h.applied, h.until(), sum)):
		return f.suspect(fmt.Errorf("%w: %s", ErrAltered, remedy))
	}
	return nil
}

// suspect returns the error, or lets a file be read for an investigation.
func (f *File) suspect(err error) error {
	if !f.options.Altered {
		return err
	}
	f.altered.Store(&alteredError{err})
	return nil
}

// An alteredError is the reason why a file that was opened for an investigation cannot be
// changed.
type alteredError struct{ error }

// takeOver makes a file of format 2 one of this format: its rows count as they are. It
// commits twice, so that no damaged meta page leads back to format 2. The caller holds
// moving.
func (f *File) takeOver() error {
	for range 2 {
		err := f.updateBolt(f.gen.Load().db, func(tx *boltTx) error {
			return errors.Join(tx.putHeader(versionKey, fmt.Append(nil, FormatVersion)), f.putMAC(tx, f.gen.Load().until))
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// putMAC stores the MAC over all rows, as the last row of a commit.
func (f *File) putMAC(tx *boltTx, until position) error {
	lineage, applied := tx.applied()
	return tx.putHeader(macKey, f.auth.seal(lineage, applied, until, tx.sum))
}

// awaitComparison returns when all rows have been compared with their MAC. It must precede
// everything that writes rows to bbolt or copies them. Errors: those of [File.Err] and
// [File.Altered].
func (f *File) awaitComparison() error {
	<-f.compared
	return errors.Join(f.fileErr(), f.isAltered())
}

func (f *File) isAltered() error {
	if err := f.altered.Load(); err != nil {
		return err.error
	}
	return nil
}

// Altered returns ErrAltered for an altered file that was opened nevertheless, see
// [Options]. Such a file cannot be changed before [File.Accept].
func (f *File) Altered() error {
	<-f.compared
	return f.isAltered()
}

// Verify compares all rows of the file with the MAC over them again. Changes continue
// meanwhile. Errors: ErrAltered, ErrDamaged, those of [File.Err].
func (f *File) Verify() error {
	if err := f.awaitComparison(); err != nil {
		return err
	}
	f.moving.Lock()
	db, file, want := f.gen.Load().db, f.file, f.sum
	pin, err := db.Begin(false) // while it is open, so are the file and this state
	f.moving.Unlock()
	if err != nil {
		return err
	}
	defer func() { _ = pin.Rollback() }()
	got, err := sumOf(pin, file, f.chainKey)
	if err == nil && got != want {
		err = fmt.Errorf("%w: %s", ErrAltered, remedy)
	}
	return err
}

// Accept makes an altered file count as it is, and reports whether it was altered.
func (f *File) Accept() (altered bool, err error) {
	if f.Altered() == nil {
		return false, f.Err()
	}
	f.moving.Lock()
	defer f.moving.Unlock()
	err = f.takeOver()
	if err == nil {
		f.altered.Store(nil)
	}
	return true, err
}

// A Position says which changes a state has.
type Position struct {
	Seq   uint64 // number of the last change
	Chain change.Chain
}

// Position returns the position after the last acknowledged change. The chain in it
// authenticates all changes since the file was created, so a copy kept elsewhere reveals
// that an old copy of the whole state was put back.
func (f *File) Position() Position {
	at := f.gen.Load().at
	return Position{at.seq, at.chain}
}
