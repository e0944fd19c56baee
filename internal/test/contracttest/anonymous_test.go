package contracttest

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"
)

// open returns a server that local clients may use without a key, on both APIs.
func open(t *testing.T) *server {
	return serve(t,
		set("auth:\n", "auth:\n  here: {anonymous: {}}\n"),
		set("auth: [session-key]", "auth: [session-key, here]"),
		set("auth: [psk]", "auth: [psk, here]"))
}

func TestAnonymousCallersMayDoAllButReveal(t *testing.T) {
	s := open(t)
	c := s.stranger(t)
	c.get("/api/secrets").wants(200, list())
	c.post("/api/secrets", custom("A")).wants(201, created)
	c.put("/api/secrets/A", `{"name":"MINE"}`).wants(200, updated)
	s.openhands(t, admin).get("/api/secrets").wants(200, list("MINE"))
	s.openhands(t, "bob").get("/api/secrets").wants(200, list())
	c.delete("/api/secrets/MINE").wants(200, deleted)

	// They have no right on apps, so they cannot reveal anything.
	s.undisturbed(t, func() {
		c.get(secrets).wants(403, nx1.forbidden)
		c.get(nx1.path).wants(403, nx1.forbidden)
		c.get(nx1.path+"/reveal").wants(403, nx1.forbidden)
		c.post(secrets, secret("NEW", "K", canary)).wants(403, nx1.forbidden)
		c.put(nx1.path, nx1.update).wants(403, nx1.forbidden)
		c.delete(nx1.path).wants(403, nx1.forbidden)
	})
}

// A wrong key is refused; it does not fall back to anonymous access.
func TestAWrongKeyIsNotAnonymous(t *testing.T) {
	s := open(t)
	s.openhands(t, "nobody").get("/api/secrets").wants(403, openhands.forbidden)
	for _, value := range []string{canary, ""} {
		s.stranger(t).with(sessionKey, value).raw("GET", "/api/secrets", "").wants(401, openhands.badKey)
	}
}

// Any web page can make a browser on this machine send requests here.
func TestAnonymousCallersAreThoseOnThisMachine(t *testing.T) {
	s := open(t)
	s.undisturbed(t, func() {
		for header, in := range origins {
			name, value, _ := strings.Cut(header, ": ")
			c := s.stranger(t).with(name, value)
			if in {
				c.raw("GET", "/api/secrets", "").wants(200, list("MINE"))
			} else {
				c.wantsRefusalWithoutAKey()
			}
			if t.Failed() {
				t.Fatalf("that was %s", header)
			}
		}
		s.stranger(t).with("Origin", "http://localhost").with("Origin", "https://evil.example").wantsRefusalWithoutAKey()
	})
}

// wantsRefusalWithoutAKey checks that the request is refused without a key. With a key
// its origin does not matter.
func (c caller) wantsRefusalWithoutAKey() {
	c.t.Helper()
	c.raw("GET", openhands.create, "").wants(403, openhands.forbidden)
	c.raw("POST", openhands.create, custom("HACKED")).wants(403, openhands.forbidden)
	c.raw("PUT", openhands.path, `{"name":"HACKED"}`).wants(403, openhands.forbidden)
	c.raw("DELETE", openhands.path, "").wants(403, openhands.forbidden)
	c.raw("GET", "/api/nothing", "").wants(403, openhands.forbidden)
	c.raw("GET", nx1.path+"/reveal", "").wants(403, nx1.forbidden)
	c.with(sessionKey, c.printed[sessionKey]).raw("GET", openhands.create, "").wants(200, list("MINE"))
}

// origins maps headers to whether a request with them counts as local.
var origins = map[string]bool{
	"Host: localhost":              true,
	"Host: localhost:3000":         true,
	"Host: 127.0.0.1":              true,
	"Host: 127.0.0.1:3000":         true,
	"Host: [::1]":                  true,
	"Host: [::1]:3000":             true,
	"Host: evil.example":           false,
	"Host: evil.example:3000":      false,
	"Host: localhost.evil.example": false,
	"Host: 127.0.0.1.evil.example": false,
	"Host: evil-localhost":         false,
	"Host: 127.0.0.2":              false,
	"Host: 0.0.0.0":                false,
	"Host: [::]":                   false,
	"Host: 192.168.0.1":            false,

	"Origin: http://localhost:3001":          true,
	"Origin: http://127.0.0.1":               true,
	"Origin: http://[::1]:8080":              true,
	"Origin: https://evil.example":           false,
	"Origin: https://localhost.evil.example": false,
	"Origin: https://evil.example/localhost": false,
	"Origin: http://localhost@evil.example":  false,
	"Origin: null":                           false,
	"Origin: ":                               false,
	"Origin: file://":                        false,

	"Sec-Fetch-Site: none":        true,
	"Sec-Fetch-Site: same-origin": true,
	"Sec-Fetch-Site: same-site":   true,
	"Sec-Fetch-Site: cross-site":  false,

	"X-Forwarded-For: 127.0.0.1": false,
	"X-Forwarded-For: ":          false,
	"X-Real-IP: 127.0.0.1":       false,
	"Forwarded: for=127.0.0.1":   false,
}

// Anonymous access is for local clients, so the server does not start on another address.
func TestAnonymousAccessNeedsLoopback(t *testing.T) {
	dir := t.TempDir()
	initialize(t, dir)
	set("auth:\n", "auth:\n  here: {anonymous: {}}\n")(t, dir)
	out, err := run(t, "serve", "--config", dir+"/strongroom.yaml", "--listen", "0.0.0.0:0").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "auth.here.anonymous: needs a listen.address on loopback") {
		t.Errorf("got %s, want a complaint", out)
	}
}

// Plain proxy_pass of nginx speaks HTTP/1.0, and gives its own address as the host:
// nothing else distinguishes it from a program on this machine.
func TestAPlainProxyAndAFormAreNotAnonymous(t *testing.T) {
	s := open(t)
	s.undisturbed(t, func() {
		for _, request := range []string{
			"GET /api/secrets HTTP/1.0\r\nHost: 127.0.0.1:3000\r\nConnection: close\r\n\r\n",
			"POST /api/secrets HTTP/1.0\r\nHost: 127.0.0.1:3000\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
			"POST /api/secrets HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/plain\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}",
		} {
			conn, err := net.Dial("tcp", s.address)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.WriteString(conn, request)
			line, _ := bufio.NewReader(conn).ReadString('\n')
			_ = conn.Close()
			if !strings.Contains(line, " 403 ") {
				t.Errorf("%q: got %q, want a 403", request, line)
			}
		}
	})
}
