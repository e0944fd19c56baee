package main_test

import (
	"fmt"
	"maps"

	"github.com/anishathalye/porcupine"
)

// A room is the state of one owner in the model: its secrets by name.
type room map[string]content

type content struct {
	values      string // as in nx1Detail.content; OpenHands clients see no values
	description string // unused for Nx1
	revision    string // "" after an unanswered write, until an answer shows it
}

// shown returns the content as a list shows it.
func (c content) shown() string { return maskOf(c.values) + c.description }

type verb string

const (
	creating   verb = "create"
	replacing  verb = "replace"  // replace all values
	describing verb = "describe" // change the description and name
	removing   verb = "remove"
	getting    verb = "get" // read without values
	revealing  verb = "reveal"
	listing    verb = "list"
)

// An operation is a request of a client.
type operation struct {
	verb    verb
	name    string
	newName string // new name, for describing
	content content
	ifMatch string // a revision
}

// nameAfter returns the name of the secret after the operation.
func (op operation) nameAfter() string {
	if op.verb == describing {
		return op.newName
	}
	return op.name
}

type outcome string

const (
	done     outcome = "done"
	missing  outcome = "missing"
	taken    outcome = "taken"
	outdated outcome = "outdated" // the revision is not ifMatch
	lost     outcome = "lost"     // the server was killed first, so the operation has happened or never will
)

// A reply is the result of an operation.
type reply struct {
	outcome  outcome
	revision string
	values   string            // of revealing; other replies show only masks
	list     map[string]string // shown contents by name
}

// linear is the model. It accepts the replies that are possible if each
// operation happens at one moment between its request and its reply. An
// operation whose reply was lost happens at some moment before the server died,
// or never.
var linear = (&porcupine.NondeterministicModel{
	Init:  func() []any { return []any{room{}} },
	Equal: func(a, b any) bool { return maps.Equal(a.(room), b.(room)) },
	Step: func(state, input, output any) []any {
		return state.(room).step(input.(operation), output.(reply))
	},
	DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v: %+v", input, output) },
}).ToModel()

// step returns the possible rooms after an operation with this reply, and none
// if the reply is impossible.
func (r room) step(op operation, got reply) []any {
	next, want := r.after(op)
	switch {
	case got.outcome == lost:
		return []any{r, next}
	case got.outcome != want:
		return nil
	case want != done:
		return []any{r}
	case op.verb == listing && !maps.Equal(got.list, r.list()):
		return nil
	case op.verb == listing || op.verb == removing:
		return []any{next}
	}
	return next.seen(op, got, r)
}

// after returns the room after the operation, and its outcome.
func (r room) after(op operation) (room, outcome) {
	now, exists := r[op.name]
	_, inTheWay := r[op.newName]
	switch {
	case op.verb == listing:
		return r, done
	case op.verb == creating && exists:
		return r, taken
	case op.verb == creating:
		return r.with(op.name, op.content), done
	case !exists:
		return r, missing
	case op.ifMatch != "" && op.ifMatch != now.revision:
		// No client can have a revision that no answer has shown.
		return r, outdated
	case op.verb == replacing:
		return r.with(op.name, content{values: op.content.values}), done
	case op.verb == removing:
		return r.without(op.name), done
	case op.verb == describing && op.newName != op.name && inTheWay:
		return r, taken
	case op.verb == describing:
		return r.without(op.name).with(op.newName, content{values: now.values, description: op.content.description}), done
	}
	return r, done
}

// seen compares a reply about one secret with the room after the operation,
// given the room before it, and stores the revision.
func (r room) seen(op operation, got reply, before room) []any {
	now := r[op.nameAfter()]
	changes := op.verb != getting && op.verb != revealing
	switch {
	case op.verb == revealing && got.values != now.values:
		return nil
	case op.verb != revealing && op.verb != describing && got.values != maskOf(now.values):
		return nil
	case got.revision == "":
		return nil
	case changes && got.revision == before[op.name].revision: // the same revision for different content
		return nil
	case !changes && now.revision != "" && got.revision != now.revision:
		return nil
	}
	now.revision = got.revision
	return []any{r.with(op.nameAfter(), now)}
}

func (r room) list() map[string]string {
	list := map[string]string{}
	for name, c := range r {
		list[name] = c.shown()
	}
	return list
}

// Rooms are immutable: these methods return changed copies.

func (r room) with(name string, c content) room {
	next := maps.Clone(r)
	next[name] = c
	return next
}

func (r room) without(name string) room {
	next := maps.Clone(r)
	delete(next, name)
	return next
}
