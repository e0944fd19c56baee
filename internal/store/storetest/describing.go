package storetest

import (
	"time"

	"github.com/strongroom/strongroom/internal/objectname"
	"github.com/strongroom/strongroom/internal/secret"
)

func describing() []promise {
	return []promise{
		{name: "DescribeKeepsTheValues", check: describeKeepsTheValues},
		{name: "DescribeKeepsTheTimeOfCreation", check: describeKeepsTheTimeOfCreation},
		{name: "DescribeMovesTheSecret", check: describeMovesTheSecret},
		{name: "DescribeUnderItsOwnNameChangesTheDescription", check: describeUnderItsOwnNameChangesTheDescription},
		{name: "DescribeDoesNotOverwrite", check: describeDoesNotOverwrite},
		{name: "RenamedSecretLeavesItsNameFree", check: renamedSecretLeavesItsNameFree},
		{name: "SecretMayBeRenamedBack", check: secretMayBeRenamedBack},
		{name: "NameOfAnotherOwnersSecretIsFree", check: nameOfAnotherOwnersSecretIsFree},
		{name: "DescribeMovesUpdated", check: describeMovesUpdated},
	}
}

func describeKeepsTheValues(t T, st secret.Store) {
	mustCreate(t, st, at("db"), oddValues())
	wantStored(t, st, mustDescribe(t, st, at("db"), "db", "described"), oddValues())
	wantStored(t, st, mustDescribe(t, st, at("db"), "renamed", "described"), oddValues())
	wantStored(t, st, mustDescribe(t, st, at("renamed"), "both", ""), oddValues())
}

func describeKeepsTheTimeOfCreation(t T, st secret.Store) {
	for _, name := range []string{"db", "renamed"} {
		created := mustDraft(t, st, at("db"), secret.Draft{Created: time.Unix(1_000_000_000, 0)}).Created
		info := mustDescribe(t, st, at("db"), name, "described")
		if !info.Created.Equal(created) {
			t.Errorf("got Created %v, want %v", info.Created, created)
		}
		wantStored(t, st, info, nil)
		mustDelete(t, st, at(name))
	}
}

func describeMovesTheSecret(t T, st secret.Store) {
	before := mustDraft(t, st, at("db"), secret.Draft{Description: "old", Data: data{"k": "v"}})
	after := mustDescribe(t, st, at("db"), "renamed", "new")
	want := before
	want.Ref, want.ObjectName, want.Description = at("renamed").Ref, objectname.Of(at("renamed").Ref), "new"
	want.Updated, want.Revision = after.Updated, after.Revision
	wantInfo(t, "Describe", after, want)
	wantStored(t, st, want, data{"k": "v"})
	wantGone(t, st, at("db").Ref)
	wantNames(t, names(t, st, alice), "renamed")
}

// A secret's own name does not count as taken. A change of case is a rename.
func describeUnderItsOwnNameChangesTheDescription(t T, st secret.Store) {
	mustDraft(t, st, at("db"), secret.Draft{Description: "old", Data: data{"k": "v"}})
	for _, description := range []string{"new", "new", ""} {
		info := mustDescribe(t, st, at("db"), "db", description)
		if info.Description != description {
			t.Errorf("got description %q, want %q", info.Description, description)
		}
		wantStored(t, st, info, data{"k": "v"})
	}
	mustDescribe(t, st, at("db"), "DB", "")
	wantNames(t, names(t, st, alice), "DB")
}

func describeDoesNotOverwrite(t T, st secret.Store) {
	mustDraft(t, st, at("a"), secret.Draft{Description: "of a", Data: data{"k": "a"}})
	mustDraft(t, st, at("b"), secret.Draft{Description: "of b", Data: data{"k": "b"}})
	unharmed := remember(t, st, at("a"), at("b"))
	for _, description := range []string{"of a", "of b", "another"} {
		_, err := st.Describe(t.Context(), at("a"), "b", description)
		wantError(t, "Describe under a taken name", err, secret.ErrExists)
		unharmed()
	}
}

func renamedSecretLeavesItsNameFree(t T, st secret.Store) {
	mustCreate(t, st, at("a"), data{"k": "first"})
	first := mustDescribe(t, st, at("a"), "b", "")
	second := mustCreate(t, st, at("a"), data{"k": "second"})
	wantStored(t, st, first, data{"k": "first"})
	wantStored(t, st, second, data{"k": "second"})

	first = mustDescribe(t, st, at("b"), "c", "")
	second = mustDescribe(t, st, at("a"), "b", "")
	wantStored(t, st, first, data{"k": "first"})
	wantStored(t, st, second, data{"k": "second"})
	wantGone(t, st, at("a").Ref)
}

func secretMayBeRenamedBack(t T, st secret.Store) {
	mustCreate(t, st, at("a"), data{"k": "v"})
	mustDescribe(t, st, at("a"), "b", "")
	info := mustDescribe(t, st, at("b"), "a", "")
	wantStored(t, st, info, data{"k": "v"})
	wantNames(t, names(t, st, alice), "a")
}

func nameOfAnotherOwnersSecretIsFree(t T, st secret.Store) {
	theirs := secret.Op{Ref: secret.Ref{Owner: shop, Name: "b"}}
	mustCreate(t, st, theirs, data{"k": "theirs"})
	unharmed := remember(t, st, theirs)
	mustCreate(t, st, at("a"), data{"k": "mine"})
	wantStored(t, st, mustDescribe(t, st, at("a"), "b", ""), data{"k": "mine"})
	unharmed()
}

func describeMovesUpdated(t T, st secret.Store) {
	info := mustCreate(t, st, at("a"), data{"k": "v"})
	wantUpdatedMoves(t, info, func() secret.Info { return mustDescribe(t, st, at("a"), "a", "described") })

	now, next := "a", "b"
	wantUpdatedMoves(t, mustHead(t, st, at("a").Ref), func() secret.Info {
		info := mustDescribe(t, st, at(now), next, "described")
		now, next = next, now
		return info
	})
}
