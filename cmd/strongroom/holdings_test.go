package main_test

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// Holdings are the secrets of a client: the live ones, and the deleted ones by
// name, most recently deleted last. They are immutable: each change returns a
// copy.
type holdings struct {
	live   map[string]record
	graves map[string][]record
}

// A record is a secret with its kept versions, oldest first.
type record []version

type version struct {
	content  string
	revision string // "" while no answer has shown it
}

// keptVersions is the setting in the config of the crash test.
const keptVersions = 3

func (r record) now() version { return r[len(r)-1] }

func (r record) with(content string) record {
	earlier := r[max(0, len(r)-keptVersions):]
	return append(slices.Clone(earlier), version{content: content})
}

// another returns a random earlier version with different content, if there is
// one.
func (r record) another(random *rand.Rand) (v version, ok bool) {
	if len(r) == 0 {
		return version{}, false
	}
	v = r[random.IntN(len(r))]
	return v, v.content != r.now().content
}

func (h holdings) clone() holdings {
	next := holdings{maps.Clone(h.live), maps.Clone(h.graves)}
	if next.live == nil {
		next = holdings{map[string]record{}, map[string][]record{}}
	}
	return next
}

func (h holdings) created(s, content string) holdings {
	next := h.clone()
	next.live[s] = record{{content: content}}
	return next
}

func (h holdings) changed(was, s, content string) holdings {
	next := h.clone()
	delete(next.live, was)
	next.live[s] = h.live[was].with(content)
	return next
}

func (h holdings) deleted(s string) holdings {
	next := h.clone()
	delete(next.live, s)
	next.graves[s] = append(slices.Clone(h.graves[s]), h.live[s])
	return next
}

func (h holdings) undeleted(s string) holdings {
	next := h.clone()
	last := len(h.graves[s]) - 1
	next.live[s], next.graves[s] = slices.Clone(h.graves[s][last]), slices.Clone(h.graves[s][:last])
	return next
}

func (h holdings) destroyed(s string) holdings {
	next := h.clone()
	delete(next.live, s)
	delete(next.graves, s)
	return next
}

// heard stores the revision from the answer, if it has one.
func (h holdings) heard(t *testing.T, s string, a answer) {
	r, ok := h.live[s]
	if !ok {
		return
	}
	revision := strings.Trim(a.header.Get("ETag"), `"`)
	if revision == "" { // the administration API has it in the body
		var v struct{ Revision string }
		mustDecode(t, a.body, &v)
		revision = v.Revision
	}
	if now := r.now().revision; now != "" && now != revision {
		t.Errorf("%s was restored with revision %s, but deleted with revision %s", s, revision, now)
	}
	r[len(r)-1].revision = revision
}

// Findings are the answers of all list requests: for each live secret its shown
// content, and for each deleted name its revisions, most recent last.
type findings struct {
	Live   map[string]string
	Graves map[string][]string
}

func noFindings() findings { return findings{map[string]string{}, map[string][]string{}} }

func (h holdings) findings() findings {
	f := noFindings()
	for s, r := range h.live {
		f.Live[s] = maskOf(r.now().content)
	}
	for s, records := range h.graves {
		for _, r := range records {
			f.Graves[s] = append(f.Graves[s], r.now().revision)
		}
	}
	return f
}

func (h holdings) same(found findings) bool {
	mine := h.findings()
	return maps.Equal(mine.Live, found.Live) && maps.EqualFunc(mine.Graves, found.Graves, slices.Equal)
}
