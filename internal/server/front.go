package server

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"golang.org/x/time/rate"
)

// A Front routes the requests of one listener: to APIs by path prefix, and to
// public documents that need no credential. Unlike http.ServeMux it neither
// cleans paths nor redirects, so an API sees the path that was sent.
type Front struct {
	apis    []mounted                   // the first match is used
	public  map[string]http.HandlerFunc // by exact path
	healthy func(context.Context) error
	log     *slog.Logger
	unready rate.Sometimes // limits log lines, which clients without a credential can cause
}

type mounted struct {
	prefix string
	api    http.Handler
}

// NewFront returns a Front that answers GET /healthz, and GET /readyz with the
// result of ready.
func NewFront(ready func(context.Context) error, log *slog.Logger) *Front {
	f := &Front{healthy: ready, log: log, unready: rate.Sometimes{First: 10, Interval: time.Second}}
	f.public = map[string]http.HandlerFunc{"/healthz": f.alive, "/readyz": f.ready}
	return f
}

// Mount routes the prefix, and all paths below it, to the API, unless an API mounted
// earlier has them. The last mounted API also gets all unclaimed paths, so that they need
// a credential, too.
func (f *Front) Mount(prefix string, api http.Handler) {
	f.apis = append(f.apis, mounted{prefix, api})
}

// Publish serves a JSON document without a credential.
func (f *Front) Publish(path string, document []byte) {
	f.public[path] = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(document)
	}
}

// PublishHealth serves the result of ready without a credential, in the API's own form of it.
func (f *Front) PublishHealth(path string, answer func(ready bool) (status int, body []byte)) {
	f.public[path] = func(w http.ResponseWriter, r *http.Request) {
		status, body := answer(f.isReady(r.Context()))
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write(body)
	}
}

func (f *Front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if public, ok := f.public[r.URL.Path]; ok {
		getOnly(w, r, public)
		return
	}
	f.api(r.URL.Path).ServeHTTP(w, r)
}

func (f *Front) api(path string) http.Handler {
	for _, m := range f.apis {
		if rest, ok := strings.CutPrefix(path, m.prefix); ok && (rest == "" || rest[0] == '/') {
			return m.api
		}
	}
	return f.apis[len(f.apis)-1].api
}

func getOnly(w http.ResponseWriter, r *http.Request, h http.HandlerFunc) {
	Identify(w.Header())
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	h(w, r)
}

func (f *Front) alive(w http.ResponseWriter, _ *http.Request) { word(w, http.StatusOK, "ok") }

// ready answers with a fixed text. Only the log says why the server is not
// ready.
func (f *Front) ready(w http.ResponseWriter, r *http.Request) {
	if !f.isReady(r.Context()) {
		word(w, http.StatusServiceUnavailable, "not ready")
		return
	}
	word(w, http.StatusOK, "ready")
}

func (f *Front) isReady(ctx context.Context) bool {
	err := f.healthy(ctx)
	if err != nil {
		f.unready.Do(func() { f.log.Warn("not ready", "error", err) })
	}
	return err == nil
}

func word(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text+"\n")
}
