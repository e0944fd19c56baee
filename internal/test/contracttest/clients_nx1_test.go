package contracttest

import (
	"encoding/json"
	"strings"
	"testing"
)

// Nx1's SDK uses Python's requests. It sends a content type with every call, even without a
// body, and does not escape path segments.
const nx1Headers = `
Host: HOST
User-Agent: python-requests/2.34.2
Accept-Encoding: gzip, deflate
Accept: */*
Connection: keep-alive
Authorization-PSK: KEY
Content-Type: application/json`

const nx1Body = "\nContent-Length: LENGTH"

func nx1SDK(t *testing.T) {
	s := serve(t)
	call := func(method, path, body string) answer {
		t.Helper()
		headers := nx1Headers
		if body != "" {
			headers += nx1Body
		} else if method == "DELETE" {
			headers += "\nContent-Length: 0"
		}
		a := s.sends(t, s.printed[psk], method+" "+secrets+path+" HTTP/1.1"+headers+"\n\n"+body)
		if !json.Valid([]byte(a.body)) {
			t.Errorf("%s: %q is no JSON", a.call, a.body)
		}
		return a
	}
	call("GET", "", "").wants(200, `[]`)
	call("POST", "", `{"secret_name": "db", "data": [{"key": "USER", "value": "app-user"}, {"key": "PASSWORD", "value": "`+canary+` \u00e9"}]}`).
		wants(200, shown("db", "PASSWORD", "****", "USER", "****"))
	call("GET", "", "").wants(200, `[`+shown("db", "PASSWORD", "****", "USER", "****")+`]`)
	call("GET", "/db", "").wants(200, shown("db", "PASSWORD", "****", "USER", "****"))
	call("GET", "/db/reveal", "").wants(200, shown("db", "PASSWORD", canary+" é", "USER", "app-user"))
	call("PUT", "/db", `{"data": [{"key": "PASSWORD", "value": "`+canary+`2"}]}`).wants(200, shown("db", "PASSWORD", "****"))
	call("DELETE", "/db", "").wants(200, `{"success":true,"message":"Secret deleted successfully."}`)
	// Every legal name works unescaped in a path.
	call("POST", "", `{"secret_name": "_a__b_", "data": []}`).wants(200, shown("_a__b_"))
	call("GET", "/_a__b_", "").wants(200, shown("_a__b_"))
	for _, name := range []string{"a b", "a/b", "a?b", "a#b", "a%2Fb", "é"} {
		call("POST", "", `{"secret_name": "`+name+`", "data": []}`).wantsStatus(400)
	}
}

// Its users see the body of an answer in Python's representation, and never the status.
func nx1SDKErrors(t *testing.T) {
	s := serve(t)
	for _, tc := range []struct {
		key, method, path, body string
		status                  int
		says                    string
	}{
		{canary, "GET", "", "", 401, "The credential is not valid."},
		{keyOf("nobody", psk), "GET", "", "", 403, "Forbidden."},
		{keyOf("lister", psk), "GET", "/db/reveal", "", 403, "Forbidden."},
		{s.printed[psk], "GET", "/db", "", 404, "Secret not found."},
		{s.printed[psk], "GET", "/db/reveal", "", 404, "Secret not found."},
		{s.printed[psk], "PUT", "/db", `{"data": []}`, 404, "Secret not found."},
		{s.printed[psk], "DELETE", "/db", "", 404, "Secret not found."},
		{s.printed[psk], "GET", "/a/b", "", 404, "Not Found."},
		{s.printed[psk], "POST", "", `{"secret_name": "a b", "data": []}`, 400, "secret_name: must be 1 to 253 letters"},
		{s.printed[psk], "PUT", "/db", `{"data": [{"key": "K", "value": "****"}]}`, 400, "data[0].value: K: is the mask ****: send the real value"},
		{s.printed[psk], "POST", "", `{"data": []}`, 422, "Field required"},
	} {
		headers := nx1Headers
		if tc.body != "" {
			headers += nx1Body
		}
		a := s.sends(t, tc.key, tc.method+" "+secrets+tc.path+" HTTP/1.1"+headers+"\n\n"+tc.body).wantsStatus(tc.status)
		if !json.Valid([]byte(a.body)) || !strings.Contains(a.body, tc.says) {
			t.Errorf("%s: %s, want JSON that says %q", a.call, a.body, tc.says)
		}
	}
}
