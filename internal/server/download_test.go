package server_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/server"
)

// A timed response has its last write deadline.
type timed struct {
	http.ResponseWriter
	deadline time.Time
}

func (w *timed) SetWriteDeadline(t time.Time) error {
	w.deadline = t
	return nil
}

// A slow client may continue; one that has stopped reading is disconnected.
func TestEachPieceOfADownloadHasItsOwnDeadline(t *testing.T) {
	w := &timed{ResponseWriter: httptest.NewRecorder()}
	err := server.Download(w, "", func(to io.Writer) error {
		for range 3 {
			w.deadline = time.Time{}
			if _, err := to.Write([]byte("piece")); err != nil {
				return err
			}
			if left := time.Until(w.deadline); left <= 0 || left > 30*time.Second {
				t.Errorf("a piece has %v", left)
			}
		}
		return nil
	})
	if err != nil || !w.deadline.IsZero() {
		t.Errorf("in the end: %v, and the connection has until %v", err, w.deadline)
	}
}

func TestADownloadFailsBeforeItsFirstByteOrAborts(t *testing.T) {
	w := httptest.NewRecorder()
	if err := server.Download(w, "a", func(io.Writer) error { return io.EOF }); err != io.EOF || len(w.Header()) > 0 {
		t.Errorf("before the first byte: %v, %v", err, w.Header())
	}
	defer func() {
		if got := recover(); got != http.ErrAbortHandler {
			t.Errorf("after the first byte: %v", got)
		}
	}()
	err := server.Download(&timed{ResponseWriter: w}, "a", func(to io.Writer) error {
		_, _ = to.Write([]byte("piece"))
		return io.EOF
	})
	t.Errorf("after the first byte it returned %v", err)
}
