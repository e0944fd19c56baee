package main_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// A request goes to the server's address or to the administration socket.
// Headers are written "Name: value".
type request struct {
	method, path string
	headers      []string
	body         string
}

// send returns an error unless the complete answer arrived.
func send(t *testing.T, client *http.Client, base string, r request) (answer, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), r.method, base+r.path, strings.NewReader(r.body))
	if err != nil {
		t.Fatal(err)
	}
	for _, header := range r.headers {
		name, value, _ := strings.Cut(header, ": ")
		req.Header.Set(name, value)
	}
	if r.body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(text)}, err
}

func (p *process) send(t *testing.T, r request) (answer, error) {
	t.Helper()
	return send(t, p.client, "http://"+p.address, r)
}

// An adminSocket sends requests to the administration socket of a server.
type adminSocket struct{ client *http.Client }

func (i install) adminSocket() adminSocket {
	transport := i.transport()
	transport.MaxIdleConnsPerHost = 64
	return adminSocket{&http.Client{Transport: transport, Timeout: patience}}
}

func (a adminSocket) try(t *testing.T, path, body string) (answer, error) {
	t.Helper()
	return send(t, a.client, "http://admin", request{method: "POST", path: "/strongroom/v1" + path, body: body})
}

func (a adminSocket) want(t *testing.T, status int, path, body string) answer {
	t.Helper()
	got, err := a.try(t, path, body)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	if got.status != status {
		t.Errorf("%s: status %d, want %d: %s", path, got.status, status, got.body)
	}
	return got
}

// secretRef and ownerRef return the JSON forms of a secret and an owner in the
// administration API.
func secretRef(owner, name string) string {
	return fmt.Sprintf(`{"store":"embedded","owner":%q,"name":%q}`, owner, name)
}

func ownerRef(owner string) string { return fmt.Sprintf(`{"store":"embedded","owner":%q}`, owner) }
