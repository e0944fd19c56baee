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

// What a request asks to be answered with.
const (
	wholeObject  = "application/json"
	onlyMetadata = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
	listMetadata = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
)

const jsonPatch = "application/json-patch+json"

// A request is one to the API server. The same one may be sent twice.
type request struct {
	method string
	path   string
	query  url.Values
	accept string // default wholeObject
	kind   string // of the body; default application/json
	body   []byte
	hold   func() error // returns nil once the body may leave; nil: it may
}

// do sends the request and has the answer read. If the answer is lost on the
// way, or the token has just expired, it sends the request once more; again
// says that the first one may have been served all the same.
func (c *client) do(ctx context.Context, r request, read func(io.Reader) error) (again bool, err error) {
	err = c.once(ctx, r, read)
	switch {
	case errors.Is(err, errUnauthorized):
		// The transport has dropped the token and will look for a newer one.
		return false, c.once(ctx, r, read)
	case errors.Is(err, errLost) && ctx.Err() == nil:
		// What has cut one connection has often cut them all.
		c.hangUp()
		return true, c.once(ctx, r, read)
	}
	return false, err
}

func (c *client) once(ctx context.Context, r request, read func(io.Reader) error) error {
	req, err := http.NewRequestWithContext(ctx, r.method, c.base.JoinPath(r.path).String(), bytes.NewReader(r.body))
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
	if resp.StatusCode >= http.StatusMultipleChoices {
		return refusalOf(r, resp)
	}
	if err := read(resp.Body); err != nil {
		return c.lost(ctx, err)
	}
	return nil
}

// held waits until the body may leave, and returns why it may not.
func (r request) held() error {
	if r.hold == nil {
		return nil
	}
	return r.hold()
}

// holdBody has the body wait. The API server gets the head of the request, with
// which it is busy for a while, and without the body it cannot do what it is
// asked for.
func (r request) holdBody(req *http.Request) {
	if r.hold == nil {
		return
	}
	whole := req.GetBody
	req.GetBody = func() (io.ReadCloser, error) {
		body, err := whole()
		return &heldBody{body, r.hold}, err
	}
	req.Body, _ = req.GetBody() // of memory, which does not fail
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

// lenient is how answers are read: a secret is not to be lost over what others,
// who need not use JSON, have written to it.
var lenient = json.JoinOptions(jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))

// into returns a reader of answers that decodes them. Of one that breaks off
// nothing is left for the next to be mixed with.
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

// errLost is an answer that did not come: what it was asked for may have
// happened or not.
var errLost = errors.New("no answer from the API server")

// lost says why there was no answer. Of the error itself it tells no more than
// can be without a word of what was answered.
func (c *client) lost(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		// Where one connection is dead without a word, so may be the idle ones,
		// and each would cost somebody a timeout.
		if errors.Is(done(ctx), errTimeout) {
			c.hangUp()
		}
		return done(ctx)
	}
	return fmt.Errorf("%w: %w: %s", secret.ErrUnavailable, errLost, harmless(err))
}
