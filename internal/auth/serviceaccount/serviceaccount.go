// Package serviceaccount knows callers in the same cluster by the token of their
// pod's service account, so that apps need no secret to get at their secrets.
// Whether a token is good the API server says (TokenReview), who also knows
// whether the pod is still there.
package serviceaccount

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/singleflight"
	"k8s.io/client-go/rest"

	"github.com/strongroom/strongroom/internal/auth"
	"github.com/strongroom/strongroom/internal/grant"
	"github.com/strongroom/strongroom/internal/secret"
)

// How long the API server is not asked again about a token, so that it need
// not answer for each request. So long one is good whose pod is gone.
const (
	goodFor = 30 * time.Second
	badFor  = 10 * time.Second
)

// Rules are what a token must be, and what it is good for then.
type Rules struct {
	// Issuer that the cluster's tokens name.
	Issuer string
	// Audience that the token must be bound to: not the API server's own, or
	// everybody who is sent one could use it there.
	Audience string
	// Accounts are what service accounts may do, by namespace/name; see
	// grant.For for grants without an owner.
	Accounts map[string][]secret.Grant
}

// Strategy is an [auth.Strategy] for tokens of a cluster's service accounts. It
// is safe for concurrent use.
type Strategy struct {
	rules    Rules
	api      *reviewer
	good     auth.Memory[secret.Caller]
	bad      auth.Memory[error]
	underWay singleflight.Group // reviews, by the token's hash
}

var _ auth.Strategy = (*Strategy)(nil)

// New returns a strategy that asks the cluster, in which it must be allowed to
// create tokenreviews (ClusterRole system:auth-delegator). The error is about
// how to reach it; it is not asked anything yet.
func New(rules Rules, cluster *rest.Config) (*Strategy, error) {
	api, err := newReviewer(cluster)
	if err != nil {
		return nil, err
	}
	return &Strategy{rules: rules, api: api}, nil
}

// Authenticate implements [auth.Strategy]. A token that names another issuer is
// none of ours. secret.ErrUnavailable means that the API server could not say.
func (s *Strategy) Authenticate(r *http.Request) (secret.Caller, error) {
	token, err := auth.Token(r)
	if err != nil {
		return secret.Caller{}, err
	}
	hash := auth.HashOf(token)
	if caller, ok := s.good.Get(hash); ok {
		return caller, nil
	}
	if err := auth.CheckIssuer(token, s.rules.Issuer); err != nil {
		return secret.Caller{}, err
	}
	if refusal, ok := s.bad.Get(hash); ok {
		return secret.Caller{}, refusal
	}
	// Not the request's context: others may wait for the same review.
	caller, err, _ := s.underWay.Do(string(hash[:]), func() (any, error) {
		return s.review(context.WithoutCancel(r.Context()), token, hash)
	})
	return caller.(secret.Caller), err
}

// review has the API server say whose the token is, and remembers it.
func (s *Strategy) review(ctx context.Context, token string, hash auth.TokenHash) (secret.Caller, error) {
	asked := time.Now()
	status, err := s.api.review(ctx, token, s.rules.Audience)
	if err != nil {
		return secret.Caller{}, err
	}
	account, err := status.account(s.rules.Audience)
	if err != nil {
		s.bad.Put(hash, err, asked.Add(badFor))
		return secret.Caller{}, err
	}
	until := asked.Add(goodFor)
	if expires := expiry(token); expires.Before(until) {
		until = expires
	}
	caller := s.rules.caller(account, status)
	s.good.Put(hash, caller, until)
	return caller, nil
}

// prefix is what Kubernetes calls service accounts by.
const prefix = "system:serviceaccount:"

// account returns the service account, as namespace/name, if the token is one's
// and bound to the audience. An API server that knows nothing of audiences would
// leave them out. Its own words are not repeated, because they can hold the token.
func (s *status) account(audience string) (account string, err error) {
	name, isAccount := strings.CutPrefix(s.User.Username, prefix)
	namespace, name, named := strings.Cut(name, ":")
	switch {
	case !s.Authenticated || s.Error != "":
		return "", auth.Refuse("the cluster does not accept it for the audience %s: it is for another (aud), has expired, or its pod or account is gone", audience)
	case !slices.Contains(s.Audiences, audience):
		return "", auth.Refuse("the cluster does not say that it is for the audience %s (aud)", audience)
	case !isAccount || !named:
		return "", auth.Refuse("it is not a service account's")
	}
	return namespace + "/" + name, nil
}

// caller is who the service account is. Its key is the pod, if the token is
// bound to one.
func (rules *Rules) caller(account string, s *status) secret.Caller {
	caller := secret.Caller{Subject: s.User.Username, User: s.User.Username}
	if pods := s.User.Extra["authentication.kubernetes.io/pod-name"]; len(pods) == 1 {
		caller.Key = pods[0]
	}
	caller.Grants = grant.For(caller.User, rules.Accounts[account])
	return caller
}

// expiry reads when a token ends that the API server has found good.
func expiry(token string) time.Time {
	_, rest, _ := strings.Cut(token, ".")
	encoded, _, _ := strings.Cut(rest, ".")
	var claims struct {
		Expires int64 `json:"exp"`
	}
	payload, err := auth.Base64.DecodeString(encoded)
	if err != nil || json.Unmarshal(payload, &claims) != nil {
		return time.Time{} // so that it is not remembered
	}
	return time.Unix(claims.Expires, 0)
}
