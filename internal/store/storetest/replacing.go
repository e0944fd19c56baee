package storetest

import (
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/secret"
)

func replacing() []promise {
	return []promise{
		{name: "ReplaceReplacesAllOfTheData", check: replaceReplacesAllOfTheData},
		{name: "ReplaceKeepsTheRest", check: replaceKeepsTheRest},
		{name: "ReplaceDescribesIfAsked", check: replaceDescribesIfAsked},
		{name: "ReplaceWithNothingEmptiesTheSecret", check: replaceWithNothingEmptiesTheSecret},
		{name: "KeepKeepsTheStoredValues", check: keepKeepsTheStoredValues},
		{name: "KeepOfEverythingChangesNoValue", check: keepOfEverythingChangesNoValue},
		{name: "KeepOfAMissingKeyChangesNothing", check: keepOfAMissingKeyChangesNothing},
		{name: "WhatIsKeptCountsForTheSize", check: whatIsKeptCountsForTheSize},
		{name: "ReplaceMovesUpdated", check: replaceMovesUpdated},
	}
}

func replaceReplacesAllOfTheData(t T, st secret.Store) {
	mustCreate(t, st, at("db"), data{"a": "1", "b": "2"})
	info := mustReplace(t, st, at("db"), secret.Change{Set: data{"b": "3", "c": "4"}})
	wantNames(t, info.Keys, "b", "c")
	wantStored(t, st, info, data{"b": "3", "c": "4"})
}

func replaceKeepsTheRest(t T, st secret.Store) {
	before := mustDraft(t, st, at("db"), secret.Draft{
		Description: "the database", Data: data{"a": "1"}, Created: time.Unix(1_000_000_000, 0),
	})
	after := mustReplace(t, st, at("db"), secret.Change{Set: data{"b": "2"}})
	want := before
	want.Keys, want.Updated, want.Revision = []string{"b"}, after.Updated, after.Revision
	wantInfo(t, "Replace", after, want)
	wantStored(t, st, want, data{"b": "2"})
}

func replaceDescribesIfAsked(t T, st secret.Store) {
	want := mustDraft(t, st, at("db"), secret.Draft{Description: "old", Data: data{"a": "1"}})
	for _, description := range []string{"the database", ""} {
		info := mustReplace(t, st, at("db"), secret.Change{Set: data{"a": "2"}, Description: &description})
		want.Description, want.Updated, want.Revision = description, info.Updated, info.Revision
		wantInfo(t, "Replace", info, want)
		wantStored(t, st, want, data{"a": "2"})
	}
	description := "refused"
	unharmed := remember(t, st, at("db"))
	_, err := st.Replace(t.Context(), at("db"), secret.Change{Keep: []string{"missing"}, Description: &description})
	wantInvalid(t, "Replace that keeps a missing key", err, "missing")
	unharmed()
}

func replaceWithNothingEmptiesTheSecret(t T, st secret.Store) {
	for _, change := range []secret.Change{{}, {Set: data{}, Keep: []string{}}} {
		op := at("db")
		mustCreate(t, st, op, data{"a": "1"})
		info := mustReplace(t, st, op, change)
		wantNames(t, info.Keys)
		wantStored(t, st, info, nil)
		mustDelete(t, st, op)
	}
}

func keepKeepsTheStoredValues(t T, st secret.Store) {
	mustCreate(t, st, at("db"), data{"a": "\xff1", "b": "", "c": "3", "d.e_f": "4", "g": "5"})
	info := mustReplace(t, st, at("db"), secret.Change{
		Set:  data{"c": "new", "x": "y"},
		Keep: []string{"d.e_f", "a", "b"},
	})
	want := data{"a": "\xff1", "b": "", "c": "new", "d.e_f": "4", "x": "y"}
	wantNames(t, info.Keys, "a", "b", "c", "d.e_f", "x")
	wantStored(t, st, info, want)
}

func keepOfEverythingChangesNoValue(t T, st secret.Store) {
	mustCreate(t, st, at("db"), oddValues())
	var keep []string
	for key := range oddValues() {
		keep = append(keep, key)
	}
	wantStored(t, st, mustReplace(t, st, at("db"), secret.Change{Keep: keep}), oddValues())
}

func keepOfAMissingKeyChangesNothing(t T, st secret.Store) {
	mustCreate(t, st, at("db"), data{"a": "1", "b": "2"})
	unharmed := remember(t, st, at("db"))
	for _, change := range []secret.Change{
		{Keep: []string{"missing"}},
		{Keep: []string{"a", "missing", "b"}},
		{Keep: []string{"a", "missing"}, Set: data{"b": "3", "c": "4"}},
	} {
		_, err := st.Replace(t.Context(), at("db"), change)
		wantInvalid(t, "Replace that keeps a missing key", err, "missing")
		unharmed()
	}
	_, err := st.Replace(t.Context(), at("db"), secret.Change{Keep: []string{"A"}})
	wantInvalid(t, "Replace that keeps a key in the wrong case", err, "A")
	unharmed()
}

// Only the store knows the size of the kept values: see [secret.CheckSize].
func whatIsKeptCountsForTheSize(t T, st secret.Store) {
	half := secret.Value(strings.Repeat("x", secret.MaxValueBytes/2))
	mustCreate(t, st, at("db"), data{"kept": half, "other": "y"})
	unharmed := remember(t, st, at("db"))
	_, err := st.Replace(t.Context(), at("db"), secret.Change{Set: data{"new": half + "!"}, Keep: []string{"kept"}})
	wantInvalid(t, "Replace to more than fits", err, "")
	unharmed()

	info := mustReplace(t, st, at("db"), secret.Change{Set: data{"new": half}, Keep: []string{"kept"}})
	wantStored(t, st, info, data{"kept": half, "new": half})
}

func replaceMovesUpdated(t T, st secret.Store) {
	info := mustCreate(t, st, at("db"), data{"k": "v"})
	wantUpdatedMoves(t, info, func() secret.Info {
		return mustReplace(t, st, at("db"), secret.Change{Set: data{"k": "w"}})
	})
	wantStored(t, st, mustHead(t, st, at("db").Ref), data{"k": "w"})
}

// wantUpdatedMoves writes until the modification time differs, which takes one
// tick of the store's clock.
func wantUpdatedMoves(t T, before secret.Info, write func() secret.Info) {
	t.Helper()
	for start := time.Now(); time.Since(start) < 2*time.Second; {
		switch info := write(); {
		case info.Updated.After(before.Updated):
			wantRecent(t, "Updated", info.Updated)
			return
		case info.Updated.Before(before.Updated):
			t.Fatalf("Updated moved back from %v to %v", before.Updated, info.Updated)
		}
	}
	t.Errorf("Updated stays at %v", before.Updated)
}
