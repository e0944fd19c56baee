package storetest

import (
	"errors"
	"time"

	"github.com/strongroom/strongroom/internal/objectname"
	"github.com/strongroom/strongroom/internal/secret"
)

func creating() []promise {
	return []promise{
		{name: "CreateReturnsWhatItStored", check: createReturnsWhatItStored},
		{name: "CreateDoesNotOverwrite", check: createDoesNotOverwrite},
		{name: "CreateIgnoresOnlyIf", check: createIgnoresOnlyIf},
		{name: "CreateKeepsTheDraftsTime", check: createKeepsTheDraftsTime},
		{name: "NameIsFreeAgainAfterDelete", check: nameIsFreeAgainAfterDelete},
	}
}

func createReturnsWhatItStored(t T, st secret.Store) {
	info := mustDraft(t, st, at("db"), secret.Draft{Description: "the database", Data: data{"b": "1", "a": "2"}})
	want := secret.Info{
		Ref: at("db").Ref, Description: "the database", Keys: []string{"a", "b"},
		Created: info.Created, Updated: info.Updated, Revision: info.Revision, ObjectName: objectname.Of(at("db").Ref),
	}
	wantInfo(t, "Create", info, want)
	wantRecent(t, "Created", info.Created)
	wantRecent(t, "Updated", info.Updated)
	wantStored(t, st, info, data{"b": "1", "a": "2"})
}

func createDoesNotOverwrite(t T, st secret.Store) {
	mustDraft(t, st, at("db"), secret.Draft{Description: "first", Data: data{"k": "1"}})
	unharmed := remember(t, st, at("db"))
	for _, draft := range []secret.Draft{
		{},
		{Description: "first", Data: data{"k": "1"}},
		{Description: "second", Data: data{"k": "2", "l": "2"}, Created: time.Unix(1, 0)},
	} {
		_, err := st.Create(t.Context(), at("db"), draft)
		wantError(t, "Create of a taken name", err, secret.ErrExists)
		unharmed()
	}
}

func createIgnoresOnlyIf(t T, st secret.Store) {
	for _, revision := range []secret.Revision{secret.AnyRevision, "of nothing"} {
		op := onlyIf(at("db"), revision)
		if _, err := st.Create(t.Context(), op, secret.Draft{}); err != nil {
			t.Errorf("Create with OnlyIf %q: %v", revision, err)
		}
		_, err := st.Create(t.Context(), op, secret.Draft{})
		wantError(t, "Create of a taken name", err, secret.ErrExists)
		if err := st.Delete(t.Context(), at("db")); err != nil && !errors.Is(err, secret.ErrNotFound) {
			t.Fatalf("Delete: %v", err)
		}
	}
}

func createKeepsTheDraftsTime(t T, st secret.Store) {
	created := time.Date(2001, 2, 3, 4, 5, 6, 0, time.FixedZone("", 3600))
	info := mustDraft(t, st, at("db"), secret.Draft{Created: created})
	if !info.Created.Equal(created) {
		t.Errorf("got Created %v, want %v", info.Created, created)
	}
	wantStored(t, st, info, nil)
}

func nameIsFreeAgainAfterDelete(t T, st secret.Store) {
	mustDraft(t, st, at("db"), secret.Draft{Description: "old", Data: data{"old": "1"}, Created: time.Unix(1, 0)})
	mustDelete(t, st, at("db"))
	info := mustCreate(t, st, at("db"), data{"new": "2"})
	if info.Description != "" {
		t.Errorf("got description %q, want none", info.Description)
	}
	wantRecent(t, "Created", info.Created)
	wantStored(t, st, info, data{"new": "2"})
}
