package contracttest

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
)

// raw sends a request unchanged; a client library would clean the path or refuse it. Host
// and Content-Length are added if missing.
func (c caller) raw(method, target, body string) answer {
	c.t.Helper()
	return c.send(c.write(method, target, body))
}

func (c caller) write(method, target, body string) string {
	lines := []string{method + " " + target + " HTTP/1.1", "Connection: close"}
	framed := false
	for _, name := range slices.Sorted(maps.Keys(c.header)) {
		for _, value := range c.header[name] {
			lines = append(lines, name+": "+value)
		}
		framed = framed || slices.Contains([]string{"Content-Length", "Transfer-Encoding"}, name)
	}
	if c.header.Get("Host") == "" {
		lines = append(lines, "Host: localhost")
	}
	if body != "" && !framed {
		lines = append(lines, fmt.Sprintf("Content-Length: %d", len(body)))
	}
	return strings.Join(lines, "\r\n") + "\r\n\r\n" + body
}

// send writes a request to the socket and passes the answer to the witness.
func (c caller) send(text string) answer {
	c.t.Helper()
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text)))
	if err != nil {
		c.t.Fatalf("%q: %v", brief(text), err)
	}
	a := c.exchange(text, r.Method)
	sent, _ := io.ReadAll(r.Body) // the part that arrived
	w := &witness{odd: c.odd}
	w.saw(r, sent, a)
	w.report(a)
	return a
}

// exchange writes a text to the socket and reads an answer.
func (c caller) exchange(text, method string) answer {
	c.t.Helper()
	conn, err := net.Dial("tcp", c.address)
	if err != nil {
		c.t.Fatal(err)
	}
	defer conn.Close()
	// The server may stop reading, so this may fail. It ends with the connection.
	go func() { _, _ = io.WriteString(conn, text) }()
	line, _, _ := strings.Cut(text, "\r\n")
	return c.read(bufio.NewReader(conn), brief(line), method)
}

func (c caller) read(conn *bufio.Reader, call, method string) answer {
	c.t.Helper()
	w, err := http.ReadResponse(conn, &http.Request{Method: method})
	if err != nil {
		c.t.Fatalf("%s: reading the answer: %v", call, err)
	}
	if w.StatusCode == http.StatusContinue {
		return c.read(conn, call, method)
	}
	defer w.Body.Close()
	body, err := io.ReadAll(w.Body)
	if err != nil {
		c.t.Fatalf("%s: reading the answer: %v", call, err)
	}
	return answer{c.t, call, w.StatusCode, w.Header, string(body)}
}

// chunked returns a body in one chunk.
func chunked(body string) string { return fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body), body) }
