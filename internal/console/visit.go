package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"

	"github.com/strongroom/strongroom/internal/api"
	"github.com/strongroom/strongroom/internal/auth"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/server"
	"github.com/strongroom/strongroom/internal/session"
)

// A visit is one request to the console, with its session if it has one.
type visit struct {
	w       http.ResponseWriter
	r       *http.Request
	id      string // of the request
	caller  secret.Caller
	session session.Session
	values  url.Values // the form of a POST, otherwise the query; set by read
}

// A handler answers a request, or returns an error before it has written anything.
type handler func(*visit) error

type visitKey struct{}

// public routes requests that need no session.
func (c *Console) public(pattern string, h handler) { c.route(pattern, h) }

// private routes requests that need a session.
func (c *Console) private(pattern string, h handler) {
	c.route(pattern, func(v *visit) error { return c.signedIn(v, h) })
}

// administrators routes requests that need a session of an administrator of the server.
func (c *Console) administrators(pattern string, h handler) {
	c.private(pattern, func(v *visit) error {
		if !administers(v.caller) {
			return secret.ErrForbidden
		}
		return h(v)
	})
}

func (c *Console) route(pattern string, h handler) {
	c.routes.HandleFunc(pattern, func(_ http.ResponseWriter, r *http.Request) {
		v := r.Context().Value(visitKey{}).(*visit)
		v.r = r
		if err := h(v); err != nil {
			c.fail(v, err)
		}
	})
}

// dispatch calls the handler of the route. A panic is logged without its argument, which
// could hold a value.
func (c *Console) dispatch(v *visit) {
	defer func() {
		if p := recover(); p != nil {
			if p == http.ErrAbortHandler {
				panic(p)
			}
			c.fail(v, fmt.Errorf("panic of type %T at %s", p, debug.Stack()))
		}
	}()
	c.routes.ServeHTTP(v.w, v.r.WithContext(context.WithValue(v.r.Context(), visitKey{}, v)))
}

// cookieName has the prefix that makes browsers refuse the cookie unless this host itself
// has set it, over HTTPS or on loopback.
const cookieName = "__Host-strongroom"

func cookie(value string, maxAge int) *http.Cookie {
	return &http.Cookie{
		Name: cookieName, Value: value, Path: "/", MaxAge: maxAge,
		Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode,
	}
}

// errSignedOut means that the request has no session.
var errSignedOut = errors.New("not signed in")

// signedIn calls the handler if the request has a session, within the limits of its
// caller.
func (c *Console) signedIn(v *visit, h handler) error {
	sent, err := v.r.Cookie(cookieName)
	if err != nil {
		return errSignedOut
	}
	err = c.Chain.Serve(v.r, v.id, func() (secret.Caller, error) { return c.callerOf(v, sent.Value) }, func(r *http.Request) error {
		v.r, v.caller = r, auth.Caller(r.Context())
		if err := v.read(); err != nil {
			return err
		}
		return h(v)
	})
	if errors.Is(err, auth.ErrBadCredential) {
		http.SetCookie(v.w, cookie("", -1))
		return errSignedOut
	}
	return err
}

// callerOf returns the caller of the session with this token. The strategies are asked
// each time, so that a session has the rights that its API key or its tokens give now,
// and ends with them.
func (c *Console) callerOf(v *visit, token string) (caller secret.Caller, err error) {
	v.session, err = c.Sessions.Find(v.r.Context(), token)
	if errors.Is(err, session.ErrNone) {
		return caller, auth.ErrBadCredential
	}
	if err != nil {
		return caller, err
	}
	for _, keys := range c.APIKeys {
		if keys.Name == v.session.Strategy {
			if caller, ok := keys.Strategy.Holder(v.session.APIKey); ok {
				return caller, nil
			}
		}
	}
	if issuer := c.issuer(v.session.Strategy); issuer != nil {
		return c.byTokens(v, issuer)
	}
	return caller, auth.ErrBadCredential
}

// byScript reports whether the console's script sent the request. Then answers are JSON.
func (v *visit) byScript() bool { return v.r.Header.Get("Accept") == "application/json" }

// goTo ends a change: the browser shows the page at this address.
func (v *visit) goTo(address string) error {
	if v.byScript() {
		return server.WriteJSON(v.w, http.StatusOK, map[string]string{"to": address})
	}
	http.Redirect(v.w, v.r, address, http.StatusSeeOther) // #nosec G710 -- callers pass constants or the result of localAddress
	return nil
}

// A conflict is a change that was refused because the secret has changed meanwhile.
type conflict struct {
	Now  secret.Info
	Text string // how it has changed
}

func (*conflict) Error() string { return "changed by another request" }

// Unwrap returns ErrChanged.
func (*conflict) Unwrap() error { return secret.ErrChanged }

// A problem is the answer to an error for the script.
type problem struct {
	Error string `json:"error"`
	// Revision is the secret's current one after a conflict, for another attempt.
	Revision string `json:"revision,omitempty"`
}

// fail answers an error. The text of an internal error goes only to the log.
func (c *Console) fail(v *visit, err error) {
	if errors.Is(err, errSignedOut) {
		c.askToSignIn(v)
		return
	}
	p, away := api.Classify(err), errors.Is(err, errAway)
	if p.Status >= http.StatusInternalServerError && !away && v.r.Context().Err() == nil {
		c.log.Error("request failed", "request", v.id, "method", v.r.Method, "route", v.r.Pattern, "status", p.Status, "error", err)
	}
	for name, values := range p.Header {
		v.w.Header()[name] = values
	}
	says := problem{Error: explain(p)}
	if away {
		says.Error = "The identity provider cannot be reached at the moment. Try again."
	}
	if changed, ok := errors.AsType[*conflict](err); ok {
		says = problem{changed.Text, string(changed.Now.Revision)}
	}
	if v.byScript() {
		_ = server.WriteJSON(v.w, p.Status, says)
		return
	}
	_ = c.render(v, p.Status, "problem", page{Title: title(p.Status), Body: says.Error})
}

func title(status int) string {
	if status == http.StatusNotFound {
		return "Not found"
	}
	return "That did not work"
}

// texts are the errors that a person can do something about.
var texts = map[api.Kind]string{
	api.NotFound:        "There is no such secret, or you may not see it.",
	api.Forbidden:       "You are not allowed to do that. An administrator can show you the rule that decides, with strongroom explain.",
	api.Exists:          "There is already a secret of that name. Choose another name, or edit the existing one.",
	api.Changed:         "The secret has changed since you opened this page. Reload it.",
	api.TooManyRequests: "Too many requests. Try again later.",
	api.Full:            "The disk of the server is full. Nothing was changed.",
	api.Unavailable:     "The store cannot be reached at the moment. Try again.",
	api.TooLarge:        "That is too large: the values of a secret may have 1 MiB together.",
}

func explain(p api.Problem) string {
	if text, ok := texts[p.Kind]; ok {
		return text
	}
	return p.Text + "."
}

func (c *Console) notFound(v *visit) error {
	c.recognize(v)
	return c.render(v, http.StatusNotFound, "problem", page{Title: title(http.StatusNotFound), Body: "There is no such page."})
}

// askToSignIn sends the browser to the sign-in page, which returns to this page.
func (c *Console) askToSignIn(v *visit) {
	to := "/console/sign-in"
	if v.r.Method == http.MethodGet && v.r.URL.Path != "/console" {
		to += "?next=" + url.QueryEscape(v.r.URL.RequestURI())
	}
	if v.byScript() {
		_ = server.WriteJSON(v.w, http.StatusUnauthorized, map[string]string{"to": to})
		return
	}
	http.Redirect(v.w, v.r, to, http.StatusSeeOther)
}

// localAddress returns the address if it is a page of the console, else the first page:
// a link to the sign-in page must not lead elsewhere.
func localAddress(address string) string {
	const first = "/console"
	u, err := url.Parse(address)
	ours := err == nil && u.Scheme == "" && u.Host == "" && u.User == nil && u.Opaque == "" &&
		(u.Path == first || strings.HasPrefix(u.Path, first+"/")) && !strings.ContainsAny(address, "\\\t\r\n") && !strings.Contains(u.Path, "..")
	if !ours {
		return first
	}
	return u.RequestURI()
}

// signInBytes limits the form of a sign-in, which needs no session.
const signInBytes = 8 << 10

// read sets the values. It reserves memory for a form in the caller's budget.
func (v *visit) read() error {
	if v.r.Method != http.MethodPost {
		v.values = v.r.URL.Query()
		return nil
	}
	most := int64(api.MaxBody)
	if v.session.ID == "" {
		most = signInBytes
	}
	if v.r.ContentLength < 0 || v.r.ContentLength > most {
		return &secret.InvalidError{Field: "form", Reason: "is too large"}
	}
	if err := v.caller.Hold(2 * int(v.r.ContentLength)); err != nil {
		return err
	}
	v.r.Body = http.MaxBytesReader(v.w, v.r.Body, most)
	if err := v.r.ParseForm(); err != nil {
		return &secret.InvalidError{Field: "form", Reason: "cannot be read"}
	}
	v.values = v.r.PostForm
	return nil
}
