package contracttest

import (
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// The headers that carry keys.
const (
	sessionKey = "X-Session-API-Key"
	psk        = "Authorization-PSK"
	vaultToken = "X-Vault-Token"
)

// A caller sends requests to a server with one person's key:
//
//	s.nx1(t, "lister").delete(path).wants(403, `{"error":"Forbidden.","code":403}`)
type caller struct {
	t *testing.T
	*server
	header http.Header
	odd    bool // see witness
}

// openhands returns a caller with a session key, nx1 one with a pre-shared key.
func (s *server) openhands(t *testing.T, who string) caller { return s.caller(t, sessionKey, who) }
func (s *server) nx1(t *testing.T, who string) caller       { return s.caller(t, psk, who) }

func (s *server) vault(t *testing.T, who string) caller { return s.caller(t, vaultToken, who) }

func (s *server) caller(t *testing.T, header, who string) caller {
	key := s.printed[header]
	if who != admin {
		if _, known := people[who]; !known {
			t.Fatalf("who is %s?", who)
		}
		key = keyOf(who, header)
	}
	return s.stranger(t).with(header, key)
}

// stranger returns a caller without a key.
func (s *server) stranger(t *testing.T) caller { return caller{t: t, server: s, header: http.Header{}} }

// with returns the caller with one more header.
func (c caller) with(header, value string) caller {
	c.header = c.header.Clone()
	c.header[header] = append(c.header[header], value) // without canonicalization
	return c
}

// on returns the caller for a subtest.
func (c caller) on(t *testing.T) caller {
	c.t = t
	return c
}

func (c caller) get(path string) answer        { c.t.Helper(); return c.do("GET", path, "") }
func (c caller) post(path, body string) answer { c.t.Helper(); return c.do("POST", path, body) }
func (c caller) put(path, body string) answer  { c.t.Helper(); return c.do("PUT", path, body) }
func (c caller) delete(path string) answer     { c.t.Helper(); return c.do("DELETE", path, "") }

// do sends a body, if there is one, as JSON unless the caller sets another type.
func (c caller) do(method, path, text string) answer {
	c.t.Helper()
	r, err := http.NewRequestWithContext(c.t.Context(), method, "http://"+c.address+path, strings.NewReader(text))
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header = c.header.Clone()
	if _, set := r.Header["Content-Type"]; !set && text != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if host := r.Header.Get("Host"); host != "" {
		r.Host = host
	}
	w := &witness{odd: c.odd}
	response, err := w.RoundTrip(r)
	if err != nil {
		c.t.Fatalf("%s %s: %v", method, path, err)
	}
	body, _ := io.ReadAll(response.Body) // the witness has read it already
	a := answer{c.t, method + " " + brief(path), response.StatusCode, response.Header, string(body)}
	w.report(a)
	return a
}

// An answer is a response that has been read.
type answer struct {
	t      *testing.T
	call   string // for messages
	status int
	header http.Header
	body   string
}

// The creation time is the only part that differs from run to run.
var moment = regexp.MustCompile(`"created_at":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"`)

// wants checks the status and every byte of the body. NOW stands for a time.
func (a answer) wants(status int, body string) answer {
	a.t.Helper()
	got := moment.ReplaceAllString(a.body, `"created_at":"NOW"`)
	if a.status != status || got != body {
		a.t.Errorf("%s:\n got %d %s\nwant %d %s", a.call, a.status, brief(got), status, brief(body))
	}
	if got := a.header.Values("Content-Type"); body != "" && (len(got) != 1 || got[0] != "application/json") {
		a.t.Errorf("%s: content type %q, want application/json alone", a.call, got)
	}
	return a
}

func (a answer) wantsStatus(want int) answer {
	a.t.Helper()
	if a.status != want {
		a.t.Errorf("%s: got %d %s, want %d", a.call, a.status, brief(a.body), want)
	}
	return a
}

func (a answer) wantsHeader(name, want string) answer {
	a.t.Helper()
	if got := strings.Join(a.header.Values(name), " | "); got != want {
		a.t.Errorf("%s: %s is %q, want %q", a.call, name, got, want)
	}
	return a
}

var strongTag = regexp.MustCompile(`^"[!#-~]+"$`)

// etag returns the entity tag, which must be a strong one.
func (a answer) etag() string {
	a.t.Helper()
	tag := a.header.Get("ETag")
	if !strongTag.MatchString(tag) {
		a.t.Errorf("%s: ETag is %q, want a strong one", a.call, tag)
	}
	return tag
}

// brief shortens long texts for messages.
func brief(s string) string {
	if len(s) > 2000 {
		return s[:1000] + " … " + s[len(s)-1000:]
	}
	return s
}
