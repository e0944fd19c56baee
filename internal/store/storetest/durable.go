package storetest

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/strongroom/strongroom/internal/secret"
)

func durable() []durablePromise {
	return []durablePromise{
		{"WhatWasAcknowledgedIsThereAfterReopening", whatWasAcknowledgedIsThereAfterReopening},
		{"WhatWasDeletedIsGoneAfterReopening", whatWasDeletedIsGoneAfterReopening},
		{"RevisionsGoOnAfterReopening", revisionsGoOnAfterReopening},
		{"CloseWaitsForWhatIsUnderWay", closeWaitsForWhatIsUnderWay},
	}
}

// It reopens after each step, because a later write may flush an earlier one.
func whatWasAcknowledgedIsThereAfterReopening(t T, st secret.Store, reopen func() secret.Store) {
	draft := secret.Draft{Description: "the database", Data: oddValues(), Created: time.Unix(1_000_000_000, 0)}
	for _, step := range []struct {
		do   func() secret.Info
		want data
	}{
		{func() secret.Info { return mustDraft(t, st, at("db"), draft) }, oddValues()},
		{func() secret.Info {
			return mustReplace(t, st, at("db"), secret.Change{Set: data{"new": "1"}, Keep: []string{"not-utf8"}})
		}, data{"new": "1", "not-utf8": oddValues()["not-utf8"]}},
		{func() secret.Info { return mustReplace(t, st, at("db"), secret.Change{Set: data{"k": ""}}) }, data{"k": ""}},
		{func() secret.Info { return mustDescribe(t, st, at("db"), "db", "described") }, data{"k": ""}},
		{func() secret.Info { return mustDescribe(t, st, at("db"), "é🔑", "renamed") }, data{"k": ""}},
	} {
		want := step.do()
		st = reopen()
		wantStored(t, st, want, step.want)
		wantNames(t, names(t, st, alice), want.Name)
	}
}

func whatWasDeletedIsGoneAfterReopening(t T, st secret.Store, reopen func() secret.Store) {
	for _, name := range []string{"a", "b", "c"} {
		mustCreate(t, st, at(name), data{"k": "v"})
	}
	st = reopen()
	mustDelete(t, st, at("b"))
	st = reopen()
	wantGone(t, st, at("b").Ref)
	wantNames(t, names(t, st, alice), "a", "c")
	deleteAll(t, st)
	st = reopen()
	if owners := mustOwners(t, st, secret.Page{}); len(owners) != 0 {
		t.Errorf("Owners: got %q, want none", owners)
	}
	mustCreate(t, st, at("b"), nil)
}

// A counter that restarts would issue old revisions again.
func revisionsGoOnAfterReopening(t T, st secret.Store, reopen func() secret.Store) {
	wantNew := distinct(t)
	for range 3 {
		info := mustCreate(t, st, at("db"), nil)
		wantNew("the created secret", info.Revision)
		st = reopen()
		info = mustReplace(t, st, onlyIf(at("db"), info.Revision), secret.Change{Set: data{"k": "v"}})
		wantNew("the replaced one", info.Revision)
		mustDelete(t, st, at("db"))
		st = reopen()
	}
}

// Writers run until one is refused. Every write accepted before that is there.
func closeWaitsForWhatIsUnderWay(t T, st secret.Store, reopen func() secret.Store) {
	const writers = 4
	op := func(writer, n int) secret.Op { return at(fmt.Sprintf("%d-%d", writer, n)) }
	var acknowledged [writers]int
	var stop atomic.Bool
	var started, ended sync.WaitGroup
	started.Add(writers)
	for i := range writers {
		ended.Go(func() {
			for n := 0; !stop.Load(); n++ {
				_, err := st.Create(t.Context(), op(i, n), secret.Draft{})
				if n == 0 {
					started.Done()
				}
				if err != nil {
					return
				}
				acknowledged[i]++
			}
		})
	}
	started.Wait()
	reopened := reopen()
	stop.Store(true)
	ended.Wait()
	for i, count := range acknowledged {
		for n := range count {
			mustHead(t, reopened, op(i, n).Ref)
		}
	}
}
