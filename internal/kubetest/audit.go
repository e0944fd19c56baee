package kubetest

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// A Request is what the API server's own audit log says of one.
type Request struct {
	ID        string `json:"auditID"`
	Stage     string `json:"stage"`
	Verb      string `json:"verb"`
	URI       string `json:"requestURI"`
	UserAgent string `json:"userAgent"`
	User      struct {
		Username string `json:"username"`
	} `json:"user"`
	Object struct {
		Resource, Namespace, Name string
	} `json:"objectRef"`
}

// Requests returns those that the API server began to serve on a namespace, in
// their order. Whatever was answered is among them: a request goes on record
// before it is served.
func (s *Server) Requests(t testing.TB, namespace string) (requests []Request) {
	t.Helper()
	f, err := os.Open(filepath.Join(s.dir, "audit.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var r Request
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			continue // the last line may be under way
		}
		if r.Stage == "RequestReceived" && r.Object.Namespace == namespace {
			requests = append(requests, r)
		}
	}
	return requests
}
