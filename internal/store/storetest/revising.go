package storetest

import "github.com/strongroom/strongroom/internal/secret"

func revising() []promise {
	return []promise{
		{name: "RevisionChangesWithEveryChange", check: revisionChangesWithEveryChange},
		{name: "RevisionStaysWithoutAChange", check: revisionStaysWithoutAChange},
		{name: "RevisionIsNotDerivedFromValues", check: revisionIsNotDerivedFromValues},
		{name: "RevisionNeverComesAgainUnderAName", check: revisionNeverComesAgainUnderAName},
		{name: "RevisionIsNoCondition", check: revisionIsNoCondition},
	}
}

// distinct collects revisions and fails on a repeated one.
func distinct(t T) func(what string, revision secret.Revision) {
	seen := map[secret.Revision]string{}
	return func(what string, revision secret.Revision) {
		t.Helper()
		if before, again := seen[revision]; again {
			t.Errorf("%[2]s has the revision %[1]q of %[3]s", revision, what, before)
		}
		seen[revision] = what
	}
}

func revisionChangesWithEveryChange(t T, st secret.Store) {
	wantNew := distinct(t)
	wantNew("the created secret", mustCreate(t, st, at("a"), data{"k": "1"}).Revision)
	for _, change := range []struct {
		what string
		to   secret.Change
	}{
		{"another value", secret.Change{Set: data{"k": "2"}}},
		{"another value of the same length", secret.Change{Set: data{"k": "3"}}},
		{"another key", secret.Change{Set: data{"l": "3"}}},
		{"one more key", secret.Change{Set: data{"m": ""}, Keep: []string{"l"}}},
		{"one key less", secret.Change{Keep: []string{"m"}}},
		{"no keys", secret.Change{}},
	} {
		wantNew(change.what, mustReplace(t, st, at("a"), change.to).Revision)
	}
	wantNew("a description", mustDescribe(t, st, at("a"), "a", "1").Revision)
	wantNew("another description", mustDescribe(t, st, at("a"), "a", "2").Revision)
	wantNew("another name", mustDescribe(t, st, at("a"), "b", "2").Revision)
	wantNew("both", mustDescribe(t, st, at("b"), "a", "3").Revision)
}

// Reads and changes of other secrets keep the revision.
func revisionStaysWithoutAChange(t T, st secret.Store) {
	before := mustCreate(t, st, at("b"), data{"k": "v"}).Revision
	for _, step := range []struct {
		name string
		do   func()
	}{
		{"Reveal", func() { mustReveal(t, st, at("b")) }},
		{"Create of another", func() { mustCreate(t, st, at("a"), data{"k": "1"}) }},
		{"Replace of another", func() { mustReplace(t, st, at("a"), secret.Change{Set: data{"k": "2"}}) }},
		{"Describe of another", func() { mustDescribe(t, st, at("a"), "aa", "") }},
		{"Delete of another", func() { mustDelete(t, st, at("aa")) }},
	} {
		step.do()
		if after := mustHead(t, st, at("b").Ref).Revision; after != before {
			t.Errorf("%s: revision changed from %q to %q", step.name, before, after)
		}
	}
}

// A caller that sees revisions but no values must not learn from a revision that a
// value is unchanged.
func revisionIsNotDerivedFromValues(t T, st secret.Store) {
	wantNew := distinct(t)
	mustCreate(t, st, at("db"), nil)
	for range 3 {
		wantNew("one value", mustReplace(t, st, at("db"), secret.Change{Set: data{"k": "1"}}).Revision)
		wantNew("another", mustReplace(t, st, at("db"), secret.Change{Set: data{"k": "2"}}).Revision)
	}
}

// Otherwise an old condition would permit a change to another secret.
func revisionNeverComesAgainUnderAName(t T, st secret.Store) {
	wantNew := distinct(t)
	for range 20 {
		wantNew("the created secret", mustCreate(t, st, at("db"), data{"k": "v"}).Revision)
		wantNew("the replaced one", mustReplace(t, st, at("db"), secret.Change{Set: data{"k": "w"}}).Revision)
		wantNew("the described one", mustDescribe(t, st, at("db"), "db", "d").Revision)
		mustDelete(t, st, at("db"))

		mustCreate(t, st, at("other"), data{"k": "v"})
		wantNew("one that was renamed to it", mustDescribe(t, st, at("other"), "db", "").Revision)
		mustDelete(t, st, at("db"))
	}
}

func revisionIsNoCondition(t T, st secret.Store) {
	for _, revision := range []secret.Revision{
		mustCreate(t, st, at("db"), nil).Revision,
		mustReplace(t, st, at("db"), secret.Change{}).Revision,
		mustDescribe(t, st, at("db"), "db2", "").Revision,
	} {
		if revision == "" || revision == secret.AnyRevision {
			t.Errorf("got revision %q, which as a condition matches any revision", revision)
		}
	}
}
