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
}

func (c *Console) signInPage(v *visit) error {
	return c.render(v, http.StatusOK, "sign-in", page{Title: "Sign in", Body: signInBody{Next: localAddress(v.r.URL.Query().Get("next"))}})
}

// signIn begins a session with a new token, whatever cookie the browser has sent. An API
// key counts as in a request to an API: failures are limited and audited.
func (c *Console) signIn(v *visit) error {
	if err := v.read(); err != nil {
		return err
	}
	key := strings.TrimSpace(v.values.Get("key"))
	draft := session.Session{APIKey: apikey.HashOf(key), Browser: cut(v.r.UserAgent(), 200)}
	err := c.Chain.Serve(v.r, v.id, func() (secret.Caller, error) { return c.holder(&draft, key) }, func(r *http.Request) error {
		token, _, err := c.Sessions.Begin(r.Context(), auth.Caller(r.Context()), draft)
		if err != nil {
			return err
		}
		http.SetCookie(v.w, cookie(token, 0)) // until the browser ends
		return v.goTo(localAddress(v.values.Get("next")))
	})
	if errors.Is(err, auth.ErrBadCredential) {
		return c.refuse(v, v.values.Get("next"))
	}
	return err
}

// refuse shows the sign-in page again. It does not say why the key is wrong.
func (c *Console) refuse(v *visit, next string) error {
	const text = "No API key that works here is like this one. Check that it is complete and has not been revoked."
	return c.render(v, http.StatusUnauthorized, "sign-in", page{Title: "Sign in", Body: signInBody{localAddress(next), text}})
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

// cut returns at most so many bytes of a text, as printable ASCII.
func cut(text string, most int) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, text)
	return text[:min(len(text), most)]
}
