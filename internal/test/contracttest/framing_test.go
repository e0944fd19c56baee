package contracttest

import (
	"bufio"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
)

// net/http answers these requests before our code gets them. The test checks that the
// answers quote nothing.
func TestRequestsThatAreNotHTTP(t *testing.T) {
	s := serve(t)
	key := sessionKey + ": " + s.printed[sessionKey] + "\r\n"
	for text, want := range map[string]int{
		"\x16\x03\x01\x02\x00\x01\r\n\r\n":                                                        400,
		"GET /api/secrets/%zz HTTP/1.1\r\nHost: x\r\n" + key + "\r\n":                             400,
		"GET /api/secrets/% HTTP/1.1\r\nHost: x\r\n" + key + "\r\n":                               400,
		"GET /api/secrets/\x00 HTTP/1.1\r\nHost: x\r\n" + key + "\r\n":                            400,
		"GET /api/secrets/a b HTTP/1.1\r\nHost: x\r\n" + key + "\r\n":                             400,
		"GET " + canary + " HTTP/1.1\r\nHost: x\r\n" + key + "\r\n":                               400,
		"GET /api/secrets HTTP/1.1\r\n" + key + "\r\n":                                            400, // no host
		"GET /api/secrets HTTP/1.1\r\nHost: x\r\nHost: y\r\n" + key + "\r\n":                      400,
		"GET /api/secrets HTTP/1.1\r\nHost: x\r\n" + canary + "\r\n\r\n":                          400,
		"GET /api/secrets HTTP/1.1\r\nHost: x\r\nX: \x00\r\n" + key + "\r\n":                      400,
		"POST /api/secrets HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n":                     400,
		"POST /api/secrets HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n": 400,
		"POST /api/secrets HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n":                501,
		"GET /api/secrets HTTP/3.0\r\nHost: x\r\n\r\n":                                            505,
		"GET /api/secrets HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 70<<10) + "\r\n\r\n":  431,
		"GET /api/secrets HTTP/1.1\r\nHost: x\r\nExpect: " + canary + "\r\n" + key + "\r\n":       417,
	} {
		if a := s.stranger(t).exchange(text, "GET"); a.status != want || leaks(a.body) {
			t.Errorf("%q: %d %s, want %d", brief(text), a.status, a.body, want)
		}
	}
}

// An incomplete request changes nothing.
func TestABodyThatBreaksOff(t *testing.T) {
	s := serve(t)
	inBoth(t, func(t *testing.T, d dialect) {
		c := s.caller(t, d.key, admin)
		conn, err := net.Dial("tcp", s.address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_, err = io.WriteString(conn, c.with("Content-Length", "100").write("POST", d.create, d.draft("MINE")[:20]))
		if err := errors.Join(err, conn.(*net.TCPConn).CloseWrite()); err != nil {
			t.Fatal(err)
		}
		c.read(bufio.NewReader(conn), "POST "+d.create, "POST").wants(400, d.unreadable)
	})
}
