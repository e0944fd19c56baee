// Package custom is what OpenHands' APIs share: a custom secret is a user's, has
// one value, and is the same secret in all of them. The newer of these APIs also
// share how they tell errors, see [Dialect].
package custom

import (
	"context"
	"net/http"
	"strconv"

	"github.com/oapi-codegen/nullable"

	"github.com/strongroom/strongroom/internal/api"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/server"
)

// MaxBody bounds a request's body in bytes.
const MaxBody = 4 << 20

// ValueKey is the one key of a custom secret's data.
const ValueKey = "value"

// Ref points to a custom secret of the caller's user.
func Ref(caller secret.Caller, name string) secret.Ref {
	return secret.Ref{Owner: secret.User(caller.User), Name: name}
}

// Data is that of a custom secret with the value.
func Data(value string) map[string]secret.Value {
	return map[string]secret.Value{ValueKey: secret.Value(value)}
}

// Text is the string, and nothing for null or none.
func Text(n nullable.Nullable[string]) string {
	s, _ := n.Get()
	return s
}

// An Item is a secret in a list, as every one of these APIs shows it.
type Item struct {
	Name        string `json:"name"`
	Description string `json:"description"`
}

// Items are those of the secrets.
func Items(infos []secret.Info) []Item {
	items := make([]Item, len(infos))
	for i, info := range infos {
		items[i] = Item{info.Name, info.Description}
	}
	return items
}

// Done says that a change was made:
//
//	{"message":"Secret created successfully"}
//
// Revision is the one that the change made, empty if there is none.
type Done struct {
	Status   int
	Message  string
	Revision secret.Revision
	Warnings api.Warnings
}

// Write answers with it.
func (d Done) Write(w http.ResponseWriter) error {
	d.Warnings.Set(w.Header())
	if d.Revision != "" {
		server.SetETag(w.Header(), string(d.Revision))
	}
	return server.WriteJSON(w, d.Status, struct {
		Message string `json:"message"`
	}{d.Message})
}

// Reveal returns the value of the caller's secret of this name.
func Reveal(ctx context.Context, secrets *secret.Service, caller secret.Caller, name string) (Plain, error) {
	info, data, err := secrets.Reveal(ctx, caller, Ref(caller, name))
	if err != nil {
		return Plain{}, err
	}
	value, ok := data[ValueKey]
	if !ok { // somebody else wrote it
		return Plain{}, ErrNoValue
	}
	return Plain{info.Revision, value}, nil
}

// Plain is a value as an answer: its bytes and nothing else, since clients take
// the whole body for the value.
type Plain struct {
	revision secret.Revision
	value    secret.Value
}

// Empty reports whether the value has no bytes.
func (p Plain) Empty() bool { return p.value == "" }

// Write answers with the value.
func (p Plain) Write(w http.ResponseWriter) error {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(p.value)))
	server.SetETag(h, string(p.revision))
	w.WriteHeader(http.StatusOK)
	_, err := w.Write([]byte(p.value))
	return err
}
