// Package custom has the common part of OpenHands' APIs: a custom secret belongs to a
// user, has one value, and is the same secret in all APIs. The newer APIs also share the
// form of their errors, see [Dialect].
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

// ValueKey is the only data key of a custom secret.
const ValueKey = "value"

// Ref returns the ref of a custom secret of the caller's user.
func Ref(caller secret.Caller, name string) secret.Ref {
	return secret.Ref{Owner: secret.User(caller.User), Name: name}
}

// Data returns the data of a custom secret with this value.
func Data(value string) map[string]secret.Value {
	return map[string]secret.Value{ValueKey: secret.Value(value)}
}

// Admit refuses a write without the right to write, before its body is read. The path
// parameter secret_id names the secret, if the route has it.
func Admit(secrets *secret.Service, c echo.Context, action secret.Action) error {
	ctx, id := c.Request().Context(), fastapi.PathParam(c, "secret_id")
	caller := auth.Caller(ctx)
	if err := api.Admit(ctx, secrets, caller, action, Ref(caller, id)); err != nil {
		return About(err, id, "")
	}
	return nil
}

// Text returns the string, and an empty one for null or a missing value.
func Text(n nullable.Nullable[string]) string {
	s, _ := n.Get()
	return s
}

// An Item is a secret without its value, in the form of all these APIs.
type Item struct {
	Name        string `json:"name"`
	Description string `json:"description"`
}

// Items are the secrets of a list.
type Items []secret.Info

// AppendTo writes the items as JSON. With null, an empty description is written as null.
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

// A List is the body of a list, under the API's name for it:
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

// Done is the answer to a change:
//
//	{"message":"Secret created successfully"}
//
// Revision is the revision after the change, or empty.
type Done struct {
	Status   int
	Message  string
	Revision secret.Revision
	Warnings api.Warnings
}

// Write writes the answer.
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
	if !ok { // not stored by one of these APIs
		return Plain{}, ErrNoValue
	}
	return Plain{info.Revision, value}, nil
}

// Plain is an answer with only the bytes of a value, because clients use the whole body
// as the value.
type Plain struct {
	revision secret.Revision
	value    secret.Value
}

// Empty reports whether the value has no bytes.
func (p Plain) Empty() bool { return p.value == "" }

// Write writes the value as the answer.
func (p Plain) Write(w http.ResponseWriter) error {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(p.value)))
	server.SetETag(h, string(p.revision))
	w.WriteHeader(http.StatusOK)
	_, err := w.Write([]byte(p.value))
	return err
}
