package kubernetes

import (
	"slices"
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/secret"
)

// A patch is a JSON Patch (RFC 6902), which the API server applies as a whole
// to the object as it then is, or not at all.
type patch []step

type step struct {
	Op    string `json:"op"`
	From  string `json:"from,omitempty"`
	Path  string `json:"path"`
	Value *any   `json:"value,omitempty"` // a pointer, since null is a value
}

func test(path string, value any) step { return step{Op: "test", Path: path, Value: &value} }

// set is add, which replaces what is there; replace would fail where nothing is.
func set(path string, value any) step { return step{Op: "add", Path: path, Value: &value} }

func move(from, to string) step { return step{Op: "move", From: from, Path: to} }

func remove(path string) step { return step{Op: "remove", Path: path} }

// drop removes what may not be there, which remove alone takes for an error.
func drop(path string) []step { return []step{set(path, ""), remove(path)} }

var escapes = strings.NewReplacer("~", "~0", "/", "~1")

func label(name string) string { return "/metadata/labels/" + escapes.Replace(name) }

func note(name string) string { return "/metadata/annotations/" + escapes.Replace(name) }

// A write is one change of one object. Its id is kept with the object, so that
// after a lost answer it can be told whether it was made.
type write struct {
	id string
	at time.Time
}

// on begins a patch of the secret that the op is about: nobody else's, not on
// its way out, and at the op's revision.
func (w write) on(op secret.Op) patch {
	owner, id := ownerLabel(op.Ref.Owner)
	p := patch{
		test(label(managedBy), us),
		test(label(owner), id),
		test(note(nameNote), op.Ref.Name),
		test("/type", opaque),
		test("/metadata/deletionTimestamp", nil),
		test(label(leaving), nil),
	}
	if op.OnlyIf != "" && op.OnlyIf != secret.AnyRevision {
		// Not a test: the store answers with 409 to this, and a test with what
		// it answers to all of the above.
		p = append(p, set("/metadata/resourceVersion", op.OnlyIf))
	}
	return append(p, set(note(updatedOn), stamp(w.at)), set(note(writeNote), w.id))
}

func describing(description string) []step {
	if description == "" {
		return drop(note(aboutNote))
	}
	return []step{set(note(aboutNote), description)}
}

// replacing puts the change in the place of the data. What is to be kept is
// moved out of the way and back, and never leaves the API server.
func replacing(change secret.Change) []step {
	steps := drop(note(lastApplied))
	if change.Description != nil {
		steps = append(steps, describing(*change.Description)...)
	}
	if len(change.Keep) == 0 {
		return append(steps, set("/data", encoded(change.Set)))
	}
	steps = append(steps, move("/data", "/stash"), set("/data", encoded(change.Set)))
	for _, key := range change.Keep {
		// Not copy, which makes an empty value of one that is not there.
		steps = append(steps, move("/stash/"+key, "/data/"+key))
	}
	return append(steps, remove("/stash"))
}

// keysAfter are those that a secret has after the change.
func keysAfter(change secret.Change) []string {
	keys := slices.Clone(change.Keep)
	for key := range change.Set {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}
