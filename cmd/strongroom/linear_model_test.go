package main_test

import (
	"fmt"
	"maps"

	"github.com/anishathalye/porcupine"
)

// A room is all that an owner has, by name: the state that operations on it
// go through one after the other, in the model that the server is held to.
type room map[string]content

type content struct {
	values      string // as nx1Detail.content; an OpenHands client sees none
	description string // Nx1 has none
	revision    string // "" from a write that nobody heard of until somebody sees it
}

// shown is what a list has of it.
func (c content) shown() string { return maskOf(c.values) + c.description }

type verb string

const (
	creating   verb = "create"
	replacing  verb = "replace"  // all values
	describing verb = "describe" // and rename
	removing   verb = "remove"
	getting    verb = "get" // without values
	revealing  verb = "reveal"
	listing    verb = "list"
)

// An operation is what a client asks for.
type operation struct {
	verb    verb
	name    string
	newName string // of describing
	content content
	ifMatch string // a revision
}

// nameAfter is what the secret is called when it is done.
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
	outdated outcome = "outdated" // is not at ifMatch
	lost     outcome = "lost"     // the server was killed first: it happened, or will never happen
)

// A reply is what came of it.
type reply struct {
	outcome  outcome
	revision string
	values   string            // of revealing; all others that show some show their masks
	list     map[string]string // what is shown, by name
}

// linear is the model: what replies there can be if operations happen one
// after the other, each at some moment between its request and its reply, and
// one whose reply was lost before the server was dead, or never.
var linear = (&porcupine.NondeterministicModel{
	Init:  func() []any { return []any{room{}} },
	Equal: func(a, b any) bool { return maps.Equal(a.(room), b.(room)) },
	Step: func(state, input, output any) []any {
		return state.(room).step(input.(operation), output.(reply))
	},
	DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v: %+v", input, output) },
}).ToModel()

// step returns the rooms there can be after an operation had this reply; none
// if it cannot have had it.
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

// after returns the room after the operation, and how it ends.
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
		// Nobody can have a revision that nobody has seen.
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

// seen holds what a reply shows of one secret against the room, which before
// the operation was another, and keeps the revision.
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
	case changes && got.revision == before[op.name].revision: // the same for another content
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

// The model's rooms do not change: these return others.

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
