package kubernetes

import (
	"slices"
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/secret"
)

// A patch is a JSON Patch (RFC 6902). The API server applies it atomically to the
// object's current state, or not at all.
type patch []step

type step struct {
	Op    string `json:"op"`
	From  string `json:"from,omitempty"`
	Path  string `json:"path"`
	Value *any   `json:"value,omitempty"` // a pointer, since null is a value
}

func test(path string, value any) step { return step{Op: "test", Path: path, Value: &value} }

// set uses add, which also replaces an existing value. replace would fail without one.
func set(path string, value any) step { return step{Op: "add", Path: path, Value: &value} }

func move(from, to string) step { return step{Op: "move", From: from, Path: to} }

func remove(path string) step { return step{Op: "remove", Path: path} }

// drop removes a value that may be missing. remove alone would fail then.
func drop(path string) []step { return []step{set(path, ""), remove(path)} }

var escapes = strings.NewReplacer("~", "~0", "/", "~1")

func label(name string) string { return "/metadata/labels/" + escapes.Replace(name) }

func note(name string) string { return "/metadata/annotations/" + escapes.Replace(name) }

// A write is one change of one object. Its id is stored in the object and shows, after a
// lost answer, whether the change was made.
type write struct {
	id string
	at time.Time
}

// on returns the first steps of a patch. They fail unless the object is the op's
// secret, is not being renamed, and has the op's revision.
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
		// Not a test step: a wrong revision then answers 409, while every failed test
		// above answers 422.
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

// replacing returns the steps that replace the data with the change. Kept values are
// moved to /stash and back, so they never leave the API server.
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
		// copy would turn a missing value into an empty one.
		steps = append(steps, move("/stash/"+key, "/data/"+key))
	}
	return append(steps, remove("/stash"))
}

// keysAfter returns the data keys that a secret has after the change.
func keysAfter(change secret.Change) []string {
	keys := slices.Clone(change.Keep)
	for key := range change.Set {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}
