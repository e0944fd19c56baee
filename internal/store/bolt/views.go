package bolt

import (
	"slices"
	"strings"
	"sync"

	"github.com/strongroom/strongroom/internal/seal"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/state"
)

// views caches recent reads by owner, so that repeating a read opens neither a
// transaction nor a record. A view is dropped when a commit changes a row of its owner.
// A read during which any row has changed is not cached, because it may be from before.
//
// Other reads can see a commit a moment before views do. So that no reader then gets an
// older state than one before it, the views of an owner are not used while a write for
// the owner is in progress.
type views struct {
	mu      sync.RWMutex // guards the fields below
	owners  map[secret.Owner]*view
	byKey   map[ownerKey]secret.Owner // of the owners that have a view
	writing map[secret.Owner]int      // writes in progress
	changes uint64                    // counts commits
	size    int                       // of all views, in bytes
}

// An ownerKey is the MAC of an owner. The keys of the owner's rows begin with it.
type ownerKey = [seal.MACBytes]byte

// A view has secrets of one owner, without values.
type view struct {
	heads map[string]secret.Info
	all   []secret.Info // sorted by name; nil if the list was not read
	size  int           // in bytes
}

func newViews() *views {
	return &views{owners: map[secret.Owner]*view{}, byKey: map[ownerKey]secret.Owner{}, writing: map[secret.Owner]int{}}
}

// follow drops the views of the owners whose rows a commit has changed.
func (v *views) follow(rows []state.Row) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.changes++
	for _, r := range rows {
		if len(r.Key) < seal.MACBytes {
			continue
		}
		key := ownerKey(r.Key)
		owner, ok := v.byKey[key]
		if !ok {
			continue
		}
		v.size -= v.owners[owner].size
		delete(v.owners, owner)
		delete(v.byKey, key)
	}
}

// begin is called before a write for the owner is queued, and end after it has been
// committed or has failed.
func (v *views) begin(owner secret.Owner) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.writing[owner]++
}

func (v *views) end(owner secret.Owner) {
	v.mu.Lock()
	defer v.mu.Unlock()
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

// ofLocked returns the owner's view, nil if there is none or it must not be used now.
func (v *views) ofLocked(owner secret.Owner) *view {
	if v.writing[owner] > 0 {
		return nil
	}
	return v.owners[owner]
}

func (v *views) head(ref secret.Ref) (secret.Info, bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	view := v.ofLocked(ref.Owner)
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
	view := v.ofLocked(owner)
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

func (v *views) keepHead(since moment, key ownerKey, info secret.Info) {
	v.keep(since, key, info.Owner, sizeOf(info), func(view *view) { view.heads[info.Name] = info })
}

func (v *views) keepList(since moment, key ownerKey, owner secret.Owner, all []secret.Info) {
	size := 0
	for _, info := range all {
		size += sizeOf(info)
	}
	v.keep(since, key, owner, size, func(view *view) { view.all = all })
}

// keep adds to the owner's view a read that began at since, unless a row has changed
// since.
func (v *views) keep(since moment, key ownerKey, owner secret.Owner, more int, add func(*view)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if moment(v.changes) != since || more > maxCached {
		return
	}
	if v.size+more > maxCached {
		clear(v.owners)
		clear(v.byKey)
		v.size = 0
	}
	if v.owners[owner] == nil {
		v.owners[owner] = &view{heads: map[string]secret.Info{}}
		v.byKey[key] = owner
	}
	v.size += more
	v.owners[owner].size += more
	add(v.owners[owner])
}
