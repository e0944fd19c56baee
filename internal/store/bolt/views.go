package bolt

import (
	"slices"
	"strings"
	"sync"

	"github.com/strongroom/strongroom/internal/secret"
)

// views caches recent reads by owner, so that repeating a read opens neither a
// transaction nor a record. It never has a state that the file does not have: a view is
// dropped when a write for the owner begins. A read concurrent with a write is not
// cached, because it may be from before the write.
type views struct {
	mu      sync.RWMutex // guards the fields below
	owners  map[secret.Owner]*view
	writing map[secret.Owner]int // writes in progress
	changes uint64               // counts starts and ends of writes
	size    int                  // of all views, in bytes
}

// A view has secrets of one owner, without values.
type view struct {
	heads map[string]secret.Info
	all   []secret.Info // sorted by name; nil if the list was not read
	size  int           // in bytes
}

func newViews() *views {
	return &views{owners: map[secret.Owner]*view{}, writing: map[secret.Owner]int{}}
}

// begin is called before a write for the owner is queued, and end after it has been
// committed or has failed.
func (v *views) begin(owner secret.Owner) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.changes++
	v.writing[owner]++
	if view := v.owners[owner]; view != nil {
		v.size -= view.size
		delete(v.owners, owner)
	}
}

func (v *views) end(owner secret.Owner) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.changes++
	if v.writing[owner]--; v.writing[owner] == 0 {
		delete(v.writing, owner)
	}
}

// A moment marks the start of a read of the file.
type moment uint64

func (v *views) now() moment {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return moment(v.changes)
}

func (v *views) head(ref secret.Ref) (secret.Info, bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	view := v.owners[ref.Owner]
	if view == nil {
		return secret.Info{}, false
	}
	info, ok := view.heads[ref.Name]
	return info, ok
}

// list returns the page of the owner's secrets. The caller may change it.
func (v *views) list(owner secret.Owner, page secret.Page) ([]secret.Info, bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	view := v.owners[owner]
	if view == nil || view.all == nil {
		return nil, false
	}
	return slices.Clone(cut(view.all, page)), true
}

// cut returns a page of infos sorted by name.
func cut(infos []secret.Info, page secret.Page) []secret.Info {
	start, found := slices.BinarySearchFunc(infos, page.After, func(i secret.Info, name string) int {
		return strings.Compare(i.Name, name)
	})
	if found {
		start++
	}
	infos = infos[start:]
	if page.Limit > 0 && len(infos) > page.Limit {
		infos = infos[:page.Limit]
	}
	return infos
}

func (v *views) keepHead(since moment, info secret.Info) {
	v.keep(since, info.Owner, sizeOf(info), func(view *view) { view.heads[info.Name] = info })
}

func (v *views) keepList(since moment, owner secret.Owner, all []secret.Info) {
	size := 0
	for _, info := range all {
		size += sizeOf(info)
	}
	v.keep(since, owner, size, func(view *view) { view.all = all })
}

// keep adds to the owner's view a read that began at since, unless a write has happened
// since or is in progress.
func (v *views) keep(since moment, owner secret.Owner, more int, add func(*view)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if moment(v.changes) != since || v.writing[owner] > 0 || more > maxCached {
		return
	}
	if v.size+more > maxCached {
		clear(v.owners)
		v.size = 0
	}
	if v.owners[owner] == nil {
		v.owners[owner] = &view{heads: map[string]secret.Info{}}
	}
	v.size += more
	v.owners[owner].size += more
	add(v.owners[owner])
}
