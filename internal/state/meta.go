package state

import (
	"encoding/binary"
	"hash/fnv"
	"io"
	"os"
)

// bbolt writes its meta page last, alternating between the first two pages of
// the file, and reads whichever is whole and newer. After the head of a page
// (16 bytes) it holds, in the byte order of the machine:
//
//	magic (4) ‖ version (4) ‖ page size (4) ‖ flags (4) ‖ root (8) ‖ sequence (8) ‖
//	freelist (8) ‖ pages in use (8) ‖ transaction (8) ‖ FNV-1a of all this (8)
const (
	pageHeadBytes = 16
	metaBytes     = 64
	metaSummed    = metaBytes - 8
	metaMagic     = 0xED0CDAED
	minPageBytes  = 1 << 10
	maxPageBytes  = 1 << 24
)

var order = binary.NativeEndian

type meta struct {
	pageBytes int64
	root      uint64
	freelist  uint64
	pages     uint64 // in use, and not more than the file has
	txid      uint64
}

// readMeta returns the meta page that bbolt will use, and the damage of the other one.
//
// One damaged meta page is no reason to refuse the file: a power failure during a
// commit leaves exactly that, and the other page is then the last acknowledged commit.
// It may also have been valid and damaged later, which looks the same.
func readMeta(file *os.File) (m meta, damage string, err error) {
	info, err := file.Stat()
	if err != nil {
		return meta{}, "", err
	}
	first, ok := metaAt(file, 0)
	second, ok2 := metaAt(file, first.pageBytes)
	if !ok {
		second, ok2 = findSecondMeta(file)
	}
	switch {
	case !ok && !ok2:
		return meta{}, "", damaged("neither of its meta pages is whole, if it is a state file at all")
	case !ok:
		m, damage = second, "the first of its two meta pages is damaged: if no power failure did that, the last commit is lost"
	case !ok2:
		m, damage = first, "the second of its two meta pages is damaged: if no power failure did that, the last commit is lost"
	case second.txid > first.txid:
		m = second
	default:
		m = first
	}
	if have, want := info.Size()/m.pageBytes, m.pages; uint64(have) < want { // #nosec G115 -- a file size is not negative
		return meta{}, "", damaged("it has been cut off: it has %d pages, and the last commit needs %d", have, want)
	}
	return m, damage, nil
}

func metaAt(file io.ReaderAt, at int64) (m meta, ok bool) {
	b := make([]byte, pageHeadBytes+metaBytes)
	if _, err := file.ReadAt(b, at); err != nil {
		return meta{}, false
	}
	b = b[pageHeadBytes:]
	sum := fnv.New64a()
	_, _ = sum.Write(b[:metaSummed])
	m = meta{
		pageBytes: int64(order.Uint32(b[8:])),
		root:      order.Uint64(b[16:]),
		freelist:  order.Uint64(b[32:]),
		pages:     order.Uint64(b[40:]),
		txid:      order.Uint64(b[48:]),
	}
	ok = order.Uint32(b) == metaMagic && order.Uint64(b[metaSummed:]) == sum.Sum64() &&
		m.pageBytes >= minPageBytes && m.pageBytes <= maxPageBytes
	return m, ok
}

// findSecondMeta searches where bbolt searches: the first meta page, which would give
// the page size, is damaged.
func findSecondMeta(file io.ReaderAt) (m meta, ok bool) {
	for at := int64(minPageBytes); at <= maxPageBytes; at *= 2 {
		if m, ok = metaAt(file, at); ok && m.pageBytes == at {
			return m, true
		}
	}
	return meta{}, false
}
