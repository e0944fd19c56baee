package oidc

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/strongroom/strongroom/internal/secret"
)

const (
	refreshEvery = 5 * time.Minute
	// forceEvery is the minimum time between fetches for an unknown key id. Clients
	// choose the id. Without this limit they could make the server flood the issuer.
	forceEvery   = 30 * time.Second
	retryFirst   = time.Second // after a failure, doubled up to retryMost
	retryMost    = 30 * time.Second
	fetchTimeout = 10 * time.Second
	maxDocument  = 1 << 20 // bytes
)

// A Source describes where an issuer publishes its keys.
type Source struct {
	// Issuer is the URL in the iss claim. Its discovery document (OpenID Connect
	// Discovery 1.0) has the URL of the keys.
	Issuer string
	// JWKS is the URL of the keys; empty: from the discovery document. Inside a cluster
	// the issuer often has a different address.
	JWKS string
	// CA has the trusted certificates in PEM for the issuer's host; empty: the
	// system's.
	CA string
}

// client returns an HTTP client that follows no redirects and keeps no idle
// connections.
func (s Source) client() (*http.Client, error) {
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true, ForceAttemptHTTP2: true}
	if s.CA != "" {
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM([]byte(s.CA)) {
			return nil, errors.New("has no certificate in PEM")
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &http.Client{Transport: transport, CheckRedirect: stay}, nil
}

// A KeySet has the current signing keys of an issuer. It fetches them in the
// background every five minutes, and at once for an unknown key id, at most every
// 30 seconds. While the issuer is unreachable it keeps the last keys. It is safe for
// concurrent use.
type KeySet struct {
	source Source
	client *http.Client
	log    *slog.Logger
	keys   atomic.Pointer[map[string]*key] // by id; never changed in place

	endpoints atomic.Pointer[endpoints] // nil: not fetched, or not safe

	fetching chan struct{} // holds one item during a fetch; guards the fields below
	forced   time.Time     // the last fetch for an unknown key id
	failed   error         // the error of the last fetch

	start   func() // starts the background fetches, once
	stop    context.CancelFunc
	stopped sync.WaitGroup
}

// NewKeySet returns a key set that has not been started. It returns an error only for the
// source's CA.
func NewKeySet(source Source, log *slog.Logger) (*KeySet, error) {
	client, err := source.client()
	if err != nil {
		return nil, err
	}
	s := &KeySet{source: source, client: client, log: log.With("issuer", source.Issuer), fetching: make(chan struct{}, 1)}
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.start = sync.OnceFunc(func() { s.stopped.Go(func() { s.run(ctx) }) })
	s.keys.Store(&map[string]*key{})
	s.fetching <- struct{}{} // so that the first request waits for the first fetch
	return s, nil
}

// Start starts the background fetches, unless a request has already done so.
func (s *KeySet) Start() { s.start() }

// Close stops the background fetches.
func (s *KeySet) Close() error {
	s.stop()
	s.stopped.Wait()
	return nil
}

// run fetches until ctx is done. The caller has put an item into fetching.
func (s *KeySet) run(ctx context.Context) {
	retry := retryFirst
	for {
		wait := refreshEvery
		if s.fetch(ctx) != nil {
			wait, retry = retry, min(2*retry, retryMost)
		} else {
			retry = retryFirst
		}
		<-s.fetching
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		s.fetching <- struct{}{}
	}
}

// get returns the key of that id, nil if the issuer has none. It waits for a fetch
// if the key is unknown and a fetch is allowed. While the issuer is unreachable an
// unknown key is secret.ErrUnavailable.
func (s *KeySet) get(ctx context.Context, id string) (*key, error) {
	if k := s.known(id); k != nil {
		return k, nil
	}
	s.start()
	select {
	case s.fetching <- struct{}{}:
		defer func() { <-s.fetching }()
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for the issuer's keys: %w, %w", secret.ErrUnavailable, ctx.Err())
	}
	if k := s.known(id); k != nil { // another request has fetched it meanwhile
		return k, nil
	}
	if s.forced.IsZero() || time.Since(s.forced) >= forceEvery {
		s.forced = time.Now()
		// Not the request's context: other requests wait for the same fetch.
		_ = s.fetch(context.WithoutCancel(ctx)) // the error is in failed
	}
	k := s.known(id)
	if k == nil && s.failed != nil {
		return nil, fmt.Errorf("the issuer's keys cannot be fetched: %w", secret.ErrUnavailable)
	}
	return k, nil
}

func (s *KeySet) known(id string) *key { return (*s.keys.Load())[id] }

// has reports whether the key is still one of the issuer's.
func (s *KeySet) has(k *key) bool { return s.known(k.id) == k }

// fetch replaces the keys with the issuer's current ones. An unchanged key keeps its
// pointer, by which has finds it. The caller has put an item into fetching.
func (s *KeySet) fetch(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	fresh, err := s.download(ctx)
	if errors.Is(err, context.Canceled) {
		return err
	}
	before := *s.keys.Load()
	switch {
	case err != nil && (s.failed == nil):
		s.log.Warn("the issuer's keys cannot be fetched; tokens signed with the known ones are accepted until they expire", "known", len(before), "error", err)
	case err == nil && (s.failed != nil || len(before) == 0):
		s.log.Info("the issuer's keys were fetched", "keys", len(fresh))
	}
	s.failed = err
	if err != nil {
		return err
	}
	for id, k := range fresh {
		if old := before[id]; old != nil && old.equal(k) {
			fresh[id] = old
		}
	}
	s.keys.Store(&fresh)
	return nil
}

func (s *KeySet) download(ctx context.Context) (map[string]*key, error) {
	at := s.source.JWKS
	if at == "" {
		var err error
		if at, err = s.discover(ctx); err != nil {
			return nil, err
		}
	}
	text, err := s.read(ctx, at)
	if err != nil {
		return nil, err
	}
	keys, err := parseKeys(text)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", at, err)
	}
	return keys, nil
}

// discover returns the URL of the keys, and stores the endpoints.
func (s *KeySet) discover(ctx context.Context) (string, error) {
	at := strings.TrimSuffix(s.source.Issuer, "/") + "/.well-known/openid-configuration"
	text, err := s.read(ctx, at)
	if err != nil {
		return "", err
	}
	var document struct {
		Issuer string `json:"issuer"`
		JWKS   string `json:"jwks_uri"`
	}
	if json.Unmarshal(text, &document) != nil {
		return "", fmt.Errorf("reading %s: it is not a discovery document", at)
	}
	switch {
	case document.Issuer != s.source.Issuer: // OpenID Connect Discovery 1.0, section 4.3
		return "", fmt.Errorf("reading %s: it belongs to another issuer", at)
	case !unforgeable(document.JWKS):
		return "", fmt.Errorf("reading %s: its jwks_uri is not https", at)
	}
	var found endpoints
	if json.Unmarshal(text, &found) == nil && unforgeable(found.Authorization) && unforgeable(found.Token) {
		s.endpoints.Store(&found)
	} else {
		s.endpoints.Store(nil)
	}
	return document.JWKS, nil
}

// endpoints are the members of the discovery document that a [Client] needs.
type endpoints struct {
	Authorization string `json:"authorization_endpoint"`
	Token         string `json:"token_endpoint"`
	// AnswersName says that every answer names its issuer (RFC 9207, section 3).
	AnswersName bool `json:"authorization_response_iss_parameter_supported"`
}

// unforgeable reports whether an attacker on the network cannot change the document at
// the URL: it is https, or on this machine.
func unforgeable(at string) bool {
	u, err := url.Parse(at)
	if err != nil {
		return false
	}
	addr, err := netip.ParseAddr(u.Hostname())
	return u.Scheme == "https" || u.Scheme == "http" && (u.Hostname() == "localhost" || err == nil && addr.IsLoopback())
}

func (s *KeySet) read(ctx context.Context, at string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, http.NoBody)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("reading %s: the answer was %d", at, resp.StatusCode)
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxDocument+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading %s: %w", at, err)
	case len(text) > maxDocument:
		return nil, fmt.Errorf("reading %s: it is larger than 1 MiB", at)
	}
	return text, nil
}
