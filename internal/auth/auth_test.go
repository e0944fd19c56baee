package auth_test

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	"github.com/strongroom/strongroom/internal/auth"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/server"
)

var errBroken = errors.New("cannot ask")

// A strategy reads one header. It accepts every name, rejects "bad", and cannot check
// "broken".
type strategy struct {
	header string
	asked  *[]string
}

func (s strategy) Authenticate(r *http.Request) (secret.Caller, error) {
	*s.asked = append(*s.asked, s.header)
	switch name := r.Header.Get(s.header); name {
	case "":
		return secret.Caller{}, auth.ErrNoCredential
	case "bad":
		return secret.Caller{}, auth.ErrBadCredential
	case "broken":
		return secret.Caller{}, errBroken
	default:
		return secret.Caller{Subject: name, From: "forged", Request: "forged"}, nil
	}
}

// counted are the addresses of requests that failed.
type counted []string

func (c *counted) Failed(from string) { *c = append(*c, from) }

func TestTheFirstStrategyThatRecognizesACredentialDecides(t *testing.T) {
	for _, tc := range []struct {
		name    string
		headers []string // Name: value
		subject string
		err     error
		asked   string
	}{
		{"nothing", nil, "", auth.ErrNoCredential, "A B"},
		{"of the first", []string{"A: ann"}, "ann", nil, "A"},
		{"of the second", []string{"B: bob"}, "bob", nil, "A B"},
		{"bad for the first, which is final", []string{"A: bad"}, "", auth.ErrBadCredential, "A"},
		{"bad for the second", []string{"B: bad"}, "", auth.ErrBadCredential, "A B"},
		{"cannot be checked", []string{"A: broken"}, "", errBroken, "A"},
		{"of two kinds", []string{"A: ann", "B: bob"}, "", auth.ErrTwoCredentials, ""},
		{"good and bad", []string{"A: ann", "B: bad"}, "", auth.ErrTwoCredentials, ""},
		{"twice the same", []string{"A: ann", "A: ann"}, "", auth.ErrTwoCredentials, ""},
		{"of a kind that nobody here knows", []string{"C: carl"}, "", auth.ErrBadCredential, "A B"},
		{"of a known and an unknown kind", []string{"A: ann", "C: carl"}, "ann", nil, "A"},
		{"twice the same unknown", []string{"A: ann", "C: carl", "C: carl"}, "", auth.ErrTwoCredentials, ""},
		{"empty", []string{"A: "}, "", auth.ErrNoCredential, "A B"},
		{"empty beside one", []string{"A: ", "B: bob"}, "bob", nil, "A B"},
		{"of another scheme", []string{"Authorization: Basic YTpi"}, "", auth.ErrNoCredential, "A B"},
		{"of another scheme beside one", []string{"Authorization: Basic YTpi", "B: bob"}, "bob", nil, "A B"},
		{"a bare scheme", []string{"Authorization: Bearer "}, "", auth.ErrNoCredential, "A B"},
		{"a bare scheme beside one", []string{"Authorization: Bearer ", "B: bob"}, "bob", nil, "A B"},
		{"a token that no strategy looks for", []string{"Authorization: Bearer t"}, "", auth.ErrBadToken, "A B"},
		{"such a token beside one", []string{"Authorization: Bearer t", "B: bob"}, "bob", nil, "A B"},
		{"in a header that is none of the document's", []string{"D: dora"}, "", auth.ErrNoCredential, "A B"},
	} {
		var asked []string
		var failures counted
		chain := auth.Chain{
			Strategies: []auth.Strategy{strategy{"A", &asked}, strategy{"B", &asked}}, Failures: &failures,
			Places: []auth.Place{{Header: "A"}, {Header: "B"}},
		}
		r := httptest.NewRequest("GET", "/", http.NoBody)
		for _, h := range tc.headers {
			name, value, _ := strings.Cut(h, ": ")
			r.Header.Add(name, value)
		}
		r.RemoteAddr = "[2001:db8::1]:4711"
		var caller secret.Caller
		var err error
		called, id := false, ""
		e := server.NewEcho(func(refused error) server.Answer { err = refused; return server.Answer{Status: 401} }, nil, slog.New(slog.DiscardHandler),
			func(next echo.HandlerFunc) echo.HandlerFunc {
				return func(c echo.Context) error {
					id = c.Response().Header().Get("X-Request-Id")
					c.Response().Header().Set("X-Request-Id", "changed") // which must not reach the audit log
					return next(c)
				}
			}, auth.Require([]string{"A", "B", "C", "Authorization"}, chain))
		e.GET("/", func(c echo.Context) error {
			called, caller = true, auth.Caller(c.Request().Context())
			return nil
		})
		e.ServeHTTP(httptest.NewRecorder(), r)
		if !errors.Is(err, tc.err) || called != (tc.err == nil) || caller.Subject != tc.subject {
			t.Errorf("%s: %v, called %v for %q", tc.name, err, called, caller.Subject)
		}
		if got := strings.Join(asked, " "); got != tc.asked {
			t.Errorf("%s: it asked %q, want %q", tc.name, got, tc.asked)
		}
		want := counted{"2001:db8::1"}
		if tc.err == nil {
			want = nil
			if caller.From != "2001:db8::1" || caller.Request != id || len(id) != 26 {
				t.Errorf("%s: the caller is from %q in request %q", tc.name, caller.From, caller.Request)
			}
		}
		if !slices.Equal(failures, want) {
			t.Errorf("%s: counted %v, want %v", tc.name, failures, want)
		}
	}
}

// refusing is a strategy that refuses with an error.
type refusing struct{ err error }

func (r refusing) Authenticate(*http.Request) (secret.Caller, error) { return secret.Caller{}, r.err }

func TestRequireDropsTheReasonOfARefusal(t *testing.T) {
	for _, tc := range []struct {
		header string
		err    error
		want   error
	}{
		{"Authorization: Bearer t", auth.Refuse("it expired"), auth.ErrBadToken},
		{"A: a", auth.Refuse("it is unknown"), auth.ErrBadCredential},
		{"A: a", auth.PassOver("it is another's"), auth.ErrBadCredential},
		{"D: d", auth.PassOver("it is another's"), auth.ErrNoCredential},
	} {
		chain := auth.Chain{Strategies: []auth.Strategy{refusing{tc.err}}, Failures: &counted{}, Places: []auth.Place{{Header: "A"}, auth.BearerPlace}}
		r := httptest.NewRequest("GET", "/", http.NoBody)
		name, value, _ := strings.Cut(tc.header, ": ")
		r.Header.Set(name, value)
		err := auth.Require(nil, chain)(nil)(echo.New().NewContext(r, httptest.NewRecorder()))
		if err != tc.want { //nolint:errorlint // wrapped it would have the reason
			t.Errorf("%s: %v, want %v", tc.header, err, tc.want)
		}
	}
}

// acceptsAll is a strategy that accepts every request.
type acceptsAll struct{}

func (acceptsAll) Authenticate(*http.Request) (secret.Caller, error) {
	return secret.Caller{Subject: "nobody"}, nil
}

func TestAnonymousAccessIsForRequestsWithoutACredential(t *testing.T) {
	for header, want := range map[string]error{
		"":       nil,
		"A: ann": nil,
		"A: bad": auth.ErrBadCredential,
		"C: any": auth.ErrBadCredential, // for no strategy here
		"C: ":    auth.ErrBadCredential,
	} {
		var asked []string
		var failures counted
		chain := auth.Chain{Strategies: []auth.Strategy{strategy{"A", &asked}}, Without: acceptsAll{}, Failures: &failures}
		r := httptest.NewRequest("GET", "/", http.NoBody)
		if name, value, ok := strings.Cut(header, ": "); ok {
			r.Header.Set(name, value)
		}
		pass := func(echo.Context) error { return nil }
		err := auth.Require([]string{"A", "C"}, chain)(pass)(echo.New().NewContext(r, httptest.NewRecorder()))
		if !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", header, err, want)
		}
	}
}

func TestAContextWithoutACallerHasNoRights(t *testing.T) {
	caller := auth.Caller(t.Context())
	ref := secret.Ref{Owner: secret.User("alice"), Name: "db"}
	for _, action := range secret.Actions() {
		if caller.May(action, ref) {
			t.Errorf("may %s", action)
		}
	}
}

// A Unix socket's peers have no address with a port.
func TestAnAddressWithoutAPortIsKeptAsItIs(t *testing.T) {
	var failures counted
	chain := auth.Chain{Failures: &failures}
	r := httptest.NewRequest("GET", "/", http.NoBody)
	r.RemoteAddr = "@"
	err := auth.Require(nil, chain)(nil)(echo.New().NewContext(r, httptest.NewRecorder()))
	if !errors.Is(err, auth.ErrNoCredential) || !slices.Equal(failures, counted{"@"}) {
		t.Errorf("%v, counted %v", err, failures)
	}
}
