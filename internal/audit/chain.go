package audit

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"

	"github.com/strongroom/strongroom/internal/state"
)

// The log's bucket, in the order of its keys, which are numbers of 8 bytes:
//
//	0        checkpoint   MAC (32) ‖ sealed checkpoint, once entries were pruned
//	1 …      entry        MAC (32) ‖ sealed entry
//	2^64-1   head         number of the last entry (8) ‖ its MAC (32) ‖ MAC (32)
//
// All MACs are HMAC-SHA256 under the chain key: an entry's of the MAC of the
// one before ‖ number ‖ sealed entry, the others' of their label, the file's
// id and the rest. The first entry follows the checkpoint's last one, or zeros.
//
// The head comes last so that it lies in the page that an append writes anyway.
const (
	bucket   = "audit"
	keyBytes = 8
	macBytes = sha256.Size

	headBytes = keyBytes + macBytes + macBytes

	entryLabel      = "audit entry of "
	headLabel       = "audit head of "
	checkpointLabel = "audit checkpoint of "
)

var (
	checkpointKey = keyOf(0)
	headKey       = keyOf(math.MaxUint64)
)

// A MAC authenticates an entry and all entries before it.
type MAC [macBytes]byte

// String returns the MAC in hexadecimal.
func (m MAC) String() string { return hex.EncodeToString(m[:]) }

// MarshalText implements [encoding.TextMarshaler].
func (m MAC) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, m[:]), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (m *MAC) UnmarshalText(text []byte) error {
	raw, err := hex.DecodeString(string(text))
	if err != nil || len(raw) != macBytes {
		return errors.New("not a MAC: want 64 hexadecimal digits")
	}
	copy(m[:], raw)
	return nil
}

// A link is the number and MAC of an entry in the chain. It is zero before the first
// entry.
type link struct {
	Seq uint64
	MAC MAC
}

func (e Entry) link() link { return link{e.Seq, e.MAC} }

func keyOf(seq uint64) []byte { return binary.BigEndian.AppendUint64(nil, seq) }

// after returns the key at which a scan behind an entry starts: the smallest one above
// the entry's own.
func after(seq uint64) []byte { return append(keyOf(seq), 0) }

func (l *Log) entryPlace(seq uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte(entryLabel+l.file.ID()), seq)
}

func (l *Log) entryMAC(before MAC, seq uint64, sealed []byte) MAC {
	return MAC(l.chain.MAC(before[:], keyOf(seq), sealed))
}

// mac authenticates a row that a log has only once.
func (l *Log) mac(label string, text []byte) []byte {
	return l.chain.MAC([]byte(label+l.file.ID()), text)
}

// head returns the last link of the chain according to the head row. Only an empty log
// has no head row.
func (l *Log) head(log *state.Bucket) (link, error) {
	stored := log.Latest(headKey)
	if stored == nil {
		if last, _ := log.Last(); last == nil {
			return link{}, nil
		}
	}
	if len(stored) != headBytes {
		return link{}, &Break{What: BadHead}
	}
	// The usual case is the head that this process wrote last.
	if known := l.genuine.Load(); known == nil || !bytes.Equal(stored, known[:]) {
		text := stored[:headBytes-macBytes]
		if !hmac.Equal(stored[len(text):], l.mac(headLabel, text)) {
			return link{}, &Break{What: BadHead}
		}
	}
	return link{binary.BigEndian.Uint64(stored), MAC(stored[keyBytes:])}, nil
}

func (l *Log) putHead(log *state.Bucket, head link) error {
	stored := new([headBytes]byte)
	text := append(binary.BigEndian.AppendUint64(stored[:0], head.Seq), head.MAC[:]...)
	copy(stored[len(text):], l.mac(headLabel, text))
	l.genuine.Store(stored)
	return log.Put(headKey, stored[:])
}

// split returns the MAC and the sealed part of a stored entry.
func split(stored []byte) (mac MAC, sealed []byte, ok bool) {
	if len(stored) < macBytes {
		return MAC{}, nil, false
	}
	return MAC(stored), stored[macBytes:], true
}

// read opens a stored entry. The seal proves that the entry belongs to this log and has
// this number. It does not check the chain.
func (l *Log) read(seq uint64, stored []byte) (Entry, error) {
	mac, sealed, ok := split(stored)
	if !ok {
		return Entry{}, &Break{What: Edited, Seq: seq}
	}
	text, err := l.entry.Open(sealed, l.entryPlace(seq))
	if err != nil {
		return Entry{}, &Break{What: Edited, Seq: seq}
	}
	var says line
	if err := json.Unmarshal(text, &says); err != nil {
		return Entry{}, &Break{What: Edited, Seq: seq}
	}
	return says.entry(link{seq, mac}), nil
}
