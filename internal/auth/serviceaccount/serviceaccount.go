// Package serviceaccount authenticates callers in the same cluster by the token of
// their pod's service account, so that apps need no secret to fetch their secrets.
// The API server verifies the token (TokenReview) and also knows whether the pod
// still exists.
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

// Reviews of tokens are cached for this time. The token of a deleted pod is accepted just
// as long.
const (
	goodFor = 30 * time.Second
	badFor  = 10 * time.Second
)

// Rules are the conditions that tokens must satisfy, and the grants of their callers.
type Rules struct {
	// Issuer is the issuer of the cluster's tokens.
	Issuer string
	// Audience must be among the token's. It must not be the API server's own audience,
	// or every receiver of a token could use the token there.
	Audience string
	// Accounts are the grants of service accounts, by namespace/name; see grant.For
	// for grants without an owner.
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

// New returns a strategy for the cluster, in which it needs the right to create
// tokenreviews (ClusterRole system:auth-delegator). It sends no request yet. The
// error is about the cluster's address or credentials.
func New(rules Rules, cluster *rest.Config) (*Strategy, error) {
	api, err := newReviewer(cluster)
	if err != nil {
		return nil, err
	}
	return &Strategy{rules: rules, api: api}, nil
}

// Authenticate implements [auth.Strategy]. A token of another issuer is an
// ErrNoCredential. secret.ErrUnavailable means that the API server did not review
// the token.
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
	// Not the request's context: other requests may wait for the same review.
	caller, err, _ := s.underWay.Do(string(hash[:]), func() (any, error) {
		if caller, ok := s.good.Get(hash); ok { // reviewed since the check above
			return caller, nil
		}
		return s.review(context.WithoutCancel(r.Context()), token, hash)
	})
	return caller.(secret.Caller), err
}

// review has the API server review the token, and caches the result.
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

// prefix begins the user names of service accounts.
const prefix = "system:serviceaccount:"

// account returns the service account of a token for the audience, as namespace/name. An
// API server without support for audiences omits them. The API server's error text is not
// repeated, because it can quote the token.
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

// caller returns the caller of the service account. Its key is the pod, if the
// token is bound to one.
func (rules *Rules) caller(account string, s *status) secret.Caller {
	caller := secret.Caller{Subject: s.User.Username, User: s.User.Username}
	if pods := s.User.Extra["authentication.kubernetes.io/pod-name"]; len(pods) == 1 {
		caller.CredentialID = pods[0]
	}
	caller.Grants = grant.For(caller.User, rules.Accounts[account])
	return caller
}

// expiry returns the end of a token that the API server has accepted.
func expiry(token string) time.Time {
	_, rest, _ := strings.Cut(token, ".")
	encoded, _, _ := strings.Cut(rest, ".")
	var claims struct {
		Expires int64 `json:"exp"`
	}
	payload, err := auth.Base64.DecodeString(encoded)
	if err != nil || json.Unmarshal(payload, &claims) != nil {
		return time.Time{} // so that it is not cached
	}
	return time.Unix(claims.Expires, 0)
}
