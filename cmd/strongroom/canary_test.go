package main_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"go.etcd.io/bbolt"
)

// canary is put in every place where a client could send a secret, including
// all the wrong ones. It must not appear in any log or file.
const canary = "cAnArY0c0ffee"

// canaryRequests each carry the canary in a different place.
var canaryRequests = []struct{ where, method, path, header, body string }{
	{"value", "POST", app, "psk", `{"secret_name":"a","data":[{"key":"k","value":"cAnArY0c0ffee"}]}`},
	{"value again", "PUT", app + "/a", "psk", `{"data":[{"key":"k","value":"cAnArY0c0ffee"}]}`},
	{"value, revealed", "GET", app + "/a/reveal", "psk", ""},
	{"value, name taken", "POST", app, "psk", `{"secret_name":"a","data":[{"key":"k","value":"cAnArY0c0ffee"}]}`},
	{"name", "POST", app, "psk", `{"secret_name":"cAnArY0c0ffee","data":[]}`},
	{"name in the path", "GET", app + "/cAnArY0c0ffee", "psk", ""},
	{"name deleted", "DELETE", app + "/cAnArY0c0ffee", "psk", ""},
	{"name that is none", "POST", app, "psk", `{"secret_name":"cAnArY0c0ffee /","data":[]}`},
	{"key", "PUT", app + "/a", "psk", `{"data":[{"key":"cAnArY0c0ffee","value":"v"}]}`},
	{"key that is none", "PUT", app + "/a", "psk", `{"data":[{"key":"cAnArY0c0ffee=","value":"v"}]}`},
	{"key twice", "PUT", app + "/a", "psk", `{"data":[{"key":"cAnArY0c0ffee","value":"v"},{"key":"cAnArY0c0ffee","value":"v"}]}`},
	{"unknown member", "PUT", app + "/a", "psk", `{"data":[],"cAnArY0c0ffee":"cAnArY0c0ffee"}`},
	{"number for a value", "PUT", app + "/a", "psk", `{"data":[{"key":"cAnArY0c0ffee","value":7}]}`},
	{"value for a list", "PUT", app + "/a", "psk", `{"data":"cAnArY0c0ffee"}`},
	{"broken JSON", "PUT", app + "/a", "psk", `{"data":[{"key":"k","value":"cAnArY0c0ffee`},
	{"no JSON", "PUT", app + "/a", "psk", `cAnArY0c0ffee`},
	{"no text", "PUT", app + "/a", "psk", "\"cAnArY0c0ffee\xff\""},
	{"app", "GET", "/api/app/cAnArY0c0ffee/secrets", "psk", ""},
	{"unknown path", "GET", "/api/cAnArY0c0ffee", "psk", ""},
	{"query", "GET", app + "?key=cAnArY0c0ffee", "psk", ""},
	{"too large", "PUT", app + "/a", "psk", `{"data":[{"key":"k","value":"` + strings.Repeat("cAnArY0c0ffee", 400_000) + `"}]}`},
	{"If-Match", "PUT", app + "/a", "If-Match: cAnArY0c0ffee", `{"data":[]}`},
	{"value of OpenHands", "POST", "/api/secrets", "session", `{"name":"A","value":"cAnArY0c0ffee","description":"cAnArY0c0ffee"}`},
	{"name of OpenHands", "PUT", "/api/secrets/A", "session", `{"name":"cAnArY0c0ffee","description":"cAnArY0c0ffee"}`},
	{"name of OpenHands in the path", "DELETE", "/api/secrets/no%2fcAnArY0c0ffee", "session", ""},
	{"wrong key", "GET", app, "Authorization-PSK: srk_cAnArY0c0ffee", ""},
	{"wrong session key", "GET", "/api/secrets", "X-Session-API-Key: cAnArY0c0ffee", ""},
	{"bearer token", "GET", app, "Authorization: Bearer cAnArY0c0ffee", ""},
	{"cookie", "GET", app, "Cookie: session=cAnArY0c0ffee", ""},
	{"request id", "GET", app, "X-Request-ID: cAnArY0c0ffee", ""},
	{"forwarded", "GET", app, "X-Forwarded-For: cAnArY0c0ffee", ""},
	{"method", "CANARYcAnArY0c0ffee", app, "psk", ""},
	{"health", "GET", "/readyz?cAnArY0c0ffee", "", "cAnArY0c0ffee"},
}

func TestLogAndFilesContainNoValueOrKey(t *testing.T) {
	t.Parallel()
	i := mustInit(t)
	p := mustServe(t, i)
	for _, req := range canaryRequests {
		header := strings.NewReplacer("psk", i.pskHeader(), "session", i.sessionHeader()).Replace(req.header)
		if strings.Contains(req.header, ": ") {
			header = req.header
		}
		a := p.mustDo(t, req.method, req.path, header, req.body)
		if a.status >= 500 {
			t.Errorf("%s: status %d", req.where, a.status)
		}
	}
	sendNonsense(t, p.address)
	log := p.mustStop(t)
	for name, content := range mustSnapshot(t, i.dir) {
		if strings.Contains(content, canary) {
			t.Errorf("the canary is in the file %s", name)
		}
	}
	mustNotTell(t, i, log)

	// Again, after damage that makes requests fail and log errors.
	spoilValues(t, i)
	i.mustAdminister(t, "audit", "mend", "--yes") // accepts the file as it is
	p = mustServe(t, i)
	p.want(t, 500, "GET", app+"/a/reveal", i.pskHeader(), "")
	p.want(t, 500, "GET", app+"/a/reveal?cAnArY0c0ffee", i.pskHeader(), "")
	log = p.mustStop(t)
	if !strings.Contains(log, `msg="request failed"`) {
		t.Errorf("the log lacks the failed request:\n%s", log)
	}
	mustNotTell(t, i, log)
}

// sendNonsense sends bytes that are not valid HTTP.
func sendNonsense(t *testing.T, address string) {
	t.Helper()
	for _, text := range []string{
		canary + "\r\n\r\n",
		"GET /" + canary + " HTTP/9.9\r\n\r\n",
		"GET / HTTP/1.1\r\n" + canary + "\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: " + canary + "\r\nConnection: close\r\n\r\n",
		"POST " + app + " HTTP/1.1\r\nHost: x\r\nContent-Length: " + canary + "\r\n\r\n",
		"POST " + app + " HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n" + canary + "\r\n",
		"\x16\x03\x01 " + canary + "\r\n\r\n",
	} {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, text); err != nil {
			t.Fatal(err)
		}
		// Wait until the server answers or closes the connection.
		_, _ = io.ReadAll(conn)
		_ = conn.Close()
	}
}

func mustNotTell(t *testing.T, i install, log string) {
	t.Helper()
	for _, told := range []string{canary, i.psk, i.sessionKey, strings.TrimSpace(mustRead(t, i.path("keys/state.key")))} {
		if at := strings.Index(log, told); at >= 0 {
			t.Errorf("the log has the canary or a key:\n…%s…", log[max(0, at-200):min(len(log), at+200)])
		}
	}
}

// spoilValues damages all values, so that revealing them fails.
func spoilValues(t *testing.T, i install) {
	t.Helper()
	mustChangeState(t, i, func(tx *bbolt.Tx) error {
		values := tx.Bucket([]byte("store/embedded/past"))
		if values == nil {
			return errors.New("the state file has no values")
		}
		var keys [][]byte
		err := values.ForEach(func(key, _ []byte) error {
			keys = append(keys, append([]byte(nil), key...))
			return nil
		})
		for _, key := range keys {
			err = errors.Join(err, values.Put(key, fmt.Appendf(nil, "spoilt %s", canary)))
		}
		return err
	})
}
