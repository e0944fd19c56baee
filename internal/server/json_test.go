package server_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/internal/server"
)

// A keeper appends a value and keeps the buffer it was appended to.
type keeper struct {
	value string
	kept  []byte
}

func (k *keeper) AppendTo(b []byte) []byte {
	k.kept = append(b, k.value...)
	return k.kept
}

func TestBuffersAreClearedAfterTheAnswer(t *testing.T) {
	for _, value := range []string{`{"value":"canary"}`, strings.Repeat("canary", 20_000)} {
		k := &keeper{value: value}
		w := httptest.NewRecorder()
		if err := server.WriteAppended(w, http.StatusCreated, k); err != nil {
			t.Fatal(err)
		}
		if w.Code != http.StatusCreated || w.Body.String() != value {
			t.Errorf("got status %d and %d bytes, want %d bytes", w.Code, w.Body.Len(), len(value))
		}
		if bytes.ContainsAny(k.kept, "canary") {
			t.Errorf("a buffer of %d bytes still has the value", len(k.kept))
		}
	}
}
