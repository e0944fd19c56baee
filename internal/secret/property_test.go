package secret_test

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/strongroom/strongroom/internal/audit"
	"github.com/strongroom/strongroom/internal/seal"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/state/statetest"
	"github.com/strongroom/strongroom/internal/store/bolt"
	"github.com/strongroom/strongroom/internal/store/memory"
)

// These tests check the meaning of grants by the answers of a service on a real
// store; caller_test.go tests May alone.

var tenants = []secret.Owner{app, other, alice, secret.User("bob")}

// names are the names of the secrets. Grants use only some of them.
var names = []string{"a", "b", "c", "d"}

// aView has every answer that a caller gets from a service, by owner and operation. None
// of the operations changes anything.
type aView map[asked]string

type asked struct {
	owner secret.Owner
	what  string
}

// refusedAs begins the answer to a denied operation.
const refusedAs = "refused: "

func viewOf(t *testing.T, store secret.Store, who secret.Caller) aView {
	t.Helper()
	s, v, ctx := secret.NewService(store, &ledger{}), aView{}, t.Context()
	const never secret.Revision = "never"
	for _, owner := range tenants {
		infos, err := s.List(ctx, who, owner, secret.Page{})
		v.note(owner, "list", nil, err)
		for _, info := range infos {
			v.note(owner, "in the list: "+info.Ref.String(), info, nil)
		}
		for _, name := range names {
			ref := on(owner, name)
			info, err := s.Head(ctx, who, ref)
			v.note(owner, "head "+name, info, err)
			_, data, err := s.Reveal(ctx, who, ref)
			v.note(owner, "reveal "+name, string(data["k"]), err)
			// A caller with the right to create gets an error about the input.
			_, err = s.Create(ctx, who, ref, secret.Draft{Data: map[string]secret.Value{"no key": ""}})
			v.note(owner, "create "+name, nil, err)
			_, err = s.Replace(ctx, who, ref, never, secret.Change{})
			v.note(owner, "replace "+name, nil, err)
			_, err = s.Describe(ctx, who, ref, never, name, "")
			v.note(owner, "describe "+name, nil, err)
			err = s.Delete(ctx, who, ref, never)
			v.note(owner, "delete "+name, nil, err)
		}
	}
	return v
}

func (v aView) note(owner secret.Owner, what string, answer any, err error) {
	q := asked{owner, what}
	switch {
	case errors.Is(err, secret.ErrForbidden):
		v[q] = refusedAs + "forbidden"
	case errors.Is(err, secret.ErrNotFound):
		v[q] = refusedAs + "not found"
	default:
		v[q] = fmt.Sprintf("%+v, %v", answer, err)
	}
}

// wantWithin fails if the view shows something that the wider one does not. The form
// of a refusal may differ.
func (v aView) wantWithin(t *testing.T, wider aView) {
	t.Helper()
	for q, got := range v {
		if !strings.HasPrefix(got, refusedAs) && got != wider[q] {
			t.Errorf("%s of %s: %s, and before %s", q.what, q.owner, got, wider[q])
		}
	}
}

// A world is a store with some secrets, and a caller.
type world struct {
	policies
	store secret.Store
}

func (w world) mustToggle(t *testing.T, ref secret.Ref) {
	t.Helper()
	err := w.store.Delete(t.Context(), secret.Op{Ref: ref})
	if errors.Is(err, secret.ErrNotFound) {
		_, err = w.store.Create(t.Context(), secret.Op{Ref: ref}, secret.Draft{
			Description: fmt.Sprint("description ", w.Int()), Data: map[string]secret.Value{"k": secret.Value(fmt.Sprint("value ", w.Int()))},
		})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// forEveryStore tests a property on each kind of store, with fewer rounds on stores that
// use the disk.
func forEveryStore(t *testing.T, test func(t *testing.T, w world, rounds int)) {
	t.Helper()
	for name, store := range map[string]struct {
		open   func(*testing.T) secret.Store
		rounds int
	}{
		"memory": {func(*testing.T) secret.Store { return memory.New() }, 250},
		"bolt":   {openBolt, 10},
	} {
		t.Run(name, func(t *testing.T) {
			w := world{newPolicies(t), store.open(t)}
			for _, owner := range tenants {
				for _, name := range some(w.policies, names) {
					w.mustToggle(t, on(owner, name))
				}
			}
			test(t, w, store.rounds)
		})
	}
}

func openBolt(t *testing.T) secret.Store {
	t.Helper()
	path := filepath.Join(t.TempDir(), "state.db")
	if err := statetest.Create(path, func(string) ([]byte, error) { return []byte("none"), nil }); err != nil {
		t.Fatal(err)
	}
	file, err := statetest.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	ring := seal.NewRing()
	log := audit.Open(file, ring.Derive("audit entry"), ring.Derive("audit chain"))
	t.Cleanup(func() {
		if err := errors.Join(log.Close(), file.Close()); err != nil {
			t.Error(err)
		}
	})
	return bolt.Open(file, "embedded", ring, log, bolt.Options{Versions: 1, DeletedFor: time.Hour, PastBytes: 1 << 20})
}

func TestADenialNeverShowsMore(t *testing.T) {
	forEveryStore(t, func(t *testing.T, w world, rounds int) {
		for range rounds {
			grants := w.grants()
			before := viewOf(t, w.store, caller(grants...))
			after := viewOf(t, w.store, caller(slices.Insert(slices.Clone(grants), w.Intn(len(grants)+1), deny(w.grant()))...))
			after.wantWithin(t, before)
		}
	})
}

func TestRemovingAGrantNeverShowsMore(t *testing.T) {
	forEveryStore(t, func(t *testing.T, w world, rounds int) {
		for range rounds {
			grants := w.grants()
			before := viewOf(t, w.store, caller(grants...))
			for i, g := range grants {
				if !g.Deny {
					viewOf(t, w.store, caller(slices.Delete(slices.Clone(grants), i, i+1)...)).wantWithin(t, before)
				}
			}
		}
	})
}

// This covers hidden secrets of the caller's own tenant and of other tenants.
func TestAViewNeverDependsOnHiddenSecrets(t *testing.T) {
	forEveryStore(t, func(t *testing.T, w world, rounds int) {
		for range rounds {
			who := caller(w.grants()...)
			hidden := refsThat(func(ref secret.Ref) bool {
				return !slices.ContainsFunc(all, func(a secret.Action) bool { return who.May(a, ref) })
			})
			before := viewOf(t, w.store, who)
			for _, ref := range some(w.policies, hidden) {
				w.mustToggle(t, ref)
			}
			if diff := cmp.Diff(before, viewOf(t, w.store, who)); diff != "" {
				t.Fatalf("grants %+v: secrets that they do not cover were changed, and the caller sees it:\n%s", who.Grants, diff)
			}
		}
	})
}

// Operations on the secrets of all other tenants do not change one tenant's view.
func TestAViewOfATenantNeverDependsOnAnother(t *testing.T) {
	forEveryStore(t, func(t *testing.T, w world, rounds int) {
		for range rounds {
			who, tenant := caller(w.grants()...), tenants[w.Intn(len(tenants))]
			before := viewOf(t, w.store, who).of(tenant)
			for _, ref := range some(w.policies, refsThat(func(ref secret.Ref) bool { return ref.Owner != tenant })) {
				w.mustToggle(t, ref)
			}
			if diff := cmp.Diff(before, viewOf(t, w.store, who).of(tenant)); diff != "" {
				t.Fatalf("grants %+v: others' secrets were changed, and it shows in those of %s:\n%s", who.Grants, tenant, diff)
			}
		}
	})
}

// A rename must not bring a secret within a caller's reach, so an additional grant
// can cause its refusal. The test therefore compares the caller's rights on the
// secret before and after.
func TestARenameNeverBringsASecretWithinReach(t *testing.T) {
	forEveryStore(t, func(t *testing.T, w world, rounds int) {
		renamed := 0
		for tries := 0; renamed < rounds; tries++ { // most callers may not rename
			if tries > 10_000*rounds {
				t.Fatalf("only %d were renamed", renamed)
			}
			who, owner := caller(w.grants()...), tenants[w.Intn(len(tenants))]
			from, to := on(owner, names[w.Intn(len(names))]), on(owner, names[w.Intn(len(names))])
			if from == to {
				continue
			}
			s := secret.NewService(w.store, &ledger{})
			_, hadNoHead := s.Head(t.Context(), who, from)
			_, hadNoValue := revealed(t, s, who, from)
			if _, err := s.Describe(t.Context(), who, from, "", to.Name, ""); err != nil {
				w.mustToggle(t, from) // the next round starts from a different state
				continue
			}
			renamed++
			_, hasNoHead := s.Head(t.Context(), who, to)
			value, hasNoValue := revealed(t, s, who, to)
			if (hadNoHead != nil && hasNoHead == nil) || (hadNoValue != nil && hasNoValue == nil) {
				t.Fatalf("grants %+v: as %s, the caller has %q of what was %s", who.Grants, to, value, from)
			}
		}
	})
}

func revealed(t *testing.T, s *secret.Service, who secret.Caller, ref secret.Ref) (value string, err error) {
	t.Helper()
	_, data, err := s.Reveal(t.Context(), who, ref)
	return string(data["k"]), err
}

func (v aView) of(owner secret.Owner) aView {
	part := maps.Clone(v)
	maps.DeleteFunc(part, func(q asked, _ string) bool { return q.owner != owner })
	return part
}

func refsThat(is func(secret.Ref) bool) (refs []secret.Ref) {
	for _, owner := range tenants {
		for _, name := range names {
			if ref := on(owner, name); is(ref) {
				refs = append(refs, ref)
			}
		}
	}
	return refs
}
