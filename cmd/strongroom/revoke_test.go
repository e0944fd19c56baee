package main_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/auth/apikey"
)

// An unfinished request has sent its headers but not its body.
type unfinished struct {
	conn net.Conn
	from *bufio.Reader
	body string
}

// begin sends the headers of a request and waits until the server asks for the
// body, which it does after authenticating the caller.
func (p *process) begin(t *testing.T, method, path, header, body string) unfinished {
	t.Helper()
	conn, err := net.Dial("tcp", p.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	_, _ = fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: %s\r\n%s\r\nContent-Type: application/json\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n",
		method, path, p.address, header, len(body))
	r := unfinished{conn, bufio.NewReader(conn), body}
	for _, want := range []string{"HTTP/1.1 100 Continue\r\n", "\r\n"} {
		if line, err := r.from.ReadString('\n'); line != want {
			t.Fatalf("%s %s: got %q, %v; want %q", method, path, line, err, want)
		}
	}
	return r
}

// end sends the body and returns the status and body of the answer.
func (r unfinished) end(t *testing.T) (status int, body string) {
	t.Helper()
	if _, err := io.WriteString(r.conn, r.body); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(r.from, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text)
}

func TestRequestChangesNothingIfItsKeyIsRevokedMeanwhile(t *testing.T) {
	t.Parallel()
	i := mustInit(t)
	p := mustServe(t, i)
	p.want(t, 200, "POST", app, i.pskHeader(), `{"secret_name":"db","data":[{"key":"k","value":"kept"}]}`)
	key := i.mustIssue(t, "apikey", "create", "--subject", "ci", "--grant", "{actions: [list, create, write, reveal], owner: "+theApp+"}")
	header := "Authorization-PSK: " + key
	before := p.want(t, 200, "GET", app+"/db", header, "").header.Get("Etag")
	var begun []unfinished
	for _, r := range [][3]string{
		{"PUT", app + "/db", `{"data":[{"key":"k","value":"changed"}]}`},
		{"POST", app, `{"secret_name":"new","data":[]}`},
	} {
		begun = append(begun, p.begin(t, r[0], r[1], header, r[2]))
	}
	i.mustAdminister(t, "apikey", "revoke", "--yes", idIn(key))
	for _, r := range begun {
		if status, text := r.end(t); status != 403 {
			t.Errorf("after the revocation: %d %s, want 403", status, text)
		}
	}
	p.want(t, 404, "GET", app+"/new", i.pskHeader(), "")
	if etag := p.want(t, 200, "GET", app+"/db", i.pskHeader(), "").header.Get("Etag"); etag != before {
		t.Errorf("the secret was changed")
	}
}

func TestRequestChangesNothingIfItsKeyIsRemovedMeanwhile(t *testing.T) {
	t.Parallel()
	i := mustInit(t)
	p := mustServe(t, i)
	header := i.pskHeader()
	removed := p.begin(t, "POST", app, header, `{"secret_name":"new","data":[]}`)
	next, _ := apikey.Generate()
	i.mustEdit(t, "keys/psks.yaml", apikey.HashOf(i.psk).String(), apikey.HashOf(next).String())
	p.mustSay(t, regexp.MustCompile("the config has been reloaded"))
	kept := p.begin(t, "POST", app, "Authorization-PSK: "+next, `{"secret_name":"kept","data":[]}`)
	i.mustEdit(t, "strongroom.yaml", "\nauth:\n", "\n# changed\nauth:\n")
	p.mustSay(t, regexp.MustCompile("(?s)the config has been reloaded.*the config has been reloaded"))
	if status, text := removed.end(t); status != 403 {
		t.Errorf("with the removed API key: %d %s, want 403", status, text)
	}
	if status, text := kept.end(t); status != 200 {
		t.Errorf("with an API key that was kept: %d %s, want 200", status, text)
	}
	p.want(t, 404, "GET", app+"/new", "Authorization-PSK: "+next, "")
}
