package server_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/strongroom/strongroom/internal/server"
)

var (
	errTeapot = errors.New("short and stout")
	errAway   = errors.New("not at home")
	errFull   = errors.New("no room")
)

// answer turns errors into answers in the dialect of the tests.
func answer(err error) server.Answer {
	if errors.Is(err, errTeapot) {
		return server.Answer{Status: 418, Header: http.Header{"X-Tea": {"black", "green"}}, Body: map[string]string{"tea": "<&>é"}}
	}
	if errors.Is(err, errAway) {
		return server.Answer{Status: 503, Body: map[string]string{"wrong": "away"}}
	}
	if errors.Is(err, errFull) {
		return server.Answer{Status: 507, Body: map[string]string{"wrong": "full"}}
	}
	return server.Answer{Status: 500, Body: map[string]string{"wrong": "something"}}
}

func newEcho(log *bytes.Buffer) *echo.Echo {
	return server.NewEcho(answer, nil, slog.New(slog.NewTextHandler(log, nil)))
}

// The value of a panic could be a secret.
func TestPanicIsAnsweredInTheDialectAndItsValueIsNotLogged(t *testing.T) {
	type kind string
	for name, value := range map[string]any{
		"a text":   "hunter2",
		"an error": fmt.Errorf("about hunter2"),
		"a type":   kind("hunter2"),
		"a struct": struct{ Password string }{"hunter2"},
		"bytes":    []byte("hunter2"),
	} {
		var log bytes.Buffer
		e := newEcho(&log)
		e.GET("/panic/:id", func(echo.Context) error { panic(value) })
		w := ask(e, "GET", "/panic/hunter2?hunter2")
		if w.Code != 500 || w.Body.String() != `{"wrong":"something"}` {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
		said := log.String()
		for _, want := range []string{`msg="request failed"`, "route=/panic/:id", "panic of type ", "echo_test.go:", w.Header().Get("X-Request-Id")} {
			if !strings.Contains(said, want) {
				t.Errorf("%s: the log lacks %q:\n%s", name, want, said)
			}
		}
		if strings.Contains(said, "hunter2") || strings.Contains(said, "68756e74657232") || strings.Contains(said, "104 117 110") {
			t.Errorf("%s: the log has the value:\n%s", name, said)
		}
		if w := ask(e, "GET", "/panic/again"); w.Code != 500 {
			t.Errorf("%s: the next request got status %d, want 500", name, w.Code)
		}
	}
}

// Clients can cause these errors in any number, and must not be able to fill
// the disk.
func TestUnavailableErrorsAreLoggedAtMostOncePerSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		e := newEcho(&log)
		e.GET("/away", func(echo.Context) error { return errAway })
		e.GET("/full", func(echo.Context) error { return errFull })
		e.GET("/broken", func(echo.Context) error { return errors.New("broken") })
		for path, want := range map[string]int{"/away": 19, "/full": 19, "/broken": 1000} {
			log.Reset()
			for range 1000 {
				ask(e, "GET", path)
				time.Sleep(10 * time.Millisecond)
			}
			if got := strings.Count(log.String(), "request failed"); got != want {
				t.Errorf("%s: logged %d times, want %d", path, got, want)
			}
		}
	})
}

func TestHandlerCanAbortTheConnection(t *testing.T) {
	var log bytes.Buffer
	e := newEcho(&log)
	e.GET("/", func(echo.Context) error { panic(http.ErrAbortHandler) })
	defer func() {
		if p := recover(); p != http.ErrAbortHandler {
			t.Errorf("recovered %v, want http.ErrAbortHandler passed on", p)
		}
	}()
	ask(e, "GET", "/")
	t.Error("the handler did not panic")
}

func TestErrorsAreAnsweredInTheDialectAndServerErrorsAreLogged(t *testing.T) {
	var log bytes.Buffer
	e := newEcho(&log)
	e.GET("/teapot", func(echo.Context) error { return fmt.Errorf("brewing: %w", errTeapot) })
	e.GET("/broken", func(echo.Context) error { return errors.New("out of tea") })
	e.GET("/begun", func(c echo.Context) error {
		_ = c.String(200, "begun")
		return errors.New("out of tea")
	})
	w := ask(e, "GET", "/teapot")
	if w.Code != 418 || w.Body.String() != `{"tea":"<&>é"}` || len(w.Header()["X-Tea"]) != 2 || log.Len() > 0 {
		t.Errorf("got %d %s %v, and logged %s", w.Code, w.Body, w.Header(), log.String())
	}
	if w := ask(e, "GET", "/broken"); w.Code != 500 || !strings.Contains(log.String(), `error="out of tea"`) {
		t.Errorf("got %d, and logged %s", w.Code, log.String())
	}
	log.Reset()
	if w := ask(e, "GET", "/begun"); w.Code != 200 || w.Body.String() != "begun" || !strings.Contains(log.String(), "out of tea") {
		t.Errorf("got %d %s, and logged %s", w.Code, w.Body, log.String())
	}
}

func TestClientThatHangsUpDuringItsAnswerIsNotLogged(t *testing.T) {
	var log bytes.Buffer
	e := newEcho(&log)
	e.GET("/", func(c echo.Context) error { return c.Blob(200, "text/plain", make([]byte, 16<<20)) })
	s := httptest.NewServer(e)
	defer s.Close()
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	_, err = io.ReadFull(conn, make([]byte, 100))
	_ = conn.(*net.TCPConn).SetLinger(0) // closing sends a reset
	if err := errors.Join(err, conn.Close()); err != nil {
		t.Fatal(err)
	}
	s.Close() // waits for the request
	if log.Len() > 0 {
		t.Errorf("it logged %s", log.String())
	}
}

// As if the store were slow: the work is canceled together with the request.
func TestClientThatHangsUpBeforeItsAnswerIsNotLogged(t *testing.T) {
	var log bytes.Buffer
	e := newEcho(&log)
	began := make(chan struct{})
	e.GET("/", func(c echo.Context) error {
		close(began)
		<-c.Request().Context().Done()
		return fmt.Errorf("waiting for the store: %w", c.Request().Context().Err())
	})
	s := httptest.NewServer(e)
	defer s.Close()
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	<-began
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	s.Close() // waits for the request
	if log.Len() > 0 {
		t.Errorf("it logged %s", log.String())
	}
}

func TestEveryAnswerHasItsOwnIDAndIsNotCached(t *testing.T) {
	var log bytes.Buffer
	e := newEcho(&log)
	e.GET("/", func(c echo.Context) error { return c.NoContent(204) })
	seen := map[string]bool{}
	for range 100 {
		for _, path := range []string{"/", "/unknown"} {
			r := httptest.NewRequest("GET", path, nil)
			r.Header.Set("X-Request-Id", "mine")
			w := httptest.NewRecorder()
			e.ServeHTTP(w, r)
			id := w.Header().Get("X-Request-Id")
			if len(id) != 26 || seen[id] {
				t.Fatalf("%s: the request id is %q", path, id)
			}
			seen[id] = true
			if path == "/" && w.Header().Get("Cache-Control") != "no-store" {
				t.Errorf("Cache-Control is %q", w.Header().Get("Cache-Control"))
			}
		}
	}
}

func TestWriteJSONSendsNothingIfTheBodyCannotBeEncoded(t *testing.T) {
	w := httptest.NewRecorder()
	if err := server.WriteJSON(w, 200, map[string]any{"a": func() {}}); err == nil || w.Body.Len() > 0 {
		t.Errorf("%v, %q", err, w.Body)
	}
}

func TestGatesRunInOrderBeforeTheHandler(t *testing.T) {
	var came []string
	gate := func(name string) echo.MiddlewareFunc {
		return func(next echo.HandlerFunc) echo.HandlerFunc {
			return func(c echo.Context) error {
				if c.Response().Header().Get("X-Request-Id") == "" {
					t.Errorf("%s ran before the request had an id", name)
				}
				came = append(came, name)
				return next(c)
			}
		}
	}
	e := server.NewEcho(answer, nil, slog.New(slog.DiscardHandler), gate("first"), gate("second"))
	e.GET("/here", func(c echo.Context) error {
		came = append(came, "handler")
		return c.NoContent(http.StatusNoContent)
	})
	for _, tc := range []struct{ method, path, want string }{
		{"GET", "/here", "first second handler"},
		{"GET", "/elsewhere", "first second"},
		{"PUT", "/here", "first second"},
		{"OPTIONS", "/here", "first second"},
	} {
		came = nil
		ask(e, tc.method, tc.path)
		if got := strings.Join(came, " "); got != tc.want {
			t.Errorf("%s %s: %s, want %s", tc.method, tc.path, got, tc.want)
		}
	}
}
