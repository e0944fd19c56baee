package state

import (
	"bytes"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Kinds of pages, and the sizes of their elements.
const (
	branchPage   = 0x01
	leafPage     = 0x02
	freelistPage = 0x10

	elementBytes = 16
	bucketFlag   = 1
	bucketBytes  = 16 // root page (8) ‖ sequence (8), then the rows if there is no root page
	manyFree     = 0xFFFF
)

// A survey checks every page in use before bbolt maps the file, because bbolt trusts
// its pages: a page that refers to itself would overflow the stack, a wrong count of
// free pages would exhaust memory, and rows on a missing page would silently not be
// found.
//
// It does not check keys and values: see authentic.go.
type survey struct {
	mapped []byte
	meta   meta
	used   []bool                                       // by page number: in the tree or free
	visit  func(bucket string, key, value []byte) error // for each row; nil for none
}

// examine returns damage of the file that does not prevent opening it.
func examine(file *os.File) (damage string, err error) {
	m, damage, err := readMeta(file)
	if err != nil {
		return "", err
	}
	if m.pages < 4 {
		return "", damaged("it has only %d pages", m.pages)
	}
	err = onPages(file, m, (*survey).run)
	return damage, err
}

// onPages runs fn on a separate mapping of the file: bbolt has none yet, or its pages
// would count as memory of the process. One read per page would take longer than
// everything else.
func onPages(file *os.File, m meta, fn func(*survey) error) error {
	mapped, err := unix.Mmap(int(file.Fd()), 0, int(m.pages)*int(m.pageBytes), unix.PROT_READ, unix.MAP_SHARED) // #nosec G115 -- the number of pages is held to the size of the file
	if err != nil {
		return fmt.Errorf("mapping it: %w", err)
	}
	defer func() { _ = unix.Munmap(mapped) }()
	_ = unix.Madvise(mapped, unix.MADV_WILLNEED) // only advice
	return guarded(func() error { return fn(&survey{mapped: mapped, meta: m, used: make([]bool, m.pages)}) })
}

func (s *survey) run() error {
	s.used[0], s.used[1] = true, true
	if err := s.freelist(); err != nil {
		return err
	}
	return s.tree(s.meta.root, nil, nil, s.bucket)
}

// A page is a page on disk with its overflow pages.
type page struct {
	id    uint64
	kind  uint16
	count int
	b     []byte
}

// take reads a page that must not be in use elsewhere.
func (s *survey) take(id uint64) (page, error) {
	if err := s.use(id, 1); err != nil {
		return page{}, err
	}
	b := s.read(id, 1)
	if order.Uint64(b) != id {
		return page{}, damaged("page %d says it is page %d", id, order.Uint64(b))
	}
	if more := uint64(order.Uint32(b[12:])); more > 0 {
		if err := s.use(id+1, more); err != nil {
			return page{}, err
		}
		b = s.read(id, 1+more)
	}
	return page{id, order.Uint16(b[8:]), int(order.Uint16(b[10:])), b}, nil
}

// read returns pages that [survey.use] has checked.
func (s *survey) read(id, n uint64) []byte {
	size := uint64(s.meta.pageBytes) // #nosec G115 -- a page size from 512 to 65536
	return s.mapped[id*size : (id+n)*size : (id+n)*size]
}

// use marks these pages as used.
func (s *survey) use(id, n uint64) error {
	if id >= s.meta.pages || n > s.meta.pages-id {
		return damaged("page %d is used, and there are %d", id+n-1, s.meta.pages)
	}
	for i := id; i < id+n; i++ {
		if s.used[i] {
			return damaged("page %d is used twice", i)
		}
		s.used[i] = true
	}
	return nil
}

// freelist checks that free pages are not also in use, because bbolt would overwrite
// them. A page that is neither free nor used is merely lost.
func (s *survey) freelist() error {
	p, err := s.take(s.meta.freelist)
	if err != nil {
		return err
	}
	ids, count := p.b[pageHeadBytes:], uint64(p.count) // #nosec G115 -- a uint16 in an int
	if p.count == manyFree {
		count, ids = order.Uint64(ids), ids[8:]
	}
	if p.kind != freelistPage || count > uint64(len(ids)/8) {
		return damaged("page %d is no list of free pages", p.id)
	}
	for i := range count {
		if err := s.use(order.Uint64(ids[8*i:]), 1); err != nil {
			return err
		}
	}
	return nil
}

// An element of a page is a key with its value, or with the page that begins with it.
type element struct {
	flags      uint32
	key, value []byte
	child      uint64
}

// tree visits the rows below a page. Their keys must be sorted, not before low and, if
// high is not nil, before high.
func (s *survey) tree(id uint64, low, high []byte, row func(element) error) error {
	p, err := s.take(id)
	if err != nil {
		return err
	}
	elements, err := p.elements(low, high)
	if err != nil || p.kind == leafPage {
		return each(elements, err, row)
	}
	if len(elements) == 0 {
		return damaged("page %d leads nowhere", id)
	}
	for i, e := range elements {
		end := high
		if i+1 < len(elements) {
			end = elements[i+1].key
		}
		if err := s.tree(e.child, e.key, end, row); err != nil {
			return err
		}
	}
	return nil
}

func each(elements []element, err error, row func(element) error) error {
	for _, e := range elements {
		if err == nil {
			err = row(e)
		}
	}
	return err
}

func (p page) elements(low, high []byte) ([]element, error) {
	if p.kind != branchPage && p.kind != leafPage {
		return nil, damaged("page %d is of no known kind", p.id)
	}
	all := make([]element, 0, p.count)
	for i := range p.count {
		e, ok := p.element(i)
		if !ok {
			return nil, damaged("page %d: row %d is outside of it", p.id, i)
		}
		inOrder := i == 0 || bytes.Compare(all[i-1].key, e.key) < 0
		if !inOrder || bytes.Compare(e.key, low) < 0 || (high != nil && bytes.Compare(e.key, high) >= 0) {
			return nil, damaged("page %d: row %d is out of order", p.id, i)
		}
		all = append(all, e)
	}
	return all, nil
}

func (p page) element(i int) (e element, ok bool) {
	at := pageHeadBytes + i*elementBytes
	end := pageHeadBytes + p.count*elementBytes
	if end > len(p.b) {
		return element{}, false
	}
	// A leaf's element is flags, position, key's and value's length; a
	// branch's is position, key's length and page (8).
	fields := p.b[at:]
	pos, keyLen, valueLen := order.Uint32(fields), order.Uint32(fields[4:]), uint32(0)
	if p.kind == leafPage {
		e.flags = pos
		pos, keyLen, valueLen = order.Uint32(fields[4:]), order.Uint32(fields[8:]), order.Uint32(fields[12:])
	} else {
		e.child = order.Uint64(fields[8:])
	}
	key := int64(at) + int64(pos)
	value := key + int64(keyLen)
	if keyLen == 0 || key < int64(end) || value+int64(valueLen) > int64(len(p.b)) {
		return element{}, false
	}
	e.key, e.value = p.b[key:value:value], p.b[value:value+int64(valueLen)]
	return e, true
}

// bucket visits the rows of a bucket, which is a row of the root.
func (s *survey) bucket(b element) error {
	if b.flags != bucketFlag || len(b.value) < bucketBytes {
		return damaged("%q is no bucket", b.key)
	}
	name := string(b.key)
	row := func(e element) error { return s.row(name, e) }
	if root := order.Uint64(b.value); root != 0 {
		return s.tree(root, nil, nil, row)
	}
	inline := b.value[bucketBytes:]
	if len(inline) < pageHeadBytes || order.Uint16(inline[8:]) != leafPage {
		return damaged("bucket %q has no rows", b.key)
	}
	p := page{kind: leafPage, count: int(order.Uint16(inline[10:])), b: inline}
	elements, err := p.elements(nil, nil)
	return each(elements, err, row)
}

func (s *survey) row(bucket string, e element) error {
	if e.flags != 0 {
		return damaged("a row of bucket %q is no row", bucket)
	}
	if s.visit == nil {
		return nil
	}
	return s.visit(bucket, e.key, e.value)
}
