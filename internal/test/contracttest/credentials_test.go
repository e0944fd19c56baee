package contracttest

import (
	"strings"
	"testing"
)

// routes returns all routes of the documents, and some that are in none.
func routes() (calls [][2]string) {
	fill := strings.NewReplacer("{app_id}", shop, "{secret_id}", "MINE", "{secret_name}", "MINE", "{name}", "MINE", "{sandbox_id}", "box", "{mount}", "secret", "{kind}", "user", "{owner}", "me")
	each(func(_ *promise, method, path string, _ operation) {
		calls = append(calls, [2]string{method, fill.Replace(path)})
	})
	for _, path := range []string{
		"/", "/api", "/api/", "/api/secrets/", "/api/secrets/a/b", "/api/secrets%2FA", "/api/secretsX", "/API/SECRETS", "/api/settings", "/admin",
		"/metrics", "/debug/pprof/", "/healthz/", "/healthz/x", "/openapi/", "/openapi/nx1.yaml", "/openapi/nx1.json/", "//healthz",
		"/api/settings/secrets/", "/api/settings/secrets/MINE/", "/api/v1", "/api/v1/secrets/", "/api/v1/secrets/search/x",
		"/api/v1/sandboxes", "/api/v1/sandboxes/box/settings", "/api/v1/sandboxes//settings/secrets",
		"/v1", "/v1/", "/v1/sys/health/", "/v1/sys/mounts", "/v1/secret/data/user/me/MINE/", "/v1/secret/metadata/user/me/",
		"/api/app", "/api/app/", "/api/app/" + shop, "/api/app/x/secrets/a", secrets + "/", secrets + "/MINE/", secrets + "/MINE/reveal/x",
	} {
		for _, method := range []string{"GET", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "CONNECT", "WHATEVER"} {
			calls = append(calls, [2]string{method, path})
		}
	}
	return calls
}

// Authentication comes before routing and validation, so a request without a key learns nothing.
func TestRequestsWithoutAKeyLearnNothing(t *testing.T) {
	s := serve(t)
	s.undisturbed(t, func() {
		for _, call := range routes() {
			d := spokenAt(call[1])
			key, others := s.printed[d.key], sessionKey
			if d.key != psk {
				others = psk
			}
			token := d.noKey // not needed
			if d.name == nx1.name || d.name == vault.name {
				token = d.badKey
			}
			for _, tc := range []struct{ name, header, value, want string }{
				{"no key", "X", "", d.noKey},
				{"an empty key", d.key, "", d.noKey},
				{"a wrong key", d.key, canary, d.badKey},
				{"almost the key", d.key, key[1:], d.badKey},
				{"the key and more", d.key, key + "x", d.badKey},
				{"the other API's key", others, s.printed[others], d.noKey},
				{"the other API's key as ours", d.key, s.printed[others], d.badKey},
				{"a token", "Authorization", "Bearer " + canary, token},
				{"the key in a cookie", "Cookie", d.key + "=" + key, d.noKey},
			} {
				for _, body := range []string{"", "{" + canary} {
					s.stranger(t).with(tc.header, tc.value).raw(call[0], call[1], body).
						wants(d.unauthenticated(), tc.want).wantsHeader("WWW-Authenticate", d.challenge(tc.header))
				}
				if t.Failed() {
					t.Fatalf("that was %s for %s", tc.name, call)
				}
			}
		}
	})
}

// challenge returns the challenge of a refused request. Vault's API asks for none, because a
// 403 needs none. Only the V1 API of init's config takes a key as a
// bearer token.
func (d dialect) challenge(sent string) string {
	switch {
	case d.name == vault.name:
		return ""
	case d.name != openhandsv1.name:
		return "APIKey"
	case sent == "Authorization":
		return `APIKey | Bearer realm="strongroom", error="invalid_token"`
	default:
		return `APIKey | Bearer realm="strongroom"`
	}
}

func TestTwoCredentialsAreOneTooMany(t *testing.T) {
	s := serve(t)
	s.undisturbed(t, func() {
		for _, call := range routes() {
			d := spokenAt(call[1])
			c := s.caller(t, d.key, admin)
			c.with(d.key, s.printed[d.key]).raw(call[0], call[1], "").wants(400, d.twoKeys)
			c.with(d.key, canary).raw(call[0], call[1], "").wants(400, d.twoKeys)
			c.with(strings.ToLower(d.key), "").raw(call[0], call[1], "").wants(400, d.twoKeys)
		}
	})
}

// Clients, proxies and ~/.netrc add Authorization headers that are meant for other servers. A
// header that no strategy of the API uses does not count as a credential.
func TestAuthorizationForOtherServersIsIgnored(t *testing.T) {
	inBoth(t, func(t *testing.T, d dialect) {
		s := serve(t)
		c := s.caller(t, d.key, admin)
		c.post(d.create, d.draft("MINE"))
		for _, foreign := range []string{"Basic YWxhZGRpbjpvcGVuIHNlc2FtZQ==", "", "Bearer ", "Bearer", "Negotiate a87421000492aa874209af8bc028", "Bearer " + canary} {
			c.with("Authorization", foreign).put(d.path, d.update).wantsStatus(200)
			if !strings.HasSuffix(foreign, canary) {
				s.stranger(t).with("Authorization", foreign).put(d.path, d.update).wants(401, d.noKey)
			}
		}
		if d.name != nx1.name { // its document lacks the header
			return
		}
		c.with("Authorization", "Basic a").with("Authorization", "Basic b").put(d.path, d.update).wants(400, d.twoKeys)
	})
}

// A key is compared byte by byte, without the spaces around it.
func TestKeysInOddForms(t *testing.T) {
	s := serve(t)
	key := s.printed[sessionKey]
	for value, status := range map[string]int{
		key:                         200,
		"  " + key + "\t":           200,
		"Bearer " + key:             401,
		key + "," + key:             401,
		`"` + key + `"`:             401,
		strings.ToUpper(key):        401,
		key + "\u00a0":              401,
		strings.Repeat("k", 15_000): 401,
	} {
		s.stranger(t).with(sessionKey, value).raw("GET", "/api/secrets", "").wantsStatus(status)
	}
	s.stranger(t).with("X_Session_API_Key", key).raw("GET", "/api/secrets", "").wants(401, openhands.badKey)
	s.stranger(t).raw("GET", "/api/secrets?"+sessionKey+"="+key, "").wants(401, openhands.noKey)
	s.sends(t, "", "OPTIONS * HTTP/1.1\nHost: HOST\n\n").wants(401, openhands.noKey)
}
