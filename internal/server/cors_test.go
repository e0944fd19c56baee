package server_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/internal/server"
)

// askFrom sends a request with these headers, written as "Name: value".
func askFrom(h http.Handler, method string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "/api/secrets", nil)
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		r.Header.Add(name, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestPagesOfAllowedOriginsGetCORSHeaders(t *testing.T) {
	const page = "https://canvas.example"
	api := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "api "+r.Method) })
	h := server.CORS([]string{"http://localhost:3001", page}, api)
	for _, tc := range []struct {
		name    string
		method  string
		headers []string
		status  int
		body    string
		want    map[string]string
	}{
		{"no page", "GET", nil, 200, "api GET", map[string]string{"Vary": "Origin"}},
		{"a page", "PUT", []string{"Origin: " + page}, 200, "api PUT", map[string]string{
			"Access-Control-Allow-Origin": page, "Access-Control-Allow-Credentials": "true", "Vary": "Origin",
			"Access-Control-Expose-Headers": "ETag, Retry-After, X-Request-Id, X-Strongroom-Warning",
		}},
		{"a page of another origin", "GET", []string{"Origin: https://evil.example"}, 200, "api GET", map[string]string{"Vary": "Origin"}},
		{"almost the page", "GET", []string{"Origin: " + page + ".evil.example"}, 200, "api GET", nil},
		{"the page on another port", "GET", []string{"Origin: " + page + ":8443"}, 200, "api GET", nil},
		{"the page without encryption", "GET", []string{"Origin: http://canvas.example"}, 200, "api GET", nil},
		{"a page without an origin", "GET", []string{"Origin: null"}, 200, "api GET", nil},
		{"two pages", "GET", []string{"Origin: " + page, "Origin: " + page}, 200, "api GET", nil},
		{"a preflight", "OPTIONS", []string{
			"Origin: " + page, "Access-Control-Request-Method: PUT", "Access-Control-Request-Headers: content-type,x-session-api-key",
		}, 204, "", map[string]string{
			"Access-Control-Allow-Origin": page, "Access-Control-Allow-Methods": "GET, POST, PUT, DELETE", "Access-Control-Max-Age": "600",
			"Access-Control-Allow-Headers": "content-type,x-session-api-key", "Access-Control-Allow-Credentials": "true",
			"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Vary": "Origin",
		}},
		{"a preflight that asks for no header", "OPTIONS", []string{"Origin: " + page, "Access-Control-Request-Method: GET"}, 204, "", nil},
		{"a preflight with invalid header names", "OPTIONS", []string{
			"Origin: " + page, "Access-Control-Request-Method: GET", "Access-Control-Request-Headers: <script>",
		}, 204, "", nil},
		{"a preflight with too many header names", "OPTIONS", []string{
			"Origin: " + page, "Access-Control-Request-Method: GET", "Access-Control-Request-Headers: " + strings.Repeat("x", 1025),
		}, 204, "", nil},
		{"options, which are no preflight", "OPTIONS", []string{"Origin: " + page}, 200, "api OPTIONS", nil},
		{"a preflight of another page", "OPTIONS", []string{
			"Origin: https://evil.example", "Access-Control-Request-Method: PUT",
		}, 200, "api OPTIONS", map[string]string{"Vary": "Origin"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := askFrom(h, tc.method, tc.headers...)
			if w.Code != tc.status || w.Body.String() != tc.body {
				t.Errorf("got %d %q, want %d %q", w.Code, w.Body, tc.status, tc.body)
			}
			for name, want := range tc.want {
				if got := strings.Join(w.Header().Values(name), " | "); got != want {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
			if w.Header().Get("Access-Control-Allow-Headers") != "" && tc.want["Access-Control-Allow-Headers"] == "" {
				t.Errorf("the answer allows headers: %v", w.Header())
			}
			allowed := w.Header().Get("Access-Control-Allow-Origin") != ""
			if ours := len(tc.headers) > 0 && tc.headers[0] == "Origin: "+page && tc.name != "two pages"; allowed != ours {
				t.Errorf("the answer has CORS headers for the page: %v, want %v", allowed, ours)
			}
			if id := w.Header().Get("X-Request-Id"); tc.status == 204 && len(id) != 26 {
				t.Errorf("the request id is %q", id)
			}
		})
	}
}

func TestWithoutOriginsThereIsNoCORS(t *testing.T) {
	api := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) })
	w := askFrom(server.CORS(nil, api), "OPTIONS", "Origin: http://localhost:3000", "Access-Control-Request-Method: GET")
	if w.Code != 401 || len(w.Header()) > 0 {
		t.Errorf("got %d with %v", w.Code, w.Header())
	}
}
