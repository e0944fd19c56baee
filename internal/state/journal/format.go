package journal

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"

	"github.com/strongroom/strongroom/internal/state/change"
)

// Both files have the same form. Numbers are little-endian; a sum is CRC-32C.
//
//	header, at 0 and again at 2048, then zeros to 4096:
//	    magic (8) ‖ size of the file (8) ‖ id of the state file (16) ‖ lineage (16) ‖
//	    number of the first record (8), 0 if the file was never used ‖ salt (8) ‖ sum (4)
//	record, at a multiple of 64:
//	    length of the content (4) ‖ sum (4) ‖ number (8) ‖ durable (8) ‖ chain (16) ‖ content
//
// A record's sum covers the file's salt, the length and everything behind the sum. The
// salt changes with each turn, so older records in the file do not count and nothing has
// to be erased. durable is the number of the last record that was on disk when this one
// was written.
const (
	magic       = "SRJRNL02"
	headerBytes = 4096
	secondCopy  = 2048
	headerUsed  = 8 + 8 + 16 + 16 + 8 + 8 + 4
	alignment   = 64
	headBytes   = 4 + 4 + 8 + 8 + change.ChainBytes
)

var (
	order      = binary.LittleEndian
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

type header struct {
	id    Identity
	size  int64
	first uint64
	salt  [8]byte
}

// encode returns the header with both copies. A torn write leaves one of them whole: the
// new one or the old.
func (h header) encode() []byte {
	b := make([]byte, 0, headerBytes)
	b = append(b, magic...)
	b = order.AppendUint64(b, uint64(h.size)) // #nosec G115 -- a size is not negative
	b = append(append(b, h.id.State[:]...), h.id.Lineage[:]...)
	b = append(order.AppendUint64(b, h.first), h.salt[:]...)
	b = order.AppendUint32(b, crc32.Checksum(b, castagnoli))
	whole := b[:headerBytes]
	copy(whole[secondCopy:], b)
	return whole
}

// decodeHeader returns the newer of the two copies that are whole.
func decodeHeader(b []byte) (h header, ok bool) {
	for _, at := range []int{0, secondCopy} {
		if c, whole := decodeCopy(b[at:]); whole && (!ok || c.first > h.first) {
			h, ok = c, true
		}
	}
	return h, ok
}

func decodeCopy(b []byte) (h header, ok bool) {
	b = b[:headerUsed]
	sum := headerUsed - 4
	if !bytes.HasPrefix(b, []byte(magic)) || order.Uint32(b[sum:]) != crc32.Checksum(b[:sum], castagnoli) {
		return header{}, false
	}
	b = b[len(magic):]
	h.size = int64(order.Uint64(b)) // #nosec G115 -- compared with the size of the file
	b = b[8:]
	b = b[copy(h.id.State[:], b):]
	b = b[copy(h.id.Lineage[:], b):]
	h.first = order.Uint64(b)
	copy(h.salt[:], b[8:])
	return h, true
}

// recordBytes returns the room that a record takes in a file.
func recordBytes(content int) int64 {
	return (int64(headBytes+content) + alignment - 1) / alignment * alignment
}

// encode appends a record to b.
func encode(b []byte, r change.Record, salt [8]byte, durable uint64) []byte {
	b = order.AppendUint32(b, uint32(len(r.Content))) // #nosec G115 -- less than MaxBytes
	b = order.AppendUint32(b, 0)
	b = order.AppendUint64(b, r.Seq)
	b = order.AppendUint64(b, durable)
	b = append(b, r.Chain[:]...)
	b = append(b, r.Content...)
	order.PutUint32(b[4:], recordSum(salt, b))
	return b
}

func recordSum(salt [8]byte, record []byte) uint32 {
	sum := crc32.Checksum(salt[:], castagnoli)
	sum = crc32.Update(sum, castagnoli, record[:4])
	return crc32.Update(sum, castagnoli, record[8:])
}

// seqOf returns the number of the record at the beginning of b, if there is one, else 0.
func seqOf(b []byte) uint64 {
	if len(b) < headBytes {
		return 0
	}
	return order.Uint64(b[8:])
}

// decodeRecord returns the record at the beginning of b, which is the rest of a file. Its
// content is a part of b.
func decodeRecord(b []byte, salt [8]byte) (r change.Record, durable uint64, ok bool) {
	if len(b) < headBytes {
		return change.Record{}, 0, false
	}
	length := int64(order.Uint32(b))
	if length == 0 || length > int64(len(b)-headBytes) {
		return change.Record{}, 0, false
	}
	b = b[:headBytes+length]
	if order.Uint32(b[4:]) != recordSum(salt, b) {
		return change.Record{}, 0, false
	}
	r = change.Record{Seq: order.Uint64(b[8:]), Content: b[headBytes:]}
	copy(r.Chain[:], b[24:])
	return r, order.Uint64(b[16:]), true
}
