package kubetest

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// A Request is an entry of the API server's own audit log.
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

// Requests returns the requests on a namespace in the order in which the API
// server began to serve them. It includes every answered request, because the
// API server logs a request before it serves it.
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
			continue // the last line may be incomplete
		}
		if r.Stage == "RequestReceived" && r.Object.Namespace == namespace {
			requests = append(requests, r)
		}
	}
	return requests
}
