package storetest

import "github.com/strongroom/strongroom/internal/secret"

func refusing() []promise {
	return []promise{
		{name: "MissingSecretIsNotFound", check: missingSecretIsNotFound},
		{name: "StaleRevisionChangesNothing", check: staleRevisionChangesNothing},
		{name: "CurrentRevisionIsAdmitted", check: currentRevisionIsAdmitted},
		{name: "AnyRevisionIsAdmitted", check: anyRevisionIsAdmitted},
		{name: "NotFoundComesFirst", check: notFoundComesFirst},
		{name: "ChangedComesBeforeTheRest", check: changedComesBeforeTheRest},
	}
}

// A call is an operation that requires an existing secret and leaves traces.
type call struct {
	name string
	do   func(t T, st secret.Store, op secret.Op) error
}

func reads(t T, st secret.Store, op secret.Op) error {
	_, _, err := st.Reveal(t.Context(), op)
	return err
}

func replaces(t T, st secret.Store, op secret.Op) error {
	_, err := st.Replace(t.Context(), op, secret.Change{Set: data{"replaced": "yes"}})
	return err
}

func describes(t T, st secret.Store, op secret.Op) error {
	_, err := st.Describe(t.Context(), op, op.Ref.Name, "described")
	return err
}

func renames(t T, st secret.Store, op secret.Op) error {
	_, err := st.Describe(t.Context(), op, op.Ref.Name+"-renamed", "")
	return err
}

func deletes(t T, st secret.Store, op secret.Op) error { return st.Delete(t.Context(), op) }

func calls() []call {
	return []call{
		{"Reveal", reads},
		{"Replace", replaces},
		{"Describe", describes},
		{"rename", renames},
		{"Delete", deletes},
	}
}

func missingSecretIsNotFound(t T, st secret.Store) {
	mustCreate(t, st, at("other"), data{"k": "v"})
	unharmed := remember(t, st, at("other"))
	_, err := st.Head(t.Context(), at("db").Ref)
	wantError(t, "Head", err, secret.ErrNotFound)
	for _, c := range calls() {
		wantError(t, c.name, c.do(t, st, at("db")), secret.ErrNotFound)
		unharmed()
	}
}

func staleRevisionChangesNothing(t T, st secret.Store) {
	first := mustCreate(t, st, at("db"), data{"k": "1"}).Revision
	second := mustReplace(t, st, at("db"), secret.Change{Set: data{"k": "2"}}).Revision
	third := mustDescribe(t, st, at("db"), "db", "third").Revision
	unharmed := remember(t, st, at("db"))
	for _, stale := range []secret.Revision{first, second, third + "0", " " + third, "no revision", `"` + third + `"`} {
		for _, c := range calls() {
			wantError(t, c.name, c.do(t, st, onlyIf(at("db"), stale)), secret.ErrChanged)
			unharmed()
		}
	}
}

func currentRevisionIsAdmitted(t T, st secret.Store) {
	for _, c := range calls() {
		info := mustCreate(t, st, at(c.name), data{"k": "v"})
		if err := c.do(t, st, onlyIf(at(c.name), info.Revision)); err != nil {
			t.Errorf("%s at the current revision: %v", c.name, err)
		}
	}
	info := mustCreate(t, st, at("chain"), nil)
	info = mustReplace(t, st, onlyIf(at("chain"), info.Revision), secret.Change{Set: data{"k": "v"}})
	info = mustDescribe(t, st, onlyIf(at("chain"), info.Revision), "chain", "described")
	info = mustDescribe(t, st, onlyIf(at("chain"), info.Revision), "renamed", "")
	mustReveal(t, st, onlyIf(at("renamed"), info.Revision))
	mustDelete(t, st, onlyIf(at("renamed"), mustHead(t, st, at("renamed").Ref).Revision))
}

func anyRevisionIsAdmitted(t T, st secret.Store) {
	for _, c := range calls() {
		mustCreate(t, st, at(c.name), data{"k": "v"})
		if err := c.do(t, st, onlyIf(at(c.name), secret.AnyRevision)); err != nil {
			t.Errorf("%s at any revision: %v", c.name, err)
		}
	}
}

// Each call here is invalid in every possible way.
func notFoundComesFirst(t T, st secret.Store) {
	mustCreate(t, st, at("taken"), data{"k": "v"})
	unharmed := remember(t, st, at("taken"))
	for _, revision := range []secret.Revision{"", secret.AnyRevision, "no revision"} {
		op := onlyIf(at("missing"), revision)
		_, _, err := st.Reveal(t.Context(), op)
		wantError(t, "Reveal", err, secret.ErrNotFound)
		_, err = st.Replace(t.Context(), op, secret.Change{Keep: []string{"missing"}})
		wantError(t, "Replace that keeps a missing key", err, secret.ErrNotFound)
		_, err = st.Describe(t.Context(), op, "taken", "")
		wantError(t, "Describe under a taken name", err, secret.ErrNotFound)
		_, err = st.Describe(t.Context(), op, "missing", "")
		wantError(t, "Describe under its own name", err, secret.ErrNotFound)
		wantError(t, "Delete", st.Delete(t.Context(), op), secret.ErrNotFound)
	}
	unharmed()
}

func changedComesBeforeTheRest(t T, st secret.Store) {
	stale := onlyIf(at("db"), mustCreate(t, st, at("db"), data{"k": "1"}).Revision)
	mustReplace(t, st, at("db"), secret.Change{Set: data{"k": "2"}})
	mustCreate(t, st, at("taken"), nil)
	unharmed := remember(t, st, at("db"), at("taken"))
	_, err := st.Replace(t.Context(), stale, secret.Change{Keep: []string{"missing"}})
	wantError(t, "Replace that keeps a missing key", err, secret.ErrChanged)
	_, err = st.Describe(t.Context(), stale, "taken", "")
	wantError(t, "Describe under a taken name", err, secret.ErrChanged)
	unharmed()

	current := onlyIf(at("db"), mustHead(t, st, at("db").Ref).Revision)
	_, err = st.Replace(t.Context(), current, secret.Change{Keep: []string{"missing"}})
	wantInvalid(t, "Replace that keeps a missing key", err, "missing")
	_, err = st.Describe(t.Context(), current, "taken", "")
	wantError(t, "Describe under a taken name", err, secret.ErrExists)
	unharmed()
}
