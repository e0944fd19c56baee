package secret_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/store/memory"
)

// A ledger is a Recorder that can be made to fail.
type ledger struct {
	events []secret.Event
	fails  error
	room   int // number of events before it fails
}

func (l *ledger) Record(ctx context.Context, e secret.Event, steps ...func(secret.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	for _, step := range steps {
		if err := step(nil); err != nil {
			return err
		}
	}
	return l.Note(e)
}

func (l *ledger) Note(e secret.Event) error {
	if l.fails != nil && len(l.events) >= l.room {
		return l.fails
	}
	l.events = append(l.events, e)
	return nil
}

func (l *ledger) outcomes() []secret.Outcome {
	var outcomes []secret.Outcome
	for _, e := range l.events {
		outcomes = append(outcomes, e.Outcome)
	}
	return outcomes
}

// arguments returns the arguments of each method of Service after context and caller.
// They name an existing secret, so that each method could change or show something.
func arguments() map[string][]any {
	ref := on(app, "db")
	return map[string][]any{
		"List":          {app, secret.Page{}},
		"Head":          {ref},
		"Reveal":        {ref},
		"Create":        {on(app, "new"), secret.Draft{Data: map[string]secret.Value{"k": "v"}}},
		"Replace":       {ref, secret.Revision(""), secret.Change{Set: map[string]secret.Value{"k": "new"}}},
		"Put":           {ref, secret.Revision(""), (*string)(nil), map[string]secret.Value{"k": "new"}},
		"Describe":      {ref, secret.Revision(""), "renamed", "described"},
		"Delete":        {ref, secret.Revision("")},
		"Import":        {on(app, "new"), secret.Draft{Data: map[string]secret.Value{"k": "v"}}},
		"CopyTo":        {ref, secret.NewService(memory.New(), &ledger{})},
		"Versions":      {ref},
		"RevealVersion": {ref, secret.Revision("r")},
		"RevealNumber":  {ref, uint64(1)},
		"Deleted":       {app},
		"Restore":       {ref, secret.Revision("r")},
		"Undelete":      {on(app, "gone"), secret.Revision("")},
		"Destroy":       {ref},
		"Erase":         {app},
		"Owners":        {secret.KindApp},
		"Refuse":        {secret.Write, ref, nil},
	}
}

// showsOnly reports whether the method's audit entry may follow later.
func showsOnly(method string) bool {
	return slices.Contains([]string{"List", "Head", "Owners", "Versions", "Deleted"}, method)
}

// ownerFor returns the owner on which the method needs a grant.
func ownerFor(method string) secret.Owner {
	if method == "Owners" {
		return apps
	}
	return app
}

// A remembering store implements Historian without keeping anything.
type remembering struct{ *memory.Store }

var _ secret.Historian = remembering{}

func (r remembering) Versions(ctx context.Context, ref secret.Ref) ([]secret.Info, error) {
	info, err := r.Head(ctx, ref)
	return []secret.Info{info}, err
}

func (r remembering) Deleted(context.Context, secret.Owner) ([]secret.Deleted, error) {
	return []secret.Deleted{{}}, nil
}

func (r remembering) RevealVersion(ctx context.Context, op secret.Op, _ secret.Revision) (map[string]secret.Value, error) {
	_, data, err := r.Reveal(ctx, op)
	return data, err
}

func (r remembering) Restore(ctx context.Context, op secret.Op, _ secret.Revision) (secret.Info, error) {
	return r.Replace(ctx, op, secret.Change{})
}

func (r remembering) Undelete(ctx context.Context, op secret.Op, _ secret.Revision) (secret.Info, error) {
	return r.Create(ctx, op, secret.Draft{})
}

func (r remembering) Destroy(ctx context.Context, op secret.Op) error { return r.Delete(ctx, op) }

func (r remembering) Erase(ctx context.Context, op secret.Op) error {
	return r.Delete(ctx, secret.Op{Ref: secret.Ref{Owner: op.Ref.Owner, Name: "db"}})
}

// forEveryMethod tests each method, and fails if arguments lacks one.
func forEveryMethod(t *testing.T, test func(t *testing.T, method string)) {
	t.Helper()
	args := arguments()
	for method := range reflect.TypeFor[*secret.Service]().Methods() {
		if args[method.Name] == nil {
			t.Errorf("Service.%s is not among the arguments: it is not tested", method.Name)
			continue
		}
		t.Run(method.Name, func(t *testing.T) { test(t, method.Name) })
	}
}

// call calls the method and checks that an error comes without other results.
func call(t *testing.T, s *secret.Service, who secret.Caller, method string) error {
	t.Helper()
	in := []reflect.Value{reflect.ValueOf(t.Context()), reflect.ValueOf(who)}
	fn := reflect.ValueOf(s).MethodByName(method)
	for _, arg := range arguments()[method] {
		value := reflect.ValueOf(arg)
		if !value.IsValid() { // nil
			value = reflect.Zero(fn.Type().In(len(in)))
		}
		in = append(in, value)
	}
	out := fn.Call(in)
	results, last := out[:len(out)-1], out[len(out)-1]
	err, _ := last.Interface().(error)
	for i, result := range results {
		if err != nil && !result.IsZero() {
			t.Errorf("%s returned an error, and as result %d: %+v", method, i, result)
		}
	}
	return err
}

// Every method of these stores panics.
type (
	untouchable          struct{ secret.Store }
	untouchableRecording struct{ secret.Recording }
	untouchableAwaiting  struct{ secret.Awaiting }
)

func TestEveryMethodRefusesACallerWithoutGrants(t *testing.T) {
	for _, store := range []secret.Store{untouchable{}, untouchableRecording{}, untouchableAwaiting{}} {
		t.Run(fmt.Sprintf("%T", store), func(t *testing.T) {
			forEveryMethod(t, func(t *testing.T, method string) {
				var log ledger
				err := call(t, secret.NewService(store, &log), caller(), method)
				if !errors.Is(err, secret.ErrForbidden) {
					t.Errorf("got error %v, want %v", err, secret.ErrForbidden)
				}
				if got := log.outcomes(); !slices.Equal(got, []secret.Outcome{secret.Denied}) {
					t.Errorf("got events with outcomes %q, want one that is denied", got)
				}
			})
		})
	}
}

// Otherwise disconnecting would hide attempts.
func TestARefusalIsAuditedAfterADisconnect(t *testing.T) {
	ctx, hangUp := context.WithCancel(t.Context())
	hangUp()
	var log ledger
	s := secret.NewService(filled(t), &log)
	_, _, err := s.Reveal(ctx, caller(grant(app, secret.List)), on(app, "db"))
	if !errors.Is(err, secret.ErrForbidden) {
		t.Errorf("Reveal: %v", err)
	}
	if _, err := s.Head(ctx, caller(grant(app, secret.List)), on(app, "none")); !errors.Is(err, secret.ErrNotFound) {
		t.Errorf("Head: %v", err)
	}
	if got := log.outcomes(); !slices.Equal(got, []secret.Outcome{secret.Denied, secret.NotFound}) {
		t.Errorf("on record as %q", got)
	}
}

// A crash during a rename must not leave values under a name that no entry has.
func TestTheIntentOfARenameHasTheNewName(t *testing.T) {
	for _, store := range []secret.Store{filled(t), attentive(t)} {
		var log ledger
		s := secret.NewService(store, &log)
		if _, err := s.Describe(t.Context(), caller(grant(app, secret.Write)), on(app, "db"), "", "renamed", ""); err != nil {
			t.Fatal(err)
		}
		if len(log.events) != 2 || log.events[0].Outcome != secret.Unknown || log.events[0].NewName != "renamed" || log.events[1].NewName != "renamed" {
			t.Errorf("%T: on record are %+v", store, log.events)
		}
	}
}

// A denied caller gets the denial, and every attempt is audited.
func TestARefusalByAnAPIsOwnRulesIsAudited(t *testing.T) {
	invalid := fmt.Errorf("data[0].%w", &secret.InvalidError{Field: "value", Reason: "is odd"})
	for _, tc := range []struct {
		who     secret.Caller
		want    error
		outcome secret.Outcome
	}{
		{caller(grant(app, secret.Write)), invalid, secret.Invalid},
		{caller(grant(app, secret.List)), secret.ErrForbidden, secret.Denied},
		{caller(grant(secret.App("11111111-2222-3333-4444-555555555555"), secret.Write)), secret.ErrNotFound, secret.Denied},
	} {
		var log ledger
		err := secret.NewService(filled(t), &log).Refuse(t.Context(), tc.who, secret.Write, on(app, "db"), invalid)
		if !errors.Is(err, tc.want) {
			t.Errorf("got %v, want %v", err, tc.want)
		}
		if got := log.outcomes(); len(got) == 0 || got[len(got)-1] != tc.outcome {
			t.Errorf("on record as %q, want %q", got, tc.outcome)
		}
	}
}

// Each method requires its own action, and no other one suffices.
func TestEveryMethodNeedsItsAction(t *testing.T) {
	takes := map[string]secret.Action{
		"List": secret.List, "Head": secret.List, "Reveal": secret.Reveal, "RevealVersion": secret.Reveal, "RevealNumber": secret.Reveal, "Create": secret.Create,
		"Replace": secret.Write, "Put": secret.Write, "Describe": secret.Write, "Delete": secret.Delete,
		"Import": secret.Admin, "CopyTo": secret.Admin, "Versions": secret.Admin, "Deleted": secret.Admin, "Restore": secret.Admin, "Undelete": secret.Admin,
		"Destroy": secret.Admin, "Erase": secret.Admin, "Owners": secret.List, "Refuse": secret.Write,
	}
	says := map[string]secret.Action{
		"Import": secret.Import, "CopyTo": secret.Migrate, "Versions": secret.History, "Deleted": secret.History, "Restore": secret.Restore, "Undelete": secret.Undelete,
		"Destroy": secret.Destroy, "Erase": secret.Erase,
	}
	forEveryMethod(t, func(t *testing.T, method string) {
		for _, action := range all {
			var log ledger
			err := call(t, secret.NewService(filled(t), &log), caller(grant(ownerFor(method), action)), method)
			if allowed := err == nil; allowed != (action == takes[method]) {
				t.Errorf("with a grant of %s: got error %v", action, err)
			}
			for _, e := range log.events {
				if want := firstSet(says[method], takes[method]); e.Action != want {
					t.Errorf("the event says %s, want %s", e.Action, want)
				}
			}
		}
	})
}

// A busyMemory has no room for anything. It remembers the sizes that were asked for.
type busyMemory struct{ asked []int }

func (m *busyMemory) Hold(bytes int) error {
	m.asked = append(m.asked, bytes)
	return secret.ErrBusy
}

func TestValuesWithoutMemoryAreNotReturned(t *testing.T) {
	for _, method := range []string{"Reveal", "RevealVersion", "RevealNumber"} {
		var memory busyMemory
		who := caller(grant(app, all...))
		who.Memory = &memory
		if err := call(t, secret.NewService(filled(t), &ledger{}), who, method); !errors.Is(err, secret.ErrBusy) {
			t.Errorf("%s: got error %v, want %v", method, err, secret.ErrBusy)
		}
		if want := []int{len("k") + len("old")}; !slices.Equal(memory.asked, want) {
			t.Errorf("%s: asked for %d bytes, want %d", method, memory.asked, want)
		}
	}
}

func firstSet(a, b secret.Action) secret.Action {
	if a != "" {
		return a
	}
	return b
}

// filled returns a store with a secret called db.
func filled(t *testing.T) remembering {
	t.Helper()
	st := remembering{memory.New()}
	for _, name := range []string{"db", "taken"} {
		draft := secret.Draft{Description: "as it was", Data: map[string]secret.Value{"k": "old"}}
		if _, err := st.Create(t.Context(), secret.Op{Ref: on(app, name)}, draft); err != nil {
			t.Fatal(err)
		}
	}
	return st
}

func contents(t *testing.T, st secret.Store) map[string]any {
	t.Helper()
	infos, err := st.List(t.Context(), app, secret.Page{})
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]any{}
	for _, info := range infos {
		_, values, err := st.Reveal(t.Context(), secret.Op{Ref: info.Ref})
		if err != nil {
			t.Fatal(err)
		}
		all[info.Name] = []any{info, string(values["k"]), len(values)}
	}
	return all
}

func TestNothingHappensWithoutAnAuditEntry(t *testing.T) {
	full := errors.New("disk full")
	forEveryMethod(t, func(t *testing.T, method string) {
		for _, st := range []secret.Store{filled(t), attentive(t)} {
			before := contents(t, st)
			err := call(t, secret.NewService(st, &ledger{fails: full}), caller(grant(app, all...)), method)
			if !errors.Is(err, full) {
				t.Errorf("%T: got error %v, want that of the recorder", st, err)
			}
			if diff := cmp.Diff(before, contents(t, st)); diff != "" {
				t.Errorf("%T: the store was changed (-before +after):\n%s", st, diff)
			}
		}
	})
}

// Here the audit log has the intent, but not the outcome.
func TestNothingIsAnsweredWithoutAnAuditEntry(t *testing.T) {
	full := errors.New("disk full")
	forEveryMethod(t, func(t *testing.T, method string) {
		if showsOnly(method) {
			return // has no intent: see above
		}
		log := &ledger{fails: full, room: 1}
		err := call(t, secret.NewService(filled(t), log), caller(grant(app, all...)), method)
		if !errors.Is(err, full) {
			t.Errorf("got error %v, want that of the recorder", err)
		}
		if got := log.outcomes(); !slices.Equal(got, []secret.Outcome{secret.Unknown}) {
			t.Errorf("got outcomes %q, want one that is unknown", got)
		}
	})
}

func TestARefusalWithoutAnAuditEntryIsAnError(t *testing.T) {
	full := errors.New("disk full")
	forEveryMethod(t, func(t *testing.T, method string) {
		err := call(t, secret.NewService(untouchable{}, &ledger{fails: full}), caller(), method)
		if !errors.Is(err, full) {
			t.Errorf("got error %v, want that of the recorder", err)
		}
	})
}

func TestEventHasCallerAndSecret(t *testing.T) {
	forEveryMethod(t, func(t *testing.T, method string) {
		who := secret.Caller{
			Subject: "ci", CredentialID: "key-7", User: "alice", From: "192.0.2.1", Request: "r-1",
			Grants: []secret.Grant{grant(ownerFor(method), all...)},
		}
		var log ledger
		if err := call(t, secret.NewService(filled(t), &log), who, method); err != nil {
			t.Fatal(err)
		}
		want := []secret.Outcome{secret.Unknown, secret.Done}
		if showsOnly(method) {
			want = []secret.Outcome{secret.Done}
		}
		if got := log.outcomes(); !slices.Equal(got, want) {
			t.Errorf("got outcomes %q, want %q", got, want)
		}
		for _, e := range log.events {
			if e.Subject != "ci" || e.CredentialID != "key-7" || e.From != "192.0.2.1" || e.Request != "r-1" || e.Ref.Owner != ownerFor(method) || e.Time.IsZero() {
				t.Errorf("got event %+v, want one of %+v", e, who)
			}
		}
	})
}

// An illegal name may be a misplaced value.
func TestEventOmitsIllegalNames(t *testing.T) {
	var log ledger
	s := secret.NewService(filled(t), &log)
	_, err := s.Create(t.Context(), caller(grant(app, all...)), on(app, "hunter2\n"), secret.Draft{})
	if _, ok := errors.AsType[*secret.InvalidError](err); !ok {
		t.Errorf("got error %v, want an InvalidError", err)
	}
	_, err = s.Head(t.Context(), caller(), on(app, "a/hunter2"))
	if !errors.Is(err, secret.ErrForbidden) {
		t.Errorf("got error %v, want %v", err, secret.ErrForbidden)
	}
	for _, e := range log.events {
		wantHidden(t, "the event", fmt.Sprintf("%+v", e))
	}
}

// A denied caller gets forbidden or, where that would reveal a secret, not found.
func TestRefusal(t *testing.T) {
	for _, tc := range []struct {
		name   string
		grants []secret.Grant
		ref    secret.Ref
		want   error
	}{
		{"no grants", nil, on(app, "db"), secret.ErrForbidden},
		{"no grants, missing", nil, on(app, "none"), secret.ErrForbidden},
		{"another action on it", []secret.Grant{grant(app, secret.List)}, on(app, "db"), secret.ErrForbidden},
		{"another action on it, missing", []secret.Grant{grant(app, secret.List)}, on(app, "none"), secret.ErrForbidden},
		{"another name", []secret.Grant{named(grant(app, all...), "x")}, on(app, "db"), secret.ErrNotFound},
		{"another name, missing", []secret.Grant{named(grant(app, all...), "x")}, on(app, "none"), secret.ErrNotFound},
		{"the name is denied", []secret.Grant{grant(app, all...), deny(named(grant(app, all...), "db"))}, on(app, "db"), secret.ErrNotFound},
		{"only this is denied", []secret.Grant{grant(app, all...), deny(grant(app, secret.Reveal))}, on(app, "db"), secret.ErrForbidden},
		{"another app", []secret.Grant{grant(other, all...)}, on(app, "db"), secret.ErrNotFound},
		{"the app is denied", []secret.Grant{grant(apps, all...), deny(grant(app, all...))}, on(app, "db"), secret.ErrNotFound},
		{"only a denial", []secret.Grant{deny(grant(app, all...))}, on(app, "db"), secret.ErrForbidden},
		{"an app once", []secret.Grant{until(grant(other, all...), past)}, on(app, "db"), secret.ErrForbidden},
		{"only a user", []secret.Grant{grant(alice, all...)}, on(app, "db"), secret.ErrForbidden},
		{"another user", []secret.Grant{grant(alice, all...)}, on(secret.User("bob"), "db"), secret.ErrForbidden},
		{"another name of the user's", []secret.Grant{named(grant(alice, all...), "x")}, on(alice, "db"), secret.ErrNotFound},
	} {
		var log ledger
		_, _, err := secret.NewService(filled(t), &log).Reveal(t.Context(), caller(tc.grants...), tc.ref)
		if !errors.Is(err, tc.want) {
			t.Errorf("%s: got error %v, want %v", tc.name, err, tc.want)
		}
		// The audit log has the real outcome, whatever the answer.
		if got := log.outcomes(); !slices.Equal(got, []secret.Outcome{secret.Denied}) {
			t.Errorf("%s: got outcomes %q, want one that is denied", tc.name, got)
		}
	}
}

// A diary records events and whether each was flushed, which takes the time.
type diary struct {
	secret.Recorder
	calls []string
}

func (d *diary) Record(_ context.Context, e secret.Event, _ ...func(secret.Tx) error) error {
	d.calls = append(d.calls, "record of "+e.Ref.Name)
	return nil
}

func (d *diary) Note(e secret.Event) error {
	d.calls = append(d.calls, "note of "+e.Ref.Name)
	return nil
}

// The time of an answer must not reveal a hidden secret either.
func TestAHiddenSecretCostsAsMuchAsAMissingOne(t *testing.T) {
	may := caller(grant(app, all...))
	mayNot := caller(named(grant(app, all...), "x"))
	for method, ask := range map[string]func(s *secret.Service, who secret.Caller, ref secret.Ref) error{
		"Head": func(s *secret.Service, who secret.Caller, ref secret.Ref) error {
			_, err := s.Head(t.Context(), who, ref)
			return err
		},
		"Versions": func(s *secret.Service, who secret.Caller, ref secret.Ref) error {
			_, err := s.Versions(t.Context(), who, ref)
			return err
		},
	} {
		for _, tc := range []struct {
			what string
			who  secret.Caller
			name string
		}{
			{"missing", may, "none"},
			{"hidden", mayNot, "db"},
			{"hidden and missing", mayNot, "none"},
		} {
			var d diary
			err := ask(secret.NewService(filled(t), &d), tc.who, on(app, tc.name))
			if !errors.Is(err, secret.ErrNotFound) {
				t.Errorf("%s of what is %s: got error %v, want %v", method, tc.what, err, secret.ErrNotFound)
			}
			if want := []string{"note of " + tc.name}; !slices.Equal(d.calls, want) {
				t.Errorf("%s of what is %s: %q, want %q", method, tc.what, d.calls, want)
			}
		}
	}
}

func TestListHasOnlyAllowedSecrets(t *testing.T) {
	st := memory.New()
	var mine []string
	for i := range 20 {
		name := fmt.Sprintf("%02d", i)
		if _, err := st.Create(t.Context(), secret.Op{Ref: on(app, name)}, secret.Draft{}); err != nil {
			t.Fatal(err)
		}
		if i%3 == 0 {
			mine = append(mine, name)
		}
	}
	s := secret.NewService(st, &ledger{})
	who := caller(named(grant(app, secret.List), mine...), named(grant(app, secret.Write), "01"))
	for _, limit := range []int{0, 1, 2, 3, 7, 8, 100} {
		var met []string
		for page := (secret.Page{Limit: limit}); len(met) < len(mine); page.After = met[len(met)-1] {
			infos, err := s.List(t.Context(), who, app, page)
			if err != nil || len(infos) == 0 || (limit > 0 && len(infos) > limit) {
				t.Fatalf("List(%+v): got %d, error %v", page, len(infos), err)
			}
			for _, info := range infos {
				met = append(met, info.Name)
			}
		}
		if !slices.Equal(met, mine) {
			t.Errorf("in pages of %d: got %q, want %q", limit, met, mine)
		}
	}
}

func TestOwnersHasOneKindWithoutExcludedOwners(t *testing.T) {
	st := filled(t)
	for _, ref := range []secret.Ref{on(app, "second"), on(other, "db"), on(alice, "db")} {
		if _, err := st.Create(t.Context(), secret.Op{Ref: ref}, secret.Draft{}); err != nil {
			t.Fatal(err)
		}
	}
	s := secret.NewService(st, &ledger{})
	for _, tc := range []struct {
		name   string
		grants []secret.Grant
		want   []secret.OwnerInfo
		err    error
	}{
		{"all", []secret.Grant{grant(apps, secret.List)}, []secret.OwnerInfo{{Owner: app, Secrets: 3}, {Owner: other, Secrets: 1}}, nil},
		{"but not of one", []secret.Grant{grant(apps, secret.List), deny(grant(app, secret.List))}, []secret.OwnerInfo{{Owner: other, Secrets: 1}}, nil},
		{"of one only", []secret.Grant{grant(app, all...)}, nil, secret.ErrForbidden},
		{"of one name", []secret.Grant{named(grant(apps, all...), "second")}, []secret.OwnerInfo{{Owner: app, Secrets: 1}}, nil},
		{"but not of one name", []secret.Grant{grant(apps, all...), deny(named(grant(apps, all...), "db"))}, []secret.OwnerInfo{{Owner: app, Secrets: 2}}, nil},
		{"every other action", []secret.Grant{grant(apps, secret.Reveal, secret.Write, secret.Admin)}, nil, secret.ErrForbidden},
		{"of users", []secret.Grant{grant(secret.Owner{Kind: secret.KindUser, ID: secret.AnyID}, secret.List)}, nil, secret.ErrForbidden},
	} {
		got, err := s.Owners(t.Context(), caller(tc.grants...), secret.KindApp)
		if !errors.Is(err, tc.err) || !slices.Equal(got, tc.want) {
			t.Errorf("%s: got %v and error %v, want %v and %v", tc.name, got, err, tc.want, tc.err)
		}
	}
}

func TestRenameNeedsGrantsForBothNames(t *testing.T) {
	for _, tc := range []struct {
		name   string
		grants []secret.Grant
		want   error
	}{
		{"both", []secret.Grant{named(grant(app, secret.Write), "db", "new")}, nil},
		{"all", []secret.Grant{grant(app, secret.Write)}, nil},
		{"only the old", []secret.Grant{named(grant(app, secret.Write), "db")}, secret.ErrForbidden},
		{"the new is denied", []secret.Grant{grant(app, all...), deny(named(grant(app, secret.Write), "new"))}, secret.ErrForbidden},
		{"the new could be revealed", []secret.Grant{grant(app, secret.Write), named(grant(app, secret.Reveal), "new")}, secret.ErrForbidden},
		{"the old may not be revealed", []secret.Grant{grant(app, all...), deny(named(grant(app, secret.Reveal), "db"))}, secret.ErrForbidden},
		{"the new for another action", []secret.Grant{named(grant(app, secret.Write), "db"), named(grant(app, secret.Create), "new")}, secret.ErrForbidden},
	} {
		st := filled(t)
		before := contents(t, st)
		_, err := secret.NewService(st, &ledger{}).Describe(t.Context(), caller(tc.grants...), on(app, "db"), "", "new", "")
		if !errors.Is(err, tc.want) {
			t.Errorf("%s: got error %v, want %v", tc.name, err, tc.want)
		}
		if err != nil && !cmp.Equal(before, contents(t, st)) {
			t.Errorf("%s: the store was changed", tc.name)
		}
	}
}
