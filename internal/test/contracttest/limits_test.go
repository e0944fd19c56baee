package contracttest

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// limited returns a server that admits two requests of a kind, and then none for a long time.
func limited(t *testing.T, kind string) *server {
	skipOnNodes(t)
	return serve(t, set("\nauth:", "\nlimits: {"+kind+": {per_second: 0.01, burst: 2}}\n\nauth:"))
}

func skipOnNodes(t *testing.T) {
	t.Helper()
	if nodes() > 1 {
		t.Skip("each node limits for itself")
	}
}

// tooMany checks for a 429. Its Retry-After is at most the time for one token.
func (a answer) tooMany() {
	a.t.Helper()
	want := `{"detail":"Too many requests: try again later"}`
	switch _, path, _ := strings.Cut(a.call, " "); spokenAt(path).name {
	case nx1.name:
		want = problem(429, "Too many requests: try again later.")
	case vault.name:
		want = errorsOf("Too many requests: try again later")
	case openhands.name:
		want = `{"error":"Too many requests: try again later"}`
	}
	a.wants(429, want)
	if wait, err := strconv.Atoi(a.header.Get("Retry-After")); err != nil || wait < 1 || wait > 100 {
		a.t.Errorf("%s: Retry-After is %q", a.call, a.header.Get("Retry-After"))
	}
}

// Every operation refuses before it reads the body, which is invalid here.
func TestOneRequestTooMany(t *testing.T) {
	s := limited(t, "requests")
	parameter := regexp.MustCompile(`\{\w+\}`)
	spent := map[string]bool{}
	each(func(p *promise, method, path string, _ operation) {
		key := sessionKey
		switch p.api {
		case "nx1":
			key = psk
		case "vault":
			key = vaultToken
		}
		c := s.caller(t, key, admin)
		path = parameter.ReplaceAllString(path, shop)
		for !spent[key] {
			spent[key] = c.get(path).status == 429
		}
		c.do(method, path, "{"+canary).tooMany()
	})
	s.nx1(t, "clerk").get(secrets).wants(200, "[]") // another's key
}

// While an address has too many failures, even a valid key is refused.
func TestOneFailureTooMany(t *testing.T) {
	s := limited(t, "failures")
	s.nx1(t, admin).get(secrets).wants(200, "[]")
	s.stranger(t).get(secrets).wants(401, nx1.noKey)
	s.stranger(t).with(sessionKey, canary).get("/api/secrets").wants(401, openhands.badKey)
	s.stranger(t).get(secrets).tooMany()
	s.stranger(t).put("/api/secrets/MINE", "{"+canary).tooMany()
	s.nx1(t, admin).get(secrets).tooMany()
	s.stranger(t).get("/readyz")
}

// Hidden, forbidden and missing secrets count alike.
func TestOneDenialTooMany(t *testing.T) {
	s := limited(t, "denials")
	c := s.nx1(t, "keeper")
	c.get(secrets+"/PAYROLL").wants(404, nx1.absent)
	s.nx1(t, "lister").post(secrets, secret("MINE", "K", canary)).wants(403, nx1.forbidden)
	c.delete(secrets+"/MINE").wants(404, nx1.absent)
	c.get(secrets + "/MINE").tooMany()
	s.nx1(t, "clerk").get(secrets).wants(200, "[]") // another credential
}

func TestLimitsGoByTheAddressThatAProxyNames(t *testing.T) {
	skipOnNodes(t)
	s := serve(t, set("\nauth:", "\nlimits: {failures: {per_second: 0.01, burst: 1}}\n\nauth:"),
		set("  drain: 10s", "  proxies: [127.0.0.0/8, 10.0.0.0/8]"))
	from := func(hops string) caller { return s.stranger(t).with("X-Forwarded-For", hops) }
	from("198.51.100.1").get(secrets).wants(401, nx1.noKey)
	from("203.0.113.9, 198.51.100.1, 10.1.2.3").get(secrets).tooMany() // forged, the client, another proxy
	from("198.51.100.1, 203.0.113.9").get(secrets).wants(401, nx1.noKey)
	from("2001:db8::1").get(secrets).wants(401, nx1.noKey)
	from("2001:db8::2:1").get(secrets).tooMany()
	from("2001:db8:0:1::1").get(secrets).wants(401, nx1.noKey)
	s.stranger(t).get(secrets).wants(401, nx1.noKey) // the proxy itself
}
