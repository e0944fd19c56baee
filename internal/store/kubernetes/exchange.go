package kubernetes

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/strongroom/strongroom/internal/secret"
)

// Accept headers of requests.
const (
	wholeObject  = "application/json"
	onlyMetadata = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
	listMetadata = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
)

const jsonPatch = "application/json-patch+json"

// A request is a request to the API server. It may be sent twice.
type request struct {
	method string
	path   string
	query  url.Values
	accept string // default wholeObject
	kind   string // of the body; default application/json
	body   []byte
	hold   func() error // returns nil once the body may be sent; nil: at once
}

// do sends the request and passes the answer to read. If the answer is lost, or the
// token has just expired, it sends the request once more. again reports that the
// first request may have been served too.
func (c *client) do(ctx context.Context, r request, read func(io.Reader) error) (again bool, err error) {
	err = c.once(ctx, r, read)
	switch {
	case errors.Is(err, errUnauthorized):
		// The transport has dropped the token and will read a newer one.
		return false, c.once(ctx, r, read)
	case errors.Is(err, errLost) && ctx.Err() == nil:
		// A fault that cut one connection has often cut them all.
		c.closeIdle()
		return true, c.once(ctx, r, read)
	}
	return false, err
}

func (c *client) once(ctx context.Context, r request, read func(io.Reader) error) error {
	status := 0
	if c.trace != nil {
		traced, end := c.trace(ctx, r.method, c.base.Hostname())
		ctx = traced
		defer func() { end(status) }()
	}
	req, err := http.NewRequestWithContext(ctx, r.method, c.base.JoinPath(r.path).String(), bytes.NewReader(r.body)) // #nosec G125 -- names are valid object names, without slashes or dots alone
	if err != nil {
		return err
	}
	r.holdBody(req)
	req.URL.RawQuery = r.query.Encode()
	req.Header.Set("Accept", either(r.accept, wholeObject))
	req.Header.Set("Content-Type", either(r.kind, "application/json"))
	resp, err := c.http.Do(req)
	if err != nil {
		if held := r.held(); held != nil {
			return held
		}
		return c.lost(ctx, err)
	}
	defer func() { _ = resp.Body.Close() }()
	status = resp.StatusCode
	if resp.StatusCode >= http.StatusMultipleChoices {
		return refusalOf(r, resp)
	}
	if err := read(resp.Body); err != nil {
		return c.lost(ctx, err)
	}
	return nil
}

// held waits until the body may be sent. Its error is the reason if it may not.
func (r request) held() error {
	if r.hold == nil {
		return nil
	}
	return r.hold()
}

// holdBody delays the body. The API server already processes the head of the
// request, and cannot act without the body.
func (r request) holdBody(req *http.Request) {
	if r.hold == nil {
		return
	}
	whole := req.GetBody
	req.GetBody = func() (io.ReadCloser, error) {
		body, err := whole()
		return &heldBody{body, r.hold}, err
	}
	req.Body, _ = req.GetBody() // from memory, which does not fail
}

type heldBody struct {
	io.ReadCloser
	until func() error
}

func (b *heldBody) Read(p []byte) (int, error) {
	if err := b.until(); err != nil {
		return 0, err
	}
	return b.ReadCloser.Read(p)
}

func either(s, otherwise string) string {
	if s != "" {
		return s
	}
	return otherwise
}

// lenient are the options for decoding answers. Other writers may have stored text that
// is not valid JSON; it must not make a secret unreadable.
var lenient = json.JoinOptions(jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))

// into returns a function that decodes an answer into object. A truncated answer leaves
// nothing behind that could mix with the next one.
func into[T any](object *T) func(io.Reader) error {
	return func(r io.Reader) error {
		var whole T
		err := json.UnmarshalRead(r, &whole, lenient)
		if err == nil {
			*object = whole
		}
		return err
	}
}

func ignored(r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	return err
}

// errLost means that no answer came, so the request may or may not have been
// served.
var errLost = errors.New("no answer from the API server")

// lost returns the reason for a missing answer. It keeps only the parts of the error
// that cannot quote an answer.
func (c *client) lost(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		// When one connection is silently dead, the idle ones may be too, and
		// each would cost a request its timeout.
		if errors.Is(done(ctx), errTimeout) {
			c.closeIdle()
		}
		return done(ctx)
	}
	return fmt.Errorf("%w: %w: %s", secret.ErrUnavailable, errLost, harmless(err))
}
