package signin

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// callbackPath is the path of the redirect address http://127.0.0.1:PORT/callback. The provider must allow it
// with any port (RFC 8252, section 7.3).
const callbackPath = "/callback"

// Browser signs a person in with a browser. It calls open with the address, and waits for the browser until
// the context ends.
func (p *Provider) Browser(ctx context.Context, open func(address string)) (Tokens, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp4", "127.0.0.1:0")
	if err != nil {
		return Tokens{}, err
	}
	back := &callback{
		host: listener.Addr().String(), state: oauth2.GenerateVerifier(), issuer: p.client.Issuer, namesSelf: p.metadata.NamesSelf,
		answers: make(chan answer, 1),
	}
	server := &http.Server{Handler: back, ReadHeaderTimeout: 10 * time.Second, MaxHeaderBytes: 16 << 10}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	defer func() {
		// The browser gets its page even if the context has ended.
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = server.Shutdown(limit)
		_ = server.Close()
		<-served
	}()

	verifier, nonce := oauth2.GenerateVerifier(), oauth2.GenerateVerifier()
	config := p.config("http://" + back.host + callbackPath)
	open(config.AuthCodeURL(back.state, oauth2.S256ChallengeOption(verifier), oidc.Nonce(nonce)))
	var got answer
	select {
	case got = <-back.answers:
	case err := <-served:
		served <- err
		return Tokens{}, err
	case <-ctx.Done():
		return Tokens{}, fmt.Errorf("waiting for the browser: %w", context.Cause(ctx))
	}
	if got.err != nil {
		got.tell(false)
		return Tokens{}, got.err
	}
	tokens, err := p.exchange(ctx, config, got.code, verifier, nonce)
	got.tell(err == nil)
	return tokens, err
}

func (p *Provider) exchange(ctx context.Context, config *oauth2.Config, code, verifier, nonce string) (Tokens, error) {
	t, err := config.Exchange(p.context(ctx), code, oauth2.VerifierOption(verifier))
	if err != nil {
		return Tokens{}, explain("exchanging the code for tokens", err)
	}
	return p.tokens(ctx, t, nonce)
}

// An answer is the provider's, brought by the browser.
type answer struct {
	code string
	err  error
	tell func(signedIn bool) // answers the browser
}

// A callback serves the redirect address. Only a request with the state of this sign-in counts, and only the
// first; any other page or program of this machine can send requests here as well.
type callback struct {
	host      string
	state     string
	issuer    string
	namesSelf bool
	answers   chan answer
}

func (c *callback) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for name, value := range map[string]string{
		"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff",
		"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'", "Content-Type": "text/plain; charset=utf-8",
	} {
		w.Header().Set(name, value)
	}
	q := r.URL.Query()
	switch {
	case r.Method != http.MethodGet || r.URL.Path != callbackPath || r.Host != c.host:
		http.Error(w, "There is nothing here.", http.StatusNotFound)
		return
	case !same(q.Get("state"), c.state):
		http.Error(w, "This is not the answer to the sign-in that the command line waits for.", http.StatusBadRequest)
		return
	}
	told := make(chan bool, 1)
	got := answer{code: q.Get("code"), err: c.problem(q), tell: func(signedIn bool) { told <- signedIn }}
	select {
	case c.answers <- got:
	default:
		http.Error(w, "The command line has had an answer already.", http.StatusConflict)
		return
	}
	text := "The sign-in has failed. The command line says why. You can close this page.\n"
	select {
	case signedIn := <-told:
		if signedIn {
			text = "You are signed in. You can close this page.\n"
		}
	case <-r.Context().Done():
		return
	}
	_, _ = io.WriteString(w, text)
}

// problem returns the reason for which the answer has no code to use.
func (c *callback) problem(q url.Values) error {
	issuer := q.Get("iss") // RFC 9207
	switch code, reason := q.Get("error"), q.Get("error_description"); {
	case issuer != "" && issuer != c.issuer || issuer == "" && c.namesSelf:
		return errors.New("the answer is of another identity provider (iss)")
	case reason != "":
		return fmt.Errorf("the identity provider refuses: %s (%s)", clean(reason), clean(code))
	case code != "":
		return fmt.Errorf("the identity provider refuses: %s", clean(code))
	case q.Get("code") == "":
		return errors.New("the identity provider has sent no code")
	}
	return nil
}

// clean shortens a text of the provider.
func clean(text string) string {
	return strings.ToValidUTF8(text[:min(len(text), 300)], "")
}

// same compares two texts in constant time.
func same(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}
