package main_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/anishathalye/porcupine"
)

// Each impossible history differs in one reply from a possible one.
func TestModelAcceptsOnlyPossibleHistories(t *testing.T) {
	a, b := content{values: "k=a\n"}, content{values: "k=b\n"}
	var (
		create     = operation{verb: creating, name: "n", content: a}
		replace    = operation{verb: replacing, name: "n", content: b}
		replaceAt1 = operation{verb: replacing, name: "n", content: b, ifMatch: "1"}
		remove     = operation{verb: removing, name: "n"}
		reveal     = operation{verb: revealing, name: "n"}
		get        = operation{verb: getting, name: "n"}
		list       = operation{verb: listing}
		rename     = operation{verb: describing, name: "n", newName: "m", content: content{description: "d"}}
	)
	written := func(revision string) reply { return reply{outcome: done, revision: revision, values: "k=****\n"} }
	saw := func(c content, revision string) reply {
		return reply{outcome: done, revision: revision, values: c.values}
	}
	listed := func(list map[string]string) reply { return reply{outcome: done, list: list} }
	is := func(o outcome) reply { return reply{outcome: o} }
	created := turn{create, written("1")}
	for _, tc := range []struct {
		name        string
		history     []turn
		last        operation
		may, mayNot reply
	}{
		{"an acknowledged write is visible", []turn{created}, reveal, saw(a, "1"), is(missing)},
		{"replaced values are gone", []turn{created, {replace, written("2")}}, reveal, saw(b, "2"), saw(a, "1")},
		{"a removed secret is gone", []turn{created, {remove, is(done)}}, get, is(missing), written("1")},
		{"a list has the secret", []turn{created}, list, listed(map[string]string{"n": "k=****\n"}), listed(map[string]string{})},
		{"a rename has one name", []turn{created, {rename, reply{outcome: done, revision: "2"}}}, list, listed(map[string]string{"m": "k=****\nd"}), listed(map[string]string{"m": "k=****\nd", "n": "k=****\n"})},
		{"a name is taken once", []turn{created}, create, is(taken), written("2")},
		{"no update is lost", []turn{created, {replaceAt1, written("2")}}, replaceAt1, is(outdated), written("3")},
		{"a revision is of one content", []turn{created}, replace, written("2"), written("1")},
		{"an unanswered write may have happened", []turn{created, {replace, is(lost)}}, reveal, saw(b, "2"), saw(content{values: "k=c\n"}, "2")},
		{"an unanswered write may not have happened", []turn{created, {replace, is(lost)}}, reveal, saw(a, "1"), saw(a, "2")},
		{"an unanswered write seen as missing never happens", []turn{created, {replace, is(lost)}, {reveal, saw(a, "1")}}, reveal, saw(a, "1"), saw(b, "2")},
		{"an unanswered write that was seen stays", []turn{created, {replace, is(lost)}, {reveal, saw(b, "2")}}, reveal, saw(b, "2"), saw(a, "1")},
		{"the revision of an unanswered write matches no other", []turn{created, {replace, is(lost)}, {get, written("2")}}, replaceAt1, is(outdated), written("3")},
	} {
		history := append(slices.Clone(tc.history), turn{tc.last, tc.may})
		if !porcupine.CheckOperations(linear, oneAfterTheOther(history)) {
			t.Errorf("%s: %+v is rejected", tc.name, tc.may)
		}
		history[len(history)-1].reply = tc.mayNot
		if porcupine.CheckOperations(linear, oneAfterTheOther(history)) {
			t.Errorf("%s: %+v is accepted", tc.name, tc.mayNot)
		}
	}
}

// Of two concurrent operations, either may be first.
func TestModelAllowsAnyOrderOfConcurrentOperations(t *testing.T) {
	a, b := content{values: "k=a\n"}, content{values: "k=b\n"}
	history := oneAfterTheOther([]turn{
		{operation{verb: creating, name: "n", content: a}, reply{outcome: done, revision: "1", values: "k=****\n"}},
		{operation{verb: replacing, name: "n", content: b}, reply{outcome: done, revision: "2", values: "k=****\n"}},
		{operation{verb: revealing, name: "n"}, reply{outcome: done, revision: "1", values: a.values}},
	})
	if porcupine.CheckOperations(linear, history) {
		t.Error("the model accepts a read that misses an acknowledged write")
	}
	history[1].Return = history[2].Return
	if !porcupine.CheckOperations(linear, history) {
		t.Error("the model rejects a read that misses a concurrent write")
	}
}

type turn struct {
	operation
	reply
}

func oneAfterTheOther(steps []turn) (history []porcupine.Operation) {
	for i, s := range steps {
		history = append(history, porcupine.Operation{Input: s.operation, Output: s.reply, Call: int64(2 * i), Return: int64(2*i + 1)})
	}
	return history
}

// checkThatDamageIsDetected damages the histories that were just accepted, and checks
// that the model rejects them.
func checkThatDamageIsDetected(t *testing.T, tenants []*tenant) {
	t.Helper()
	for _, spoil := range []struct {
		name string
		how  func([]porcupine.Operation) []porcupine.Operation
	}{
		{"a list without one of its names", dropFromAList},
		{"a value from nowhere", dropAWrite},
	} {
		spoiled := 0
		for _, n := range tenants {
			history := spoil.how(append([]porcupine.Operation{}, n.history...))
			if history == nil {
				continue // the history has no such operation
			}
			spoiled++
			if got := porcupine.CheckOperationsTimeout(linear, history, checking); got != porcupine.Illegal {
				t.Errorf("%s: with %s the result is %s, want %s", n.name, spoil.name, got, porcupine.Illegal)
			}
		}
		if spoiled == 0 {
			t.Errorf("no history could be damaged with %s", spoil.name)
		}
	}
}

// dropFromAList removes a name from the last list. That list is an auditor's: its first
// list has the name, and no player wrote in between.
func dropFromAList(history []porcupine.Operation) []porcupine.Operation {
	last := &history[len(history)-1]
	got := last.Output.(reply)
	for name := range got.list {
		got.list = maps.Clone(got.list)
		delete(got.list, name)
		last.Output = got
		return history
	}
	return nil
}

// dropAWrite removes the write of a value that was revealed.
func dropAWrite(history []porcupine.Operation) []porcupine.Operation {
	revealed := map[string]bool{}
	for _, op := range history {
		if op.Input.(operation).verb == revealing {
			revealed[op.Output.(reply).values] = true
		}
	}
	for i, op := range history {
		if written := op.Input.(operation).content.values; written != "" && revealed[written] {
			return append(history[:i], history[i+1:]...)
		}
	}
	return nil
}
