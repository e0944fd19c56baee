package storetest

import (
	"errors"

	"github.com/strongroom/strongroom/internal/secret"
)

func awaiting() []promise {
	return []promise{
		{name: "NothingHappensThatIsNotOnRecord", check: nothingHappensThatIsNotOnRecord},
		{name: "WhatIsOnRecordHappens", check: whatIsOnRecordHappens},
	}
}

// onRecord returns the op with an audit entry that ends with err.
func onRecord(op secret.Op, err error) secret.Op {
	op.Recorded = func() error { return err }
	return op
}

func skipUnlessAwaiting(t T, st secret.Store) {
	if _, ok := st.(secret.Awaiting); !ok {
		t.Skip("the store awaits no record")
	}
}

func creates(t T, st secret.Store, op secret.Op) error {
	_, err := st.Create(t.Context(), op, secret.Draft{Data: data{"k": "v"}})
	return err
}

func keeps(t T, st secret.Store, op secret.Op) error {
	_, err := st.Replace(t.Context(), op, secret.Change{Keep: []string{"k"}})
	return err
}

func nothingHappensThatIsNotOnRecord(t T, st secret.Store) {
	skipUnlessAwaiting(t, st)
	mustCreate(t, st, at("db"), data{"k": "v"})
	unharmed := remember(t, st, at("db"))
	unrecorded := errors.New("no audit entry")
	wantError(t, "Create", creates(t, st, onRecord(at("new"), unrecorded)), unrecorded)
	unharmed()
	for _, c := range append(calls(), call{"Replace that keeps", keeps}) {
		for _, revision := range []secret.Revision{"", mustHead(t, st, at("db").Ref).Revision} {
			wantError(t, c.name, c.do(t, st, onRecord(onlyIf(at("db"), revision), unrecorded)), unrecorded)
			unharmed()
		}
	}
}

func whatIsOnRecordHappens(t T, st secret.Store) {
	skipUnlessAwaiting(t, st)
	for _, c := range append(calls(), call{"Replace that keeps", keeps}) {
		if err := creates(t, st, onRecord(at(c.name), nil)); err != nil {
			t.Errorf("Create: %v", err)
		}
		if err := c.do(t, st, onRecord(at(c.name), nil)); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
