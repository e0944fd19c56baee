package contracttest

import (
	"bytes"
	"io"
	"net/http"
	"testing"
)

// get sends a plain request outside of the APIs, which the witness does not check.
func get(t *testing.T, method, url string) (*http.Response, []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	a, err := wire.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	body, err := io.ReadAll(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	return a, body
}

func TestPublicPaths(t *testing.T) {
	s := serve(t)
	for path, want := range map[string]struct {
		contentType string
		body        []byte
	}{
		"/healthz":                  {"text/plain; charset=utf-8", []byte("ok\n")},
		"/readyz":                   {"text/plain; charset=utf-8", []byte("ready\n")},
		"/openapi/openhands.json":   {"application/json", mustReadFile("../../../specs/merged/openhands.json")},
		"/openapi/nx1.json":         {"application/json", mustReadFile("../../../specs/merged/nx1.json")},
		"/openapi/agentserver.json": {"application/json", mustReadFile("../../../specs/merged/agentserver.json")},
		"/openapi/openhandsv1.json": {"application/json", mustReadFile("../../../specs/merged/openhandsv1.json")},
		"/openapi/sandbox.json":     {"application/json", mustReadFile("../../../specs/merged/sandbox.json")},
		"/openapi/vault.json":       {"application/json", mustReadFile("../../../specs/merged/vault.json")},
		"/v1/sys/health":            {"application/json", []byte(`{"initialized":true,"sealed":false,"standby":false}`)},
	} {
		a, body := get(t, "GET", "http://"+s.address+path)
		if a.StatusCode != 200 || !bytes.Equal(body, want.body) || a.Header.Get("Content-Type") != want.contentType {
			t.Errorf("%s: %d %s %s", path, a.StatusCode, a.Header, brief(string(body)))
		}
		for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "OPTIONS"} {
			a, _ := get(t, method, "http://"+s.address+path)
			if a.StatusCode != 405 || a.Header.Get("Allow") != "GET, HEAD" {
				t.Errorf("%s %s: %d, Allow %q, want 405 and GET, HEAD", method, path, a.StatusCode, a.Header.Get("Allow"))
			}
		}
		if a, body := get(t, "HEAD", "http://"+s.address+path); a.StatusCode != 200 || len(body) > 0 {
			t.Errorf("HEAD %s: %d with %d bytes", path, a.StatusCode, len(body))
		}
	}
}

// An API that is not configured has no document and no paths.
func TestOneAPIAlone(t *testing.T) {
	s := serve(t, set("  nx1: {store: embedded, auth: [psk], masked_values: reject}", ""))
	s.openhands(t, admin).get("/api/secrets").wants(200, list())
	for _, path := range []string{secrets, secrets + "/MINE", "/openapi/nx1.json"} {
		if a, body := get(t, "GET", "http://"+s.address+path); a.StatusCode != 401 || string(body) != openhands.noKey {
			t.Errorf("%s: %d %s, want 401 %s", path, a.StatusCode, body, openhands.noKey)
		}
	}
}
