package anonymous_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/internal/auth"
	"github.com/strongroom/strongroom/internal/auth/anonymous"
	"github.com/strongroom/strongroom/internal/secret"
)

func TestOnlyLocalPagesAndProgramsAreAdmitted(t *testing.T) {
	for _, tc := range []struct {
		name, peer, host string
		headers          string // Name: value, one a line
		in               bool
	}{
		{"a program", "127.0.0.1:5", "localhost:3000", "", true},
		{"by address", "127.0.0.1:5", "127.0.0.1:3000", "", true},
		{"by address, version 6", "[::1]:5", "[::1]:3000", "", true},
		{"by address without a port", "[::1]:5", "[::1]", "", true},
		{"mapped", "[::ffff:127.0.0.1]:5", "localhost", "", true},
		{"another loopback address as the peer", "127.3.2.1:5", "localhost", "", true},
		{"its own page", "127.0.0.1:5", "localhost:3000", "Origin: http://localhost:3000\nSec-Fetch-Site: same-origin", true},
		{"a page on another port here", "127.0.0.1:5", "localhost:3000", "Origin: http://localhost:5173\nSec-Fetch-Site: same-site", true},
		{"a page by address", "127.0.0.1:5", "127.0.0.1:3000", "Origin: http://[::1]:3000", true},
		{"typed in", "127.0.0.1:5", "localhost:3000", "Sec-Fetch-Site: none", true},

		{"another machine", "192.0.2.1:5", "localhost:3000", "", false},
		{"another machine, version 6", "[2001:db8::1]:5", "localhost:3000", "", false},
		{"nobody knows who", "@", "localhost:3000", "", false},
		{"a name that points here", "127.0.0.1:5", "evil.example:3000", "", false},
		{"a name that begins like ours", "127.0.0.1:5", "localhost.evil.example", "", false},
		{"a name that ends like ours", "127.0.0.1:5", "evil.localhost", "", false},
		{"another loopback address as the name", "127.0.0.1:5", "127.0.0.2:3000", "", false},
		{"no name", "127.0.0.1:5", "", "", false},
		{"any address", "127.0.0.1:5", "0.0.0.0:3000", "", false},
		{"another site's page", "127.0.0.1:5", "localhost:3000", "Origin: https://evil.example\nSec-Fetch-Site: cross-site", false},
		{"another site's page in an old browser", "127.0.0.1:5", "localhost:3000", "Origin: https://evil.example", false},
		{"another site's page, the origin hidden", "127.0.0.1:5", "localhost:3000", "Origin: null", false},
		{"another site's image", "127.0.0.1:5", "localhost:3000", "Sec-Fetch-Site: cross-site", false},
		{"two origins", "127.0.0.1:5", "localhost:3000", "Origin: http://localhost\nOrigin: https://evil.example", false},
		{"an origin that is none", "127.0.0.1:5", "localhost:3000", "Origin: http://[::1", false},
		{"a proxy here", "127.0.0.1:5", "localhost:3000", "X-Forwarded-For: 192.0.2.1", false},
		{"a proxy here, of another kind", "127.0.0.1:5", "localhost:3000", "Forwarded: for=192.0.2.1", false},
		{"a proxy here, of a third kind", "127.0.0.1:5", "localhost:3000", "X-Real-IP: 127.0.0.1", false},
		{"a proxy here that names itself", "127.0.0.1:5", "localhost:3000", "Via: 1.1 proxy", false},
		{"a proxy here that names the scheme only", "127.0.0.1:5", "localhost:3000", "X-Forwarded-Proto: https", false},
		{"a proxy here that names the host only", "127.0.0.1:5", "localhost:3000", "X-Forwarded-Host: a.example", false},
	} {
		r := httptest.NewRequest("GET", "/api/secrets", http.NoBody)
		r.RemoteAddr, r.Host = tc.peer, tc.host
		for line := range strings.SplitSeq(tc.headers, "\n") {
			if name, value, ok := strings.Cut(line, ": "); ok {
				r.Header.Add(name, value)
			}
		}
		caller, err := anonymous.New("alice").Authenticate(r)
		if (err == nil) != tc.in || (err != nil && !errors.Is(err, auth.ErrElsewhere)) {
			t.Errorf("%s: %v", tc.name, err)
		}
		if err != nil && len(caller.Grants) > 0 {
			t.Errorf("%s: refused, with grants", tc.name)
		}
	}
}

func TestAProxyAndAWebFormAreRefused(t *testing.T) {
	for _, tc := range []struct {
		name, method, kind string
		minor              int // of HTTP/1
		in                 bool
	}{
		{"the web page", "POST", "application/json", 1, true},
		{"the web page, with a charset", "PUT", "application/json; charset=utf-8", 1, true},
		{"a deletion, which no form sends", "DELETE", "", 1, true},
		{"plain proxy_pass", "GET", "", 0, false},
		{"plain proxy_pass of a change", "POST", "application/json", 0, false},
		{"a form", "POST", "text/plain", 1, false},
		{"a form, encoded", "POST", "application/x-www-form-urlencoded", 1, false},
		{"a form with files", "POST", "multipart/form-data; boundary=x", 1, false},
		{"a beacon", "POST", "", 1, false},
		{"a type that hides in a parameter", "POST", "text/plain; application/json", 1, false},
		{"a change without a type", "PUT", "", 1, false},
	} {
		r := httptest.NewRequest(tc.method, "/api/secrets", http.NoBody)
		r.RemoteAddr, r.Host, r.ProtoMinor = "127.0.0.1:5", "127.0.0.1:3000", tc.minor
		if tc.kind != "" {
			r.Header.Set("Content-Type", tc.kind)
		}
		if _, err := anonymous.New("alice").Authenticate(r); (err == nil) != tc.in || (err != nil && !errors.Is(err, auth.ErrElsewhere)) {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}

func TestAnonymousCallersMayDoEverythingButRevealWithOneUsersSecrets(t *testing.T) {
	r := httptest.NewRequest("GET", "/api/secrets", http.NoBody)
	r.RemoteAddr, r.Host = "127.0.0.1:5", "localhost"
	caller, err := anonymous.New("alice").Authenticate(r)
	if err != nil || caller.User != "alice" || caller.Subject != "anonymous" {
		t.Fatalf("got %+v, %v", caller, err)
	}
	for _, owner := range []secret.Owner{secret.User("alice"), secret.User("bob"), secret.App("alice")} {
		for _, action := range append(secret.Actions(), secret.Admin, secret.History, secret.Restore, secret.Destroy, secret.Erase) {
			want := owner == secret.User("alice") &&
				(action == secret.List || action == secret.Create || action == secret.Write || action == secret.Delete)
			if got := caller.May(action, secret.Ref{Owner: owner, Name: "db"}); got != want {
				t.Errorf("May(%s, %s) = %v, want %v", action, owner, got, want)
			}
		}
	}
}
