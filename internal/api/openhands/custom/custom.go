// Package custom is what OpenHands' APIs share: a custom secret is a user's, has
// one value, and is the same secret in all of them. The newer of these APIs also
// share how they tell errors, see [Dialect].
package custom

import (
	"context"
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"
	"github.com/oapi-codegen/nullable"

	"github.com/strongroom/strongroom/internal/api"
	"github.com/strongroom/strongroom/internal/auth"
	"github.com/strongroom/strongroom/internal/fastapi"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/server"
)

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

// Admit refuses a write that the caller may not make, before its body is read. A
// secret that the path names is its parameter secret_id.
func Admit(secrets *secret.Service, c echo.Context, action secret.Action) error {
	ctx, id := c.Request().Context(), fastapi.PathParam(c, "secret_id")
	caller := auth.Caller(ctx)
	if err := api.Admit(ctx, secrets, caller, action, Ref(caller, id)); err != nil {
		return About(err, id, "")
	}
	return nil
}

// Text is the string, and nothing for null or none.
func Text(n nullable.Nullable[string]) string {
	s, _ := n.Get()
	return s
}

// An Item is a secret, as every one of these APIs shows it without its value.
type Item struct {
	Name        string `json:"name"`
	Description string `json:"description"`
}

// Items are secrets as the items of a list.
type Items []secret.Info

// AppendTo writes the items as JSON. An empty description is null if that is asked for.
func (items Items) AppendTo(t *server.Text, null bool) {
	t.Append(`[`)
	for i, info := range items {
		if i > 0 {
			t.Append(`,`)
		}
		t.Append(`{"name":`)
		t.Quote(info.Name)
		t.Append(`,"description":`)
		if null && info.Description == "" {
			t.Append(`null`)
		} else {
			t.Quote(info.Description)
		}
		t.Append(`}`)
	}
	t.Append(`]`)
}

// A List is the body of a list, under the name that the API gives it:
//
//	{"secrets":[{"name":"API_KEY","description":""}]}
type List struct {
	Name  string
	Items Items
	Null  bool // an empty description is null
}

// AppendTo writes the list as JSON.
func (l List) AppendTo(t *server.Text) {
	t.Append(`{"` + l.Name + `":`)
	l.Items.AppendTo(t, l.Null)
	t.Append(`}`)
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
	if !ok { // another client wrote it
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
