package fastapi_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"
)

// request sends a path over a socket unchanged; a client library would clean it.
func request(t *testing.T, server *httptest.Server, method, path string) (int, string) {
	t.Helper()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", method, path)
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, strings.TrimSuffix(string(text), "\n")
}

func TestPathParameters(t *testing.T) {
	const id = "0ab6cf0b-5d9a-4a3c-bb76-6e2a1c2f1a00"
	tests := []struct {
		name, path string
		want       int
	}{
		{"plain", "/api/secrets/A", 200},
		{"two slashes", "/api/secrets//", 404},
		{"nothing", "/api/secrets/", 404},
		{"more behind it", "/api/secrets/a/b", 404},
		{"slash at the end", "/api/secrets/a/", 404},
		{"escaped slash", "/api/secrets/a%2Fb", 404},
		{"escaped slash, small letter", "/api/secrets/a%2fb", 404},
		{"only an escaped slash", "/api/secrets/%2F", 404},
		{"slash escaped twice is text", "/api/secrets/a%252Fb", 200},
		{"NUL", "/api/secrets/a%00b", 404},
		{"NUL escaped twice is text", "/api/secrets/a%2500b", 200},
		{"not UTF-8", "/api/secrets/%FF", 404},
		{"not UTF-8, and a slash that is escaped", "/api/secrets/%FF%2F", 404},
		{"half a character", "/api/secrets/%C3", 404},
		{"UTF-8", "/api/secrets/%C3%A9", 200},
		{"UTF-8 as it is", "/api/secrets/é", 200},
		{"not UTF-8 as it is", "/api/secrets/\xff", 404},
		{"percent", "/api/secrets/100%25", 200},
		{"percent and something to keep escaped", "/api/secrets/%25%21%3b", 200},
		{"dots are the API's to judge", "/api/secrets/%2e%2e", 200},
		{"a query is no part of it", "/api/secrets/A?x=/%00", 200},
		{"uuid", "/api/app/" + id + "/secrets/a", 200},
		{"uuid in capitals", "/api/app/" + strings.ToUpper(id) + "/secrets/a", 200},
		{"uuid with an escape", "/api/app/%30" + id[1:] + "/secrets/a", 200},
		{"uuid, slash in the name", "/api/app/" + id + "/secrets/a%2Fb", 404},
		{"no app", "/api/app//secrets/a", 404},
		{"no uuid", "/api/app/zzz/secrets/a", 422},
		{"no uuid and a bad name", "/api/app/zzz/secrets/%00", 404},
		{"NUL for a uuid", "/api/app/%00/secrets/a", 422},
		{"not UTF-8 for a uuid", "/api/app/%FF/secrets/a", 422},
		{"urn", "/api/app/urn:uuid:" + id + "/secrets/a", 200},
		{"urn in capitals", "/api/app/URN:UUID:" + id + "/secrets/a", 422},
		{"urn without its uuid", "/api/app/urn:uuid:/secrets/a", 422},
		{"urn of digits only", "/api/app/urn:uuid:" + strings.ReplaceAll(id, "-", "") + "/secrets/a", 422},
		{"braces", "/api/app/%7B" + strings.ToUpper(id) + "%7D/secrets/a", 200},
		{"one brace", "/api/app/%7B" + id + "/secrets/a", 422},
		{"the other brace", "/api/app/" + id + "%7D/secrets/a", 422},
		{"braces around a urn", "/api/app/%7Burn:uuid:" + id + "%7D/secrets/a", 422},
		{"digits in capitals", "/api/app/" + strings.ToUpper(strings.ReplaceAll(id, "-", "")) + "/secrets/a", 200},
		{"31 digits", "/api/app/" + strings.ReplaceAll(id, "-", "")[1:] + "/secrets/a", 422},
		{"digits beyond ASCII", "/api/app/" + strings.ReplaceAll(id, "-", "")[2:] + "%C4%B0/secrets/a", 422},
		{"any bytes as braces", "/api/app/X" + id + "Y/secrets/a", 422},
		{"no dashes", "/api/app/" + strings.ReplaceAll(id, "-", "") + "/secrets/a", 200},
		{"dash in the wrong place", "/api/app/0ab6cf0b5-d9a-4a3c-bb76-6e2a1c2f1a00/secrets/a", 422},
		{"more than a uuid", "/api/app/" + id + "0/secrets/a", 422},
		{"no hexadecimal digit", "/api/app/" + id[:35] + "g/secrets/a", 422},
	}
	server := httptest.NewServer(newServer(t))
	defer server.Close()
	for _, tc := range tests {
		method := http.MethodDelete
		if strings.Contains(tc.path, "/app/") {
			method = http.MethodGet
		}
		status, answer := request(t, server, method, tc.path)
		if status != tc.want {
			t.Errorf("%s: %s: %d %s, want %d", tc.name, tc.path, status, answer, tc.want)
		}
		uuid := `{"detail":[{"type":"uuid_parsing","loc":["path","app_id"],"msg":"Input should be a valid UUID"}]}`
		if status == 422 && answer != uuid {
			t.Errorf("%s: %s, want %s", tc.name, answer, uuid)
		}
	}
}

func TestUnroutedRequestsAreForEcho(t *testing.T) {
	e := newServer(t)
	for call, want := range map[string]int{
		"GET /":                404,
		"GET /api/secret":      404,
		"PATCH /api/secrets":   405,
		"HEAD /api/secrets":    405,
		"PATCH /api/secrets/a": 405,
		"OPTIONS /api/secrets": 204,
	} {
		method, path, _ := strings.Cut(call, " ")
		if status, answer := send(e, method, path, "", ""); status != want {
			t.Errorf("%s: %d %s, want %d", call, status, answer, want)
		}
	}
}

// A path that is 404 for one method is 404 for all.
func TestUnknownPathsAreNotFoundForEveryMethod(t *testing.T) {
	server := httptest.NewServer(newServer(t))
	defer server.Close()
	for _, path := range []string{
		"/api/secrets/a/b", "/api/secrets/a/", "/api/secrets//", "/api/secrets/a%2Fb", "/api/secrets/a%00", "/api/secrets/%FF", "/api/secrets/a/b%2F",
	} {
		for _, method := range []string{"PATCH", "OPTIONS", "PUT", "DELETE"} {
			if status, answer := request(t, server, method, path); status != http.StatusNotFound {
				t.Errorf("%s %s: %d %s, want 404", method, path, status, answer)
			}
		}
	}
	for _, path := range []string{"/api/secrets/a", "/api/secrets/a%252Fb", "/api/secrets/%2e%2e"} {
		if status, answer := request(t, server, "PATCH", path); status != http.StatusMethodNotAllowed {
			t.Errorf("%s: %d %s, want 405", path, status, answer)
		}
	}
}

func TestARouteThatIsNotInTheDocumentIsRefused(t *testing.T) {
	e := newServer(t)
	e.GET("/api/other/:id", echoParams)
	e.PUT("/api/secrets/:name/x", echoBody)
	e.RouteNotFound("/app/*", func(c echo.Context) error { return c.NoContent(http.StatusOK) })
	for _, call := range []string{
		"GET /api/other/1",
		"PUT /api/secrets/A/x",
		"DELETE /api/secrets", // a route of the fixture's server, but not of its document
		"GET /api/secrets/A",  // the same, with a parameter
		"GET /app/index.html",
	} {
		method, path, _ := strings.Cut(call, " ")
		if status, answer := send(e, method, path, "", `{"name":"n"}`); status != http.StatusInternalServerError {
			t.Errorf("%s: %d %s, want 500", call, status, answer)
		}
	}
}
