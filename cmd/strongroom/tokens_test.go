package main_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/strongroom/strongroom/internal/test/kubetest"
)

// issuer publishes a public key and signs any claims with it.
type issuer struct {
	*httptest.Server
	key *rsa.PrivateKey
}

func newIssuer(t *testing.T) issuer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	n := base64.RawURLEncoding.EncodeToString(key.N.Bytes())
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, `{"keys":[{"kty":"RSA","kid":"k","use":"sig","n":%q,"e":"AQAB"}]}`, n)
	}))
	t.Cleanup(s.Close)
	return issuer{s, key}
}

func (i issuer) token(t *testing.T, name string) string {
	t.Helper()
	return i.tokenWith(t, name, "aud", "strongroom")
}

func (i issuer) tokenWith(t *testing.T, name, claim string, value any) string {
	t.Helper()
	claims := jwt.MapClaims{
		"iss": name, "sub": "alice", "aud": "strongroom", "typ": "Bearer", "exp": time.Now().Add(time.Hour).Unix(), "groups": []string{"managers"},
	}
	claims[claim] = value
	token := jwt.NewWithClaims(jwt.SigningMethodRS256, claims)
	token.Header["kid"] = "k"
	text, err := token.SignedString(i.key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// kubeconfig returns a kubeconfig with this token for the cluster. JSON is
// valid YAML.
func kubeconfig(t *testing.T, s *kubetest.Server, token string) string {
	t.Helper()
	type object = kubetest.Object
	text, err := json.Marshal(object{
		"apiVersion": "v1", "kind": "Config", "current-context": "test",
		"clusters": []object{{"name": "test", "cluster": object{"server": s.URL, "certificate-authority-data": []byte(s.CA)}}},
		"users":    []object{{"name": "test", "user": object{"token": token}}},
		"contexts": []object{{"name": "test", "context": object{"cluster": "test", "user": "test"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// mustReviewTokens creates a service account that may review tokens, and one of
// an app.
func mustReviewTokens(t *testing.T, s *kubetest.Server) (namespace string) {
	t.Helper()
	type object = kubetest.Object
	namespace = s.Namespace(t)
	for _, name := range []string{"strongroom", "web"} {
		s.ServiceAccount(t, namespace, name)
	}
	s.Apply(t, object{
		"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": object{"name": "review-" + namespace},
		"roleRef":  object{"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:auth-delegator"},
		"subjects": []object{{"kind": "ServiceAccount", "name": "strongroom", "namespace": namespace}},
	})
	return namespace
}

// Pods, an identity provider and API keys share the Authorization header, in
// any order of the strategies.
func TestStrategiesWithOneHeaderClaimOnlyTheirOwnCredentials(t *testing.T) {
	t.Parallel()
	cluster := kubetest.Start(t)
	namespace := mustReviewTokens(t, cluster)
	sso := newIssuer(t)
	i := mustInit(t)
	mustWrite(t, i.path("kubeconfig"), kubeconfig(t, cluster, cluster.Token(t, namespace, "strongroom")))
	i.mustEdit(t, "strongroom.yaml", "\nauth:\n", fmt.Sprintf(`
auth:
  keys: {api_key: {header: Authorization, prefix: "Bearer ", keys_file: keys/psks.yaml}}
  pods:
    service_account:
      issuer: https://kubernetes.default.svc
      audience: strongroom
      kubeconfig: kubeconfig
      accounts: {%s/web: [{actions: [list], owner: app/*}]}
  sso:
    oidc:
      issuer: https://sso.example/realms/r
      jwks_url: %s
      audience: strongroom
      roles_claim: groups
      roles: {managers: [{actions: [list, create], owner: app/*}]}
`, namespace, sso.URL))
	pod := cluster.Token(t, namespace, "web", "strongroom")
	for _, order := range []string{"keys, pods, sso, psk", "psk, sso, pods, keys"} {
		j := i.mustCopy(t)
		j.mustEdit(t, "strongroom.yaml", "nx1: {store: embedded, auth: [psk]", "nx1: {store: embedded, auth: ["+order+"]")
		p := mustServe(t, j)
		p.awaitRights(t, pod)
		for _, tc := range []struct {
			name, credential string
			status           int
		}{
			{"a pod", "Authorization: Bearer " + pod, 200},
			{"a pod, for the API server", "Authorization: Bearer " + cluster.Token(t, namespace, "web"), 401},
			{"a user", "Authorization: Bearer " + sso.token(t, "https://sso.example/realms/r"), 200},
			{"a user, in lower case", "Authorization: bearer " + sso.token(t, "https://sso.example/realms/r"), 200},
			{"a user token with the issuer of the cluster", "Authorization: Bearer " + sso.token(t, "https://kubernetes.default.svc"), 401},
			{"a token of an unknown issuer", "Authorization: Bearer " + sso.token(t, "https://sso.example/realms/s"), 401},
			{"a key behind the prefix", "Authorization: Bearer " + i.psk, 200},
			{"a key behind another", "Authorization: Basic " + i.psk, 401},
			{"a wrong key", "Authorization: Bearer " + i.psk + "x", 401},
			{"a key in its own header", i.pskHeader(), 200},
		} {
			a := p.want(t, tc.status, "GET", app, tc.credential, "")
			if a.status != tc.status {
				t.Errorf("that was %s, in the order %s", tc.name, order)
			}
			challenges := a.header.Values("WWW-Authenticate")
			asks := slices.ContainsFunc(challenges, func(c string) bool { return strings.HasPrefix(c, `Bearer realm="strongroom"`) }) &&
				slices.Contains(challenges, "APIKey")
			if asks != (tc.status == 401) {
				t.Errorf("%s: the answer asks for %q", tc.name, challenges)
			}
		}
		p.mustStop(t)
	}
}

// awaitRights waits until the server may review tokens: new rights take effect with a
// delay.
func (p *process) awaitRights(t *testing.T, token string) {
	t.Helper()
	for deadline := time.Now().Add(patience); p.mustDo(t, "GET", app, "Authorization: Bearer "+token, "").status == 503; {
		if time.Now().After(deadline) {
			t.Fatal("the server may not review tokens")
		}
	}
}

// A running server has the issuer's public keys. Without one, explain fetches
// them.
func TestExplainNamesTheCallerOfAToken(t *testing.T) {
	t.Parallel()
	sso := newIssuer(t)
	i := mustInit(t)
	i.takeTokens(t, sso)
	mustWrite(t, i.path("token"), sso.token(t, "https://sso.example/realms/r"))
	explain := func(action, want string) {
		t.Helper()
		got := mustRun(t, "explain", "--config", i.config(), "--credential-file", i.path("token"), action, theApp+"/db").stdout
		if !strings.HasPrefix(got, want) {
			t.Errorf("%s: %q, want %q", action, got, want)
		}
	}
	const by = "sso, alice: by auth.sso.oidc.roles.managers[0]"
	explain("list", "yes: "+by)
	p := mustServe(t, i)
	explain("list", "yes: "+by)
	p.mustStop(t)
}

// Callers of the APIs get the same 401 for each reason.
func TestExplainSaysWhyATokenIsRejected(t *testing.T) {
	t.Parallel()
	sso := newIssuer(t)
	i := mustInit(t)
	i.takeTokens(t, sso)
	p := mustServe(t, i)
	const issuer = "https://sso.example/realms/r"
	good := sso.token(t, issuer)
	p.want(t, 200, "GET", app, "Authorization: Bearer "+good, "")
	var first answer
	for _, tc := range []struct{ reason, token string }{
		{"it expired 1h0m", sso.tokenWith(t, issuer, "exp", time.Now().Add(-time.Hour).Unix())},
		{"it is not valid before ", sso.tokenWith(t, issuer, "nbf", time.Now().Add(time.Hour).Unix())},
		{"it has no expiry (exp)", sso.tokenWith(t, issuer, "exp", nil)},
		{"its audience (aud) does not include strongroom", sso.tokenWith(t, issuer, "aud", "account")},
		{"the type in its payload (typ) is not one of token_types: Bearer, at+jwt", sso.tokenWith(t, issuer, "typ", "ID")},
		{"the issuer's key of that id (kid) does not verify its signature", newIssuer(t).token(t, issuer)},
		{"it names another issuer (iss) than " + issuer, sso.token(t, "https://evil.example")},
		{"it is larger than 8 KiB", good + strings.Repeat("A", 8<<10)},
		{"it is not a signed token (JWT)", "eyJ"},
	} {
		mustWrite(t, i.path("token"), tc.token)
		out := run(t, "explain", "--config", i.config(), "--credential-file", i.path("token"), "list", theApp+"/db").stderr
		if want := "no: sso refuses it: " + tc.reason; !strings.Contains(out, want) || !strings.Contains(out, "no: psk refuses it: it is no API key of this server") {
			t.Errorf("got %q, want %q", out, want)
		}
		a := p.want(t, 401, "GET", app, "Authorization: Bearer "+tc.token, "")
		a.header.Del("X-Request-Id")
		a.header.Del("Date")
		if first.header == nil {
			first = a
		}
		if !reflect.DeepEqual(a, first) {
			t.Errorf("%s: the answer is %v, and %v for the first", tc.reason, a, first)
		}
	}
	p.mustStop(t)
}

// takeTokens lets the issuer's managers list apps' secrets.
func (i install) takeTokens(t *testing.T, sso issuer) {
	t.Helper()
	i.mustEdit(t, "strongroom.yaml", "\nauth:\n", fmt.Sprintf(`
auth:
  sso:
    oidc:
      issuer: https://sso.example/realms/r
      jwks_url: %s
      audience: strongroom
      roles_claim: groups
      roles: {managers: [{actions: [list], owner: app/*}]}
`, sso.URL))
	i.mustEdit(t, "strongroom.yaml", "nx1: {store: embedded, auth: [psk]", "nx1: {store: embedded, auth: [sso, psk]")
}

// A reload must keep public keys that cannot be fetched again at that moment.
func TestIssuerKeysSurviveAReload(t *testing.T) {
	t.Parallel()
	sso := newIssuer(t)
	i := mustInit(t)
	i.takeTokens(t, sso)
	p := mustServe(t, i)
	token := "Authorization: Bearer " + sso.token(t, "https://sso.example/realms/r")
	p.want(t, 200, "GET", app, token, "")
	sso.Close()
	i.mustEdit(t, "strongroom.yaml", "roles: {managers:", "roles: {staff: [{actions: [list], owner: app/*}], managers:")
	p.mustSay(t, regexp.MustCompile("the config has been reloaded"))
	p.want(t, 200, "GET", app, token, "")
	p.want(t, 200, "GET", app, "Authorization: Bearer "+sso.token(t, "https://sso.example/realms/r"), "")

	i.mustEdit(t, "strongroom.yaml", ", managers:", ", others:")
	p.mustSay(t, regexp.MustCompile("(?s)the config has been reloaded.*the config has been reloaded"))
	p.want(t, 403, "GET", app, token, "") // the cached review ended with the old policy
}

func TestRequestChangesNothingIfItsTokenExpiresMeanwhile(t *testing.T) {
	t.Parallel()
	sso := newIssuer(t)
	i := mustInit(t)
	i.takeTokens(t, sso)
	i.mustEdit(t, "strongroom.yaml", "managers: [{actions: [list]", "managers: [{actions: [list, create]")
	p := mustServe(t, i)
	const leeway = 30 * time.Second
	ends := time.Now().Add(8 * time.Second).Truncate(time.Second)
	header := "Authorization: Bearer " + sso.tokenWith(t, "https://sso.example/realms/r", "exp", ends.Add(-leeway).Unix())
	early := p.begin(t, "POST", app, header, `{"secret_name":"early","data":[]}`)
	late := p.begin(t, "POST", app, header, `{"secret_name":"late","data":[]}`)
	if status, text := early.end(t); status != 200 {
		t.Errorf("before the token's end: %d %s, want 200", status, text)
	}
	time.Sleep(time.Until(ends)) // the test cannot change the clock of the process
	if status, text := late.end(t); status != 403 {
		t.Errorf("after the token's end: %d %s, want 403", status, text)
	}
	p.want(t, 404, "GET", app+"/late", i.pskHeader(), "")
}
