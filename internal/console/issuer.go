package console

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/strongroom/strongroom/internal/auth"
	"github.com/strongroom/strongroom/internal/auth/oidc"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/session"
)

// pendingCookie has the sealed sign-in while the person is at the issuer. Unlike the
// session's cookie it is sent with the navigation that comes back from there.
const pendingCookie = "__Host-strongroom-sign-in"

func pending(value string, maxAge time.Duration) *http.Cookie {
	return &http.Cookie{
		Name: pendingCookie, Value: value, Path: "/", MaxAge: int(maxAge.Seconds()),
		Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
}

// errAway means that the issuer cannot be asked. The log has it from the key set, so that
// requests without a session do not fill it.
var errAway = fmt.Errorf("the identity provider cannot be reached: %w", secret.ErrUnavailable)

// orAway returns errAway in place of another error of the issuer.
func orAway(err error) error {
	if errors.Is(err, secret.ErrUnavailable) {
		return errAway
	}
	return err
}

func (c *Console) issuer(name string) *Issuer {
	for i := range c.Issuers {
		if c.Issuers[i].Name == name {
			return &c.Issuers[i]
		}
	}
	return nil
}

// maxNext limits the length of the address after a sign-in, so that the cookie stays
// small.
const maxNext = 1000

// askIssuer sends the browser to the issuer.
func (c *Console) askIssuer(v *visit) error {
	issuer := c.issuer(v.r.PathValue("issuer"))
	if issuer == nil {
		return secret.ErrNotFound
	}
	if c.elsewhere(v.r) { // the cookie would be missing when the browser comes back
		query := v.r.URL.Query()
		query.Set(movedField, "1")
		http.Redirect(v.w, v.r, c.URL+v.r.URL.EscapedPath()+"?"+query.Encode(), http.StatusSeeOther) // #nosec G710 -- the address is in the config
		return nil
	}
	here := c.address(v.r)
	next := localAddress(v.r.URL.Query().Get("next"))
	if len(next) > maxNext {
		next = localAddress("")
	}
	attempt := oidc.NewAttempt()
	p := session.Pending{
		Strategy: issuer.Name, State: attempt.State, Nonce: attempt.Nonce, Verifier: attempt.Verifier,
		Redirect: here + "/console/signed-in/" + url.PathEscape(issuer.Name), Next: next,
	}
	to, err := issuer.Client.SignInURL(attempt, p.Redirect)
	if err != nil {
		return orAway(err)
	}
	http.SetCookie(v.w, pending(c.Sessions.Suspend(p), session.PendingLifetime))
	http.Redirect(v.w, v.r, to, http.StatusSeeOther)
	return nil
}

// movedField in the query means that the browser was redirected to the configured address.
const movedField = "moved"

// elsewhere reports whether the browser seems to be at another address than the configured
// one. After one redirect it is there, and a proxy does not pass its Host header.
func (c *Console) elsewhere(r *http.Request) bool {
	u, err := url.Parse(c.URL)
	return err == nil && c.URL != "" && u.Host != r.Host && !r.URL.Query().Has(movedField)
}

// address returns the address by which the browser reaches the server, as the issuer must
// know it. The Host header has been checked.
func (c *Console) address(r *http.Request) string {
	switch {
	case c.URL != "":
		return c.URL
	case c.TLS:
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// answered begins a session if the issuer's answer belongs to a sign-in of this browser.
// Its own failures count like those of an API key.
func (c *Console) answered(v *visit) error {
	http.SetCookie(v.w, pending("", -1))
	var p session.Pending
	draft := session.Session{Browser: cut(v.r.UserAgent(), 200)}
	err := c.Chain.Serve(v.r, v.id, func() (caller secret.Caller, err error) {
		caller, p, err = c.redeem(v, &draft)
		return caller, err
	}, func(r *http.Request) error {
		return c.begin(v, auth.Caller(r.Context()), draft, "/console/continue?"+url.Values{"next": {p.Next}}.Encode())
	})
	if refusal, ok := errors.AsType[*auth.RefusalError](err); ok {
		c.log.Info("a sign-in was refused", "request", v.id, "strategy", draft.Strategy, "reason", refusal.Reason)
	}
	if errors.Is(err, auth.ErrBadCredential) {
		return c.showSignIn(v, http.StatusUnauthorized, p.Next, "Signing in there did not work. Try again. If it fails again, the log of the server has the reason, under the request "+v.id+".")
	}
	return err
}

// redeem returns the caller of the issuer's answer, and sets strategy and tokens of the
// draft. State binds the answer to this browser; path and iss bind it to the issuer;
// nonce and verifier bind the tokens to this attempt.
func (c *Console) redeem(v *visit, draft *session.Session) (caller secret.Caller, p session.Pending, err error) {
	query := v.r.URL.Query()
	sent, err := v.r.Cookie(pendingCookie)
	if err != nil {
		return caller, p, auth.Refuse("the cookie of the sign-in is missing: this browser did not begin it, or more than 10 minutes ago")
	}
	if p, err = c.Sessions.Resume(sent.Value); err != nil {
		return caller, p, auth.Refuse("the cookie of the sign-in is older than 10 minutes, or not from this server")
	}
	draft.Strategy = p.Strategy
	issuer := c.issuer(p.Strategy)
	switch {
	case subtle.ConstantTimeCompare([]byte(query.Get("state")), []byte(p.State)) != 1 || len(query["state"]) != 1:
		return caller, p, auth.Refuse("the answer belongs to another sign-in than this browser's (state)")
	case issuer == nil || v.r.PathValue("issuer") != p.Strategy:
		return caller, p, auth.Refuse("the answer came back for another strategy than the one that was asked")
	case len(query["iss"]) > 1 || len(query["code"]) > 1:
		return caller, p, auth.Refuse("the answer has a parameter twice")
	}
	if err := issuer.Client.CheckAnswer(query.Get("iss")); err != nil {
		return caller, p, err
	}
	if c.Sessions.Answered(p) {
		return caller, p, auth.Refuse("the sign-in has already had an answer")
	}
	if query.Get("code") == "" {
		return caller, p, auth.Refuse("the issuer sent no code: %q", cut(query.Get("error"), 40))
	}
	tokens, caller, err := issuer.Client.Exchange(v.r.Context(), oidc.Attempt{State: p.State, Nonce: p.Nonce, Verifier: p.Verifier}, query.Get("code"), p.Redirect)
	draft.Tokens = session.Tokens{Issuer: issuer.Client.Issuer(), Access: tokens.Access, Refresh: tokens.Refresh, Renewed: time.Now().UTC()}
	return caller, p, orAway(err)
}

// proceed redirects to the page that was requested before the sign-in. Browsers do not
// send the session's cookie with a redirect that comes from another site, but with a
// navigation that begins at this page. The redirect to it also takes the code out of the
// history.
func (c *Console) proceed(v *visit) error {
	next := localAddress(v.r.URL.Query().Get("next"))
	return c.render(v, http.StatusOK, "continue", page{Title: "Signed in", Refresh: next, Body: next})
}

const (
	// renewAfter is the age at which tokens are renewed, so that changed roles apply.
	renewAfter = 5 * time.Minute
	// retryAfter is the time until the next attempt if the issuer cannot be asked.
	retryAfter = 30 * time.Second
)

// byTokens returns the caller of a session's tokens, which are renewed if they are old. A
// session ends when the issuer refuses that.
func (c *Console) byTokens(v *visit, issuer *Issuer) (secret.Caller, error) {
	s, ctx := v.session, v.r.Context()
	if s.Tokens.Issuer != issuer.Client.Issuer() { // another one must not get the tokens
		return secret.Caller{}, auth.ErrBadCredential
	}
	caller, err := c.identify(ctx, issuer, s)
	fresh := time.Since(s.Tokens.Renewed) < renewAfter
	if s.Tokens.Refresh == "" || errors.Is(err, secret.ErrUnavailable) || (err == nil && fresh) {
		return caller, err
	}
	works := err == nil
	s, err = c.Sessions.Renew(ctx, s, func(ctx context.Context, old session.Tokens) (session.Tokens, error) {
		now := time.Now().UTC()
		got, err := issuer.Client.Renew(ctx, old.Refresh, s.Subject)
		if works && errors.Is(err, secret.ErrUnavailable) {
			old.Renewed = now.Add(retryAfter - renewAfter)
			return old, nil
		}
		return session.Tokens{Issuer: old.Issuer, Access: got.Access, Refresh: got.Refresh, Renewed: now}, err
	})
	switch {
	case errors.Is(err, auth.ErrBadCredential):
		c.log.Info("the issuer no longer renews a session", "session", s.ID, "reason", err)
		_, endErr := c.Sessions.End(ctx, secret.Caller{Subject: s.Subject, CredentialID: s.CredentialID, Request: v.id}, func(other *session.Session) bool { return other.ID == s.ID })
		return secret.Caller{}, errors.Join(auth.ErrBadCredential, endErr)
	case errors.Is(err, session.ErrNone):
		return secret.Caller{}, auth.ErrBadCredential
	case err != nil:
		return secret.Caller{}, orAway(err)
	}
	return c.identify(ctx, issuer, s)
}

// identify returns the caller of the session's access token. The error is
// auth.ErrBadCredential or errAway.
func (c *Console) identify(ctx context.Context, issuer *Issuer, s session.Session) (secret.Caller, error) {
	caller, err := issuer.Client.Identify(ctx, s.Tokens.Access)
	if err != nil && !errors.Is(err, secret.ErrUnavailable) || err == nil && caller.Subject != s.Subject {
		return secret.Caller{}, auth.ErrBadCredential
	}
	return caller, orAway(err)
}
