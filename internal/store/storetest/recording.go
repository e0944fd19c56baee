package storetest

import "github.com/strongroom/strongroom/internal/secret"

func recording() []promise {
	return []promise{
		{name: "OutcomeOfWhatWasDoneIsOnRecord", check: outcomeOfWhatWasDoneIsOnRecord},
		{name: "OutcomeOfWhatWasRefusedIsOnRecord", check: outcomeOfWhatWasRefusedIsOnRecord},
		{name: "EventIsNotNeeded", check: eventIsNotNeeded},
		{name: "CredentialIsCheckedFirst", check: credentialIsCheckedFirst},
		{name: "DeliveryIsSpentLast", check: deliveryIsSpentLast},
	}
}

// recorded returns the op with an event for the audit log.
func recorded(op secret.Op, action secret.Action) secret.Op {
	op.Event = &secret.Event{Subject: "tester", Action: action, Ref: op.Ref, Outcome: secret.Unknown}
	return op
}

func skipUnlessRecording(t T, st secret.Store) {
	if _, ok := st.(secret.Recording); !ok {
		t.Skip("the store records no events")
	}
}

func wantOutcome(t T, call string, op secret.Op, want secret.Outcome) {
	t.Helper()
	if got := op.Event.Outcome; got != want {
		t.Errorf("%s: got outcome %q, want %q", call, got, want)
	}
	if op.Event.Ref != op.Ref || op.Event.Subject != "tester" {
		t.Errorf("%s: changed the event to one of %q on %q", call, op.Event.Subject, op.Event.Ref)
	}
}

func outcomeOfWhatWasDoneIsOnRecord(t T, st secret.Store) {
	skipUnlessRecording(t, st)
	op := recorded(at("db"), secret.Create)
	mustCreate(t, st, op, data{"k": "v"})
	wantOutcome(t, "Create", op, secret.Done)
	op = recorded(at("db"), secret.Reveal)
	mustReveal(t, st, op)
	wantOutcome(t, "Reveal", op, secret.Done)
	op = recorded(at("db"), secret.Write)
	mustReplace(t, st, op, secret.Change{Set: data{"k": "w"}})
	wantOutcome(t, "Replace", op, secret.Done)
	op = recorded(at("db"), secret.Write)
	mustDescribe(t, st, op, "renamed", "")
	wantOutcome(t, "Describe", op, secret.Done)
	op = recorded(at("renamed"), secret.Delete)
	mustDelete(t, st, op)
	wantOutcome(t, "Delete", op, secret.Done)
}

func outcomeOfWhatWasRefusedIsOnRecord(t T, st secret.Store) {
	skipUnlessRecording(t, st)
	mustCreate(t, st, at("db"), data{"k": "v"})
	mustCreate(t, st, at("taken"), nil)
	for _, c := range calls() {
		op := recorded(at("missing"), secret.Write)
		wantError(t, c.name, c.do(t, st, op), secret.ErrNotFound)
		wantOutcome(t, c.name, op, secret.NotFound)
		op = recorded(onlyIf(at("db"), "no revision"), secret.Write)
		wantError(t, c.name, c.do(t, st, op), secret.ErrChanged)
		wantOutcome(t, c.name, op, secret.Changed)
	}
	op := recorded(at("taken"), secret.Create)
	_, err := st.Create(t.Context(), op, secret.Draft{})
	wantError(t, "Create", err, secret.ErrExists)
	wantOutcome(t, "Create", op, secret.Exists)
	op = recorded(at("db"), secret.Write)
	_, err = st.Describe(t.Context(), op, "taken", "")
	wantError(t, "Describe", err, secret.ErrExists)
	wantOutcome(t, "Describe", op, secret.Exists)
	op = recorded(at("db"), secret.Write)
	_, err = st.Replace(t.Context(), op, secret.Change{Keep: []string{"missing"}})
	wantInvalid(t, "Replace", err, "missing")
	wantOutcome(t, "Replace", op, secret.Invalid)
}

func eventIsNotNeeded(t T, st secret.Store) {
	skipUnlessRecording(t, st)
	mustCreate(t, st, at("db"), nil)
	for _, c := range calls() {
		err := c.do(t, st, at("missing"))
		wantError(t, c.name, err, secret.ErrNotFound)
	}
	mustDelete(t, st, at("db"))
}

// A ticket is a credential that may have been revoked, or have no reads left. It counts
// its calls of Spend; one read can cause several.
type ticket struct {
	revoked bool
	empty   bool
	spent   int
}

func (c *ticket) Check() error {
	if c.revoked {
		return secret.ErrForbidden
	}
	return nil
}

func (c *ticket) Spend(secret.Tx) error {
	c.spent++
	if c.empty {
		return secret.ErrForbidden
	}
	return nil
}

// A caller with a revoked credential changes nothing and learns nothing, not even that a
// secret is missing.
func credentialIsCheckedFirst(t T, st secret.Store) {
	skipUnlessRecording(t, st)
	info := mustCreate(t, st, at("db"), data{"k": "v"})
	for _, name := range []string{"db", "missing"} {
		for _, c := range calls() {
			op := recorded(at(name), secret.Write)
			op.Credential = &ticket{revoked: true}
			wantError(t, c.name, c.do(t, st, op), secret.ErrForbidden)
			wantOutcome(t, c.name, op, secret.Denied)
		}
	}
	op := recorded(at("new"), secret.Create)
	op.Credential = &ticket{revoked: true}
	_, err := st.Create(t.Context(), op, secret.Draft{})
	wantError(t, "Create", err, secret.ErrForbidden)
	wantOutcome(t, "Create", op, secret.Denied)
	if now := mustHead(t, st, at("db").Ref); now.Revision != info.Revision {
		t.Errorf("a revoked credential has changed the secret")
	}
}

func deliveryIsSpentLast(t T, st secret.Store) {
	skipUnlessRecording(t, st)
	mustCreate(t, st, at("db"), data{"k": "v"})
	counted := &ticket{}
	op := recorded(at("missing"), secret.Reveal)
	op.Credential = counted
	_, _, err := st.Reveal(t.Context(), op)
	wantError(t, "Reveal of a missing secret", err, secret.ErrNotFound)
	op = recorded(at("db"), secret.Write)
	op.Credential = counted
	mustReplace(t, st, op, secret.Change{Set: data{"k": "w"}})
	if counted.spent != 0 {
		t.Errorf("%d reads were counted without a read", counted.spent)
	}
	op = recorded(at("db"), secret.Reveal)
	op.Credential = counted
	mustReveal(t, st, op)
	if counted.spent == 0 {
		t.Errorf("a read was not counted")
	}
	op = recorded(at("db"), secret.Reveal)
	op.Credential = &ticket{empty: true}
	_, values, err := st.Reveal(t.Context(), op)
	wantError(t, "Reveal beyond the last allowed read", err, secret.ErrForbidden)
	wantOutcome(t, "Reveal beyond the last allowed read", op, secret.Denied)
	if values != nil {
		t.Errorf("Reveal beyond the last allowed read returned values")
	}
}
