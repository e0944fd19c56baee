// Package api has the common parts of all APIs: middleware, classes of errors, warnings.
// The operations of each API are in a package below this one.
package api

import (
	"context"
	"log/slog"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/strongroom/strongroom/internal/auth"
	"github.com/strongroom/strongroom/internal/fastapi"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/server"
)

// MaxBody bounds the body of a request to any API, in bytes: a secret's values may take
// 1 MiB, and JSON can double most texts.
const MaxBody = 4 << 20

// A Spec has the parts in which one API differs from the others.
type Spec struct {
	Document []byte                    // merged, in JSON
	Answer   func(error) server.Answer // errors in the API's own words
	Register func(*echo.Echo)          // adds the routes of the generated code
	Rules    fastapi.Rules             // checks of bodies beyond the document

	// Admit refuses a request without the necessary right before its body is read. Nil
	// admits every request.
	Admit func(echo.Context) error
}

// Rule turns a check into a rule. The check returns an InvalidError.
func Rule(check func(text string) error) fastapi.Rule {
	return func(_ *http.Request, text string) string { return reason(check(text)) }
}

// RuleForNew is Rule for a new name. It accepts the name at the end of the path, which
// stays unchanged.
func RuleForNew(check func(name string) error) fastapi.Rule {
	return func(r *http.Request, name string) string {
		if strings.HasSuffix(r.URL.Path, "/"+name) {
			return ""
		}
		return reason(check(name))
	}
}

func reason(err error) string {
	if invalid := secret.InvalidErrors(err); len(invalid) > 0 {
		return invalid[0].Reason
	}
	return ""
}

// New returns the API for callers that the chain authenticates. A request is admitted,
// then validated by the document, and then decoded by the generated code. New returns an
// error if the document is invalid or lacks a route.
func (s Spec) New(chain auth.Chain, log *slog.Logger) (http.Handler, error) {
	doc, err := fastapi.Load(s.Document)
	if err != nil {
		return nil, err
	}
	if err := doc.Apply(s.Rules); err != nil {
		return nil, err
	}
	bounds := fastapi.Bounds{MaxBody: MaxBody, Admit: s.Admit, Hold: hold}
	watch := server.NewWatch(chain.Requests)
	e := server.NewEcho(s.challenging(chain.Schemes), watch, log,
		auth.Require(doc.CredentialHeaders(), chain), doc.Check(bounds))
	e.Binder = fastapi.Binder{}
	s.Register(e)
	watch.Routes(e.Routes(), doc.OperationID)
	return e, doc.Covers(e.Routes())
}

// hold reserves memory for the request in the caller's budget.
func hold(ctx context.Context, bytes int) error { return auth.Caller(ctx).Hold(bytes) }

// Admit returns nil if the caller has the right to the action on the secret or, for a ref
// without a name, on some of the owner's secrets. Otherwise it returns the same error as
// the operation itself, and audits the attempt. It is for [Spec].Admit.
func Admit(ctx context.Context, secrets *secret.Service, caller secret.Caller, action secret.Action, ref secret.Ref) error {
	if caller.May(action, ref) {
		return nil
	}
	return secrets.Refuse(ctx, caller, action, ref, secret.ErrForbidden)
}

// challenging returns the function that answers errors. To a 401 or 403 it adds
// challenges for the schemes.
func (s Spec) challenging(schemes []auth.Scheme) func(error) server.Answer {
	return func(err error) server.Answer {
		a := s.Answer(err)
		if a.Status == http.StatusUnauthorized || a.Status == http.StatusForbidden {
			a.Header = auth.Challenge(schemes, a.Status, err)
		}
		return a
	}
}
