package stream

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/strongroom/strongroom/internal/audit"
	"github.com/strongroom/strongroom/internal/safefile"
)

// HTTPOptions configure [HTTP].
type HTTPOptions struct {
	URL string
	// Array sends a batch as a JSON array (application/json). Otherwise it is one object a
	// line (application/x-ndjson).
	Array bool
	// TokenFile has the token for Authorization: Bearer; empty: none is sent. It is read
	// for each batch, so that it can be rotated.
	TokenFile string
	TLS       TLS
}

// HTTP returns a sink that posts batches of entries. A status of 200 to 299 acknowledges
// a batch. Redirects are not followed, because they would get the token. The error is
// about a file in the options and begins with the field of the config.
func HTTP(o HTTPOptions) (Sink, error) {
	secured, err := o.TLS.config()
	if err != nil {
		return nil, err
	}
	h := &collector{HTTPOptions: o}
	if _, err := h.authorization(); err != nil {
		return nil, err
	}
	h.client = &http.Client{
		Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: secured, ForceAttemptHTTP2: true, MaxIdleConns: 1},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return h, nil
}

type collector struct {
	HTTPOptions
	client *http.Client
}

// authorization returns the value of the header.
func (h *collector) authorization() (string, error) {
	if h.TokenFile == "" {
		return "", nil
	}
	text, err := safefile.ReadPrivate(h.TokenFile)
	if err != nil {
		return "", fmt.Errorf("token_file: %w", err)
	}
	token := strings.TrimSpace(string(text))
	if token == "" || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", errors.New("token_file: must have one line of printable ASCII without spaces")
	}
	return "Bearer " + token, nil
}

// Send implements [Sink]. It halves a batch that the collector finds too large.
func (h *collector) Send(ctx context.Context, entries []audit.Entry) error {
	status, err := h.post(ctx, entries)
	switch {
	case err != nil:
		return err
	case status == http.StatusRequestEntityTooLarge && len(entries) > 1:
		half := len(entries) / 2
		if err := h.Send(ctx, entries[:half]); err != nil {
			return err
		}
		return h.Send(ctx, entries[half:])
	case status < 200 || status > 299:
		return fmt.Errorf("the collector answered with status %d", status)
	}
	return nil
}

// maxAnswer is the part of an answer that is read, so that its connection can be used
// again.
const maxAnswer = 64 << 10

func (h *collector) post(ctx context.Context, entries []audit.Entry) (status int, err error) {
	body, kind, err := h.encode(entries)
	if err != nil {
		return 0, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.URL, bytes.NewReader(body))
	if err != nil {
		return 0, errors.New("url: is not a URL") // the reason would quote it
	}
	req.Header.Set("Content-Type", kind)
	authorization, err := h.authorization()
	if err != nil {
		return 0, err
	}
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	resp, err := h.client.Do(req)
	if err != nil {
		if reason, ok := errors.AsType[*url.Error](err); ok {
			err = reason.Err // without the URL
		}
		return 0, err
	}
	_, _ = io.CopyN(io.Discard, resp.Body, maxAnswer)
	_ = resp.Body.Close()
	return resp.StatusCode, nil
}

func (h *collector) encode(entries []audit.Entry) (body []byte, kind string, err error) {
	if h.Array {
		body, err = json.Marshal(entries)
		return body, "application/json", err
	}
	body, err = linesOf(entries)
	return body, "application/x-ndjson", err
}

// Close implements [Sink].
func (h *collector) Close() error {
	h.client.CloseIdleConnections()
	return nil
}
