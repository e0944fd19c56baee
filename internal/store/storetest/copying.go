package storetest

import "github.com/strongroom/strongroom/internal/secret"

func copying() []promise {
	return []promise{
		{name: "WhatRevealReturnsIsTheCallersOwn", check: whatRevealReturnsIsTheCallersOwn},
		{name: "WhatListReturnsIsTheCallersOwn", check: whatListReturnsIsTheCallersOwn},
		{name: "ArgumentsStayTheCallersOwn", check: argumentsStayTheCallersOwn},
		{name: "ArgumentsAreLeftAsTheyWere", check: argumentsAreLeftAsTheyWere},
	}
}

func whatRevealReturnsIsTheCallersOwn(t T, st secret.Store) {
	mustCreate(t, st, at("db"), data{"k": "v", "l": "w"})
	unharmed := remember(t, st, at("db"))
	for range 2 {
		_, values := mustReveal(t, st, at("db"))
		values["k"] = "spoilt"
		values["new"] = "spoilt"
		delete(values, "l")
		unharmed()
	}
	mustReplace(t, st, at("db"), secret.Change{Keep: []string{"k", "l"}})
	_, values := mustReveal(t, st, at("db"))
	wantValues(t, at("db").Ref, values, data{"k": "v", "l": "w"})
}

func whatListReturnsIsTheCallersOwn(t T, st secret.Store) {
	mustCreate(t, st, at("a"), nil)
	mustCreate(t, st, at("b"), nil)
	unharmed := remember(t, st, at("a"), at("b"))
	infos := mustList(t, st, alice, secret.Page{})
	infos[0], infos[1].Description = infos[1], "spoilt"
	unharmed()
	mustCount(t, st, secret.Page{})[0].Owner = shop
	if got := mustOwners(t, st, secret.Page{}); len(got) != 1 || got[0] != alice {
		t.Errorf("Owners: got %q, want %q", got, alice)
	}
}

func argumentsStayTheCallersOwn(t T, st secret.Store) {
	draft := data{"k": "v"}
	mustCreate(t, st, at("db"), draft)
	draft["k"], draft["new"] = "spoilt", "spoilt"
	wantStored(t, st, mustHead(t, st, at("db").Ref), data{"k": "v"})

	change := secret.Change{Set: data{"l": "w"}, Keep: []string{"k"}}
	mustReplace(t, st, at("db"), change)
	change.Set["l"], change.Set["new"], change.Keep[0] = "spoilt", "spoilt", "spoilt"
	wantStored(t, st, mustHead(t, st, at("db").Ref), data{"k": "v", "l": "w"})
}

// A caller may use the same arguments for a second call.
func argumentsAreLeftAsTheyWere(t T, st secret.Store) {
	values := data{"b": "1", "a": "2"}
	mustCreate(t, st, at("db"), values)
	change := secret.Change{Set: values, Keep: []string{"y", "x"}}
	mustReplace(t, st, at("db"), secret.Change{Set: data{"x": "3", "y": "4"}})
	mustReplace(t, st, at("db"), change)
	wantValues(t, at("db").Ref, values, data{"b": "1", "a": "2"})
	wantNames(t, change.Keep, "y", "x")
}
