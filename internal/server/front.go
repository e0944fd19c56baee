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

// A Front is what a listener serves: APIs by the start of their paths, and what
// needs no credential. Unlike http.ServeMux it neither cleans paths nor
// redirects; an API sees what was sent.
type Front struct {
	apis    []mounted                   // the first that fits
	public  map[string]http.HandlerFunc // by exact path
	healthy func(context.Context) error
	log     *slog.Logger
	unready rate.Sometimes // is logged: anybody may ask
}

type mounted struct {
	prefix string
	api    http.Handler
}

// NewFront returns a front that answers GET /healthz and, with what ready
// says, GET /readyz.
func NewFront(ready func(context.Context) error, log *slog.Logger) *Front {
	f := &Front{healthy: ready, log: log, unready: rate.Sometimes{First: 10, Interval: time.Second}}
	f.public = map[string]http.HandlerFunc{"/healthz": f.alive, "/readyz": f.ready}
	return f
}

// Mount gives the API all paths that are the prefix or begin with it and a
// slash, unless an API mounted before has them. The last API mounted also gets
// what no API claims, so that there too a credential is asked for.
func (f *Front) Mount(prefix string, api http.Handler) {
	f.apis = append(f.apis, mounted{prefix, api})
}

// Publish serves a JSON document to everybody.
func (f *Front) Publish(path string, document []byte) {
	f.public[path] = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(document)
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
	identified(w.Header())
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	h(w, r)
}

func (f *Front) alive(w http.ResponseWriter, _ *http.Request) { word(w, http.StatusOK, "ok") }

// ready says no more than a word: what is wrong is for the log.
func (f *Front) ready(w http.ResponseWriter, r *http.Request) {
	if err := f.healthy(r.Context()); err != nil {
		f.unready.Do(func() { f.log.Warn("not ready", "error", err) })
		word(w, http.StatusServiceUnavailable, "not ready")
		return
	}
	word(w, http.StatusOK, "ready")
}

func word(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text+"\n")
}
