package serviceaccount

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/transport"

	"github.com/strongroom/strongroom/internal/secret"
)

const (
	reviewTimeout = 5 * time.Second
	// atOnce is the maximum number of concurrent reviews.
	atOnce    = 16
	maxAnswer = 1 << 20 // bytes
)

// A reviewer sends tokens to an API server for review.
type reviewer struct {
	http  *http.Client
	url   string
	turns chan struct{}
}

func newReviewer(cluster *rest.Config) (*reviewer, error) {
	cluster = rest.CopyConfig(cluster)
	cluster.Timeout = 0                // contexts set the timeout
	if cluster.BearerTokenFile != "" { // reread when the API server refuses the token
		tokens := transport.NewCachedFileTokenSource(cluster.BearerTokenFile)
		cluster.Wrap(transport.ResettableTokenSourceWrapTransport(tokens))
		cluster.BearerToken, cluster.BearerTokenFile = "", ""
	}
	base, _, err := rest.DefaultServerUrlFor(cluster)
	if err != nil {
		return nil, fmt.Errorf("the address of the API server: %w", err)
	}
	client, err := rest.HTTPClientFor(cluster)
	if err != nil {
		return nil, fmt.Errorf("the credentials for the API server: %w", err)
	}
	url := base.JoinPath("/apis/authentication.k8s.io/v1/tokenreviews").String()
	return &reviewer{client, url, make(chan struct{}, atOnce)}, nil
}

// A tokenReview is the object of authentication.k8s.io/v1.
type tokenReview struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Spec       spec   `json:"spec"`
	Status     status `json:"status"`
}

type spec struct {
	Token     string   `json:"token"`
	Audiences []string `json:"audiences"`
}

type status struct {
	Authenticated bool     `json:"authenticated"`
	Audiences     []string `json:"audiences"`
	Error         string   `json:"error"`
	User          struct {
		Username string              `json:"username"`
		Extra    map[string][]string `json:"extra"`
	} `json:"user"`
}

// review sends the token to the API server for review. Its error is
// secret.ErrUnavailable, without the text of request or answer, because both contain the
// token.
func (r *reviewer) review(ctx context.Context, token, audience string) (*status, error) {
	ctx, cancel := context.WithTimeout(ctx, reviewTimeout)
	defer cancel()
	select {
	case r.turns <- struct{}{}:
		defer func() { <-r.turns }()
	case <-ctx.Done():
		return nil, fmt.Errorf("reviewing a token at the API server: too many reviews in progress: %w", secret.ErrUnavailable)
	}
	question := tokenReview{
		APIVersion: "authentication.k8s.io/v1", Kind: "TokenReview", Spec: spec{token, []string{audience}},
	}
	body, err := json.Marshal(question)
	if err != nil {
		return nil, err
	}
	answer, code, err := r.post(ctx, body)
	if code == http.StatusUnauthorized { // our own token has expired, and there may be a newer one
		answer, code, err = r.post(ctx, body)
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("reviewing a token at the API server: no answer: %w", secret.ErrUnavailable)
	case code != http.StatusCreated:
		return nil, fmt.Errorf("reviewing a token at the API server: it answers %d: %w", code, secret.ErrUnavailable)
	}
	return &answer.Status, nil
}

func (r *reviewer) post(ctx context.Context, body []byte) (answer tokenReview, code int, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url, bytes.NewReader(body))
	if err != nil {
		return answer, 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	resp, err := r.http.Do(req)
	if err != nil {
		return answer, 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusCreated {
		return answer, resp.StatusCode, nil
	}
	return answer, resp.StatusCode, json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(&answer)
}
