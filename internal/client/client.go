// Package client is a client of a Strongroom server: it speaks the published APIs
// over HTTP with a user's credential, as the client commands do. It has no access to a
// server's config or state.
//
// Start reading at [Secrets], which is the same for custom secrets of OpenHands and
// app secrets of Nx1. [Profiles] and [Keeper] hold what login stores.
package client

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/strongroom/strongroom/internal/secret"
)

// ValueKey is the data key of a secret of one value.
const ValueKey = "value"

// An Entry is a secret without its values.
type Entry struct {
	Name        string   `json:"name"`
	Keys        []string `json:"keys"` // sorted
	Description string   `json:"description,omitempty"`
	Created     string   `json:"created,omitempty"` // RFC 3339, if the API tells it
}

// A Secret is a secret with its values.
type Secret struct {
	Name        string
	Description string // custom secrets only
	Data        map[string]secret.Value
	Revision    string // the ETag; empty if it is new
}

// Secrets are the secrets of one owner on one server. All methods return an
// [AnswerError] if the server refuses.
type Secrets interface {
	// List returns the secrets that the caller may list, in order of name.
	List(context.Context) ([]Entry, error)
	// Reveal returns a secret with its values, which takes the right to reveal.
	Reveal(ctx context.Context, name string) (Secret, error)
	// Create adds a secret and returns the server's warnings about its values. A name that is taken is
	// secret.ErrExists.
	Create(context.Context, Secret) (warnings []string, err error)
	// Replace replaces all values of a secret that still has the revision; otherwise the error is
	// secret.ErrChanged.
	Replace(context.Context, Secret) (warnings []string, err error)
	// Delete removes a secret, if it still has the revision or the revision is empty.
	Delete(ctx context.Context, name, revision string) error
	// Rename changes the name. It is not atomic for app secrets: after an error both names may exist.
	Rename(ctx context.Context, from, to string) error
	// Changed returns the current revision of the secret. Values are read only if it differs from the known
	// one.
	Changed(ctx context.Context, name, known string) (revision string, err error)
}

// A Server is where to find a server, and the credential to use.
type Server struct {
	URL        string
	CAFile     string // PEM certificates to trust instead of the system's; may be empty
	Credential Credential
	Agent      string // User-Agent of the requests
	// Renew returns the credential with a new token, or the error that ends the requests. It is called when
	// the token is about to expire; nil if there is nothing to renew.
	Renew func(context.Context) (Credential, error)
}

// timeout is the longest time that one request may take. The server's own limit is 90 s.
const timeout = 100 * time.Second

// A Client sends requests to one server. It is safe for concurrent use.
type Client struct {
	base  string
	agent string
	renew func(context.Context) (Credential, error)
	http  *http.Client

	mu         sync.Mutex // guards the field below; held during a renewal
	credential Credential
}

// New returns a client of the server. It refuses a URL that would send the credential unencrypted over
// a network.
func New(s Server) (*Client, error) {
	base, err := CheckURL(s.URL)
	if err != nil {
		return nil, err
	}
	connections, err := httpClient(x509.NewCertPool(), s.CAFile)
	return &Client{base: base, credential: s.Credential, agent: s.Agent, renew: s.Renew, http: connections}, err
}

// httpClient trusts the pool and the certificates of the file. Without a file it trusts the system's
// certificates.
func httpClient(pool *x509.CertPool, caFile string) (*http.Client, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	transport.MaxIdleConnsPerHost = parallel
	if caFile != "" {
		pem, err := os.ReadFile(caFile)
		if err != nil {
			return nil, err
		}
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s has no PEM certificate", caFile)
		}
		transport.TLSClientConfig.RootCAs = pool
	}
	return &http.Client{
		Transport: transport, Timeout: timeout,
		// A redirect would send the credential to another place.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// CheckURL returns the URL of a server without a trailing slash.
func CheckURL(text string) (string, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", errors.New("want the URL of a server, as in https://strongroom.example")
	}
	switch {
	case u.Scheme == "https":
	case u.Scheme == "http" && isLoopback(u.Hostname()):
	case u.Scheme == "http":
		return "", errors.New("http would send the credential unencrypted: use https (http is for 127.0.0.1 only)")
	default:
		return "", errors.New("the URL must begin with https://")
	}
	return strings.TrimRight(u.String(), "/"), nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Secrets returns the secrets of an owner. The owner of custom secrets is always the user of the credential.
func (c *Client) Secrets(owner secret.Owner) (Secrets, error) {
	if owner.Kind == secret.KindApp {
		return newApp(c, owner.ID)
	}
	return newCustom(c)
}

// get sends a request that no generated client has, and reads at most this many bytes of the answer. sign adds
// the credential; if it is nil, the request has none.
func (c *Client) get(ctx context.Context, path string, most int64, sign func(context.Context, *http.Request) error) (status int, body []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+path, http.NoBody)
	if err != nil {
		return 0, nil, err
	}
	c.identify(req)
	if sign != nil {
		if err := sign(ctx, req); err != nil {
			return 0, nil, err
		}
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, nil, unanswered(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err = io.ReadAll(io.LimitReader(resp.Body, most))
	if err != nil {
		return 0, nil, unanswered(err)
	}
	return resp.StatusCode, body, nil
}

// identify adds the User-Agent to a request.
func (c *Client) identify(req *http.Request) {
	if c.agent != "" {
		req.Header.Set("User-Agent", c.agent)
	}
}

// sign adds the credential to a request.
func (c *Client) sign(kind string) func(context.Context, *http.Request) error {
	return func(ctx context.Context, req *http.Request) error {
		c.identify(req)
		credential, err := c.current(ctx)
		if err != nil {
			return err
		}
		name, value, err := credential.header(kind)
		if err == nil {
			req.Header.Set(name, value)
		}
		return err
	}
}

// current returns the credential, with a token that is valid for a while.
func (c *Client) current(ctx context.Context) (Credential, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.renew == nil || !c.credential.ending() {
		return c.credential, nil
	}
	renewed, err := c.renew(ctx)
	if err == nil {
		c.credential = renewed
	}
	return renewed, err
}

// An AnswerError is an answer that is not a success. It wraps secret.ErrNotFound, ErrForbidden, ErrExists or
// ErrChanged if it means one of them.
type AnswerError struct {
	Status int
	Text   string // from the server
	means  error
}

func (e *AnswerError) Error() string { return e.Text }
func (e *AnswerError) Unwrap() error { return e.means }

// ErrCredential means that the server does not accept the credential.
var ErrCredential = errors.New("the server does not accept this credential")

var meanings = map[int]error{
	http.StatusUnauthorized: ErrCredential, http.StatusForbidden: secret.ErrForbidden, http.StatusNotFound: secret.ErrNotFound,
	http.StatusConflict: secret.ErrExists, http.StatusPreconditionFailed: secret.ErrChanged,
}

// An answer is any response of the generated clients.
type answer interface {
	StatusCode() int
	GetBody() []byte
}

// refusal returns err without the address of the request, or the error that the answer has.
func refusal(a answer, err error) error {
	if err != nil {
		return unanswered(err)
	}
	status := a.StatusCode()
	if status < http.StatusMultipleChoices || status == http.StatusNotModified {
		return nil
	}
	text := textOf(a.GetBody())
	switch {
	case status == http.StatusUnauthorized:
		text = "the server does not accept this credential: strongroom login again"
	case status < http.StatusBadRequest:
		text = "the server redirects elsewhere, which this client does not follow: use the final URL"
	case text == "":
		text = fmt.Sprintf("the server has answered %d %s", status, http.StatusText(status))
	}
	return &AnswerError{status, text, meanings[status]}
}

// An AwayError means that the server did not answer.
type AwayError struct{ reason error }

func (e *AwayError) Error() string { return "the server does not answer: " + e.reason.Error() }
func (e *AwayError) Unwrap() error { return e.reason }

// unanswered returns an AwayError without the address of the request, or err if the request was not sent.
func unanswered(err error) error {
	if sent, ok := errors.AsType[*url.Error](err); ok {
		return &AwayError{sent.Err}
	}
	return err
}

// textOf returns the text of an error in any of the APIs' dialects.
func textOf(body []byte) string {
	var problem struct {
		Error, Message string
		Detail         json.RawMessage
	}
	if json.Unmarshal(body, &problem) != nil {
		return ""
	}
	var detail string
	if json.Unmarshal(problem.Detail, &detail) != nil {
		var mistakes []struct {
			Msg string
			Loc []any
		}
		_ = json.Unmarshal(problem.Detail, &mistakes)
		for _, m := range mistakes {
			detail = cmp.Or(detail, strings.Trim(strings.ReplaceAll(fmt.Sprint(m.Loc...), "body", ""), " ")+": "+m.Msg)
		}
	}
	return cmp.Or(problem.Error, problem.Message, detail)
}

// warningsOf returns the warnings about a value that was stored.
func warningsOf(resp *http.Response) []string { return resp.Header.Values("X-Strongroom-Warning") }

func etagOf(resp *http.Response) string { return resp.Header.Get("ETag") }

// jsonBody encodes a request. Its parts are strings, so it cannot fail.
func jsonBody(v any) *bytes.Reader {
	text, _ := json.Marshal(v)
	return bytes.NewReader(text)
}

const jsonType = "application/json"

// ifGiven is nil for an empty text.
func ifGiven(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
