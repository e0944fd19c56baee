package console

import (
	"errors"
	"net/http"
	"strings"

	"github.com/strongroom/strongroom/internal/auth"
	"github.com/strongroom/strongroom/internal/auth/apikey"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/session"
)

// A signInBody is shown on the sign-in page.
type signInBody struct {
	Next    string
	Problem string
	Issuers []Issuer
	APIKeys bool // can sign in
}

func (c *Console) signInPage(v *visit) error {
	return c.showSignIn(v, http.StatusOK, v.r.URL.Query().Get("next"), "")
}

func (c *Console) showSignIn(v *visit, status int, next, problem string) error {
	body := signInBody{localAddress(next), problem, c.Issuers, len(c.APIKeys) > 0}
	return c.render(v, status, "sign-in", page{Title: "Sign in", Body: body})
}

// signIn begins a session with a new token. It ignores the cookie that the browser has
// sent. An API key counts as in a request to an API: failures are limited and audited.
func (c *Console) signIn(v *visit) error {
	if err := v.read(); err != nil {
		return err
	}
	key := strings.TrimSpace(v.values.Get("key"))
	draft := session.Session{APIKey: apikey.HashOf(key), Browser: cut(v.r.UserAgent(), 200)}
	err := c.Chain.Serve(v.r, v.id, func() (secret.Caller, error) { return c.holder(&draft, key) }, func(r *http.Request) error {
		return c.begin(v, auth.Caller(r.Context()), draft, localAddress(v.values.Get("next")))
	})
	if errors.Is(err, auth.ErrBadCredential) { // the page does not say why the key is wrong
		const text = "No API key that works here is like this one. Check that it is complete and has not been revoked."
		return c.showSignIn(v, http.StatusUnauthorized, v.values.Get("next"), text)
	}
	return err
}

// begin begins a session of the caller and goes to the address.
func (c *Console) begin(v *visit, caller secret.Caller, draft session.Session, to string) error {
	token, _, err := c.Sessions.Begin(v.r.Context(), caller, draft)
	if err != nil {
		return err
	}
	http.SetCookie(v.w, cookie(token, 0)) // until the browser ends
	return v.goTo(to)
}

// holder returns the caller of an API key, and sets the strategy that knows it.
func (c *Console) holder(draft *session.Session, key string) (secret.Caller, error) {
	if key != "" {
		for _, keys := range c.APIKeys {
			if caller, ok := keys.Strategy.Holder(draft.APIKey); ok {
				draft.Strategy = keys.Name
				return caller, nil
			}
		}
	}
	return secret.Caller{}, auth.ErrBadCredential
}

// signOut ends this session, or all sessions of the same API key.
func (c *Console) signOut(v *visit) error {
	everywhere := v.values.Get("everywhere") != ""
	_, err := c.Sessions.End(v.r.Context(), v.caller, func(s *session.Session) bool {
		return s.ID == v.session.ID || (everywhere && s.Same(&v.session))
	})
	if err != nil {
		return err
	}
	http.SetCookie(v.w, cookie("", -1))
	v.w.Header().Set("Clear-Site-Data", `"cache"`) // pages that the back button would show
	return v.goTo("/console/sign-in")
}

// A sessionsBody lists the sessions that the caller may end.
type sessionsBody struct {
	Sessions []session.Session
	This     string
	All      bool // of all callers
}

// sessionsPage lists the sessions of this API key, and to an administrator all.
func (c *Console) sessionsPage(v *visit) error {
	all, err := c.Sessions.List()
	if err != nil {
		return err
	}
	body := sessionsBody{This: v.session.ID, All: administers(v.caller)}
	for _, s := range all {
		if body.All || s.Same(&v.session) {
			body.Sessions = append(body.Sessions, s)
		}
	}
	return c.render(v, http.StatusOK, "sessions", page{Title: "Sessions", Nav: "sessions", Body: body})
}

// administers reports whether the caller is an administrator of the whole server.
func administers(caller secret.Caller) bool {
	return caller.May(secret.Admin, secret.Ref{Owner: secret.User(secret.AnyID)}) && caller.May(secret.Admin, secret.Ref{Owner: secret.App(secret.AnyID)})
}

func (c *Console) endSession(v *visit) error {
	id := v.values.Get("id")
	ended, err := c.Sessions.End(v.r.Context(), v.caller, func(s *session.Session) bool {
		return s.ID == id && (administers(v.caller) || s.Same(&v.session))
	})
	switch {
	case err != nil:
		return err
	case len(ended) == 0:
		return secret.ErrNotFound
	case id == v.session.ID:
		http.SetCookie(v.w, cookie("", -1))
		return v.goTo("/console/sign-in")
	}
	return v.goTo("/console/sessions")
}

// cut returns a text of printable ASCII, shortened to a number of bytes.
func cut(text string, most int) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, text)
	return text[:min(len(text), most)]
}
