package server_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/strongroom/strongroom/internal/server"
)

func named(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, name+" "+r.URL.EscapedPath()) })
}

func newFront(ready error, log *slog.Logger) *server.Front {
	f := server.NewFront(func(context.Context) error { return ready }, log)
	f.Mount("/api/app", named("nx1"))
	f.Mount("/api/secrets", named("openhands"))
	f.Publish("/openapi/nx1.json", []byte(`{"a":1}`))
	f.PublishHealth("/v1/sys/health", func(ready bool) (int, []byte) {
		if ready {
			return http.StatusOK, []byte(`{"sealed":false}`)
		}
		return http.StatusServiceUnavailable, []byte(`{"sealed":true}`)
	})
	return f
}

func ask(h http.Handler, method, target string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, target, nil))
	return w
}

func TestFrontRoutesEachPathToItsAPI(t *testing.T) {
	f := newFront(nil, slog.New(slog.DiscardHandler))
	for _, tc := range []struct {
		method, path string
		status       int
		body         string
	}{
		{"GET", "/api/app", 200, "nx1 /api/app"},
		{"GET", "/api/app/x/secrets", 200, "nx1 /api/app/x/secrets"},
		{"DELETE", "/api/app/x", 200, "nx1 /api/app/x"},
		{"GET", "/api/secrets", 200, "openhands /api/secrets"},
		{"PUT", "/api/secrets/A", 200, "openhands /api/secrets/A"},
		// An unclaimed path goes to the last API, uncleaned.
		{"GET", "/", 200, "openhands /"},
		{"GET", "/api/apps", 200, "openhands /api/apps"},
		{"GET", "/api/app.", 200, "openhands /api/app."},
		{"GET", "/API/app", 200, "openhands /API/app"},
		{"GET", "//api/app", 200, "openhands //api/app"},
		{"GET", "/api//app/x", 200, "openhands /api//app/x"},
		{"GET", "/api/app/../secrets", 200, "nx1 /api/app/../secrets"},
		{"GET", "/api/secrets/../app/x", 200, "openhands /api/secrets/../app/x"},
		{"GET", "/api/app/x%2fsecrets", 200, "nx1 /api/app/x%2fsecrets"},
		{"GET", "/strongroom/v1/status", 200, "openhands /strongroom/v1/status"},
		{"GET", "/healthz/", 200, "openhands /healthz/"},
		{"GET", "/openapi/openhands.json", 200, "openhands /openapi/openhands.json"},
		// Paths that need no credential.
		{"GET", "/healthz", 200, "ok\n"},
		{"HEAD", "/healthz", 200, "ok\n"}, // net/http drops the body
		{"GET", "/readyz?x", 200, "ready\n"},
		{"GET", "/openapi/nx1.json", 200, `{"a":1}`},
		{"GET", "/v1/sys/health?standbyok=true", 200, `{"sealed":false}`},
		{"PUT", "/v1/sys/health", 405, "method not allowed\n"},
		{"POST", "/healthz", 405, "method not allowed\n"},
		{"DELETE", "/openapi/nx1.json", 405, "method not allowed\n"},
		{"OPTIONS", "/readyz", 405, "method not allowed\n"},
	} {
		w := ask(f, tc.method, tc.path)
		if w.Code != tc.status || w.Body.String() != tc.body {
			t.Errorf("%s %s: %d %q, want %d %q", tc.method, tc.path, w.Code, w.Body, tc.status, tc.body)
		}
		if tc.status == 405 && w.Header().Get("Allow") != "GET, HEAD" {
			t.Errorf("%s %s: Allow is %q", tc.method, tc.path, w.Header().Get("Allow"))
		}
	}
}

func TestOnlyTheLogSaysWhyTheServerIsNotReady(t *testing.T) {
	var log bytes.Buffer
	f := newFront(errors.New("the disk is gone"), slog.New(slog.NewTextHandler(&log, nil)))
	w := ask(f, "GET", "/readyz")
	if w.Code != 503 || w.Body.String() != "not ready\n" || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("got %d %q %v", w.Code, w.Body, w.Header())
	}
	if w := ask(f, "GET", "/v1/sys/health"); w.Code != 503 || w.Body.String() != `{"sealed":true}` {
		t.Errorf("an API's own health: got %d %q", w.Code, w.Body)
	}
	if !strings.Contains(log.String(), "the disk is gone") {
		t.Errorf("the log says %s", log.String())
	}
	if w := ask(f, "GET", "/healthz"); w.Code != 200 {
		t.Errorf("/healthz fails, too: %d", w.Code)
	}
}

// Clients can ask without a credential.
func TestNotReadyIsNotLoggedForEachRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		f := newFront(errors.New("the disk is gone"), slog.New(slog.NewTextHandler(&log, nil)))
		for range 1000 {
			ask(f, "GET", "/readyz")
			time.Sleep(10 * time.Millisecond) // in the synctest bubble, which takes no real time
		}
		if got := strings.Count(log.String(), "not ready"); got < 10 || got > 20 {
			t.Errorf("logged %d times in ten seconds", got)
		}
	})
}
