package server_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/internal/server"
)

// A keeper is a response that keeps the buffers written to it, without a copy.
type keeper struct {
	*httptest.ResponseRecorder
	kept [][]byte
}

func (k *keeper) Write(b []byte) (int, error) {
	k.kept = append(k.kept, b)
	return k.ResponseRecorder.Write(b)
}

// quoted is a body of one string.
type quoted string

func (q quoted) AppendTo(t *server.Text) { t.Quote(string(q)) }

func TestNoBufferKeepsItsAnswer(t *testing.T) {
	for _, value := range []string{"canary", strings.Repeat("canary", 20_000)} {
		k := &keeper{ResponseRecorder: httptest.NewRecorder()}
		if err := server.WriteAppended(k, http.StatusCreated, quoted(value)); err != nil {
			t.Fatal(err)
		}
		if got := k.Body.String(); k.Code != http.StatusCreated || got != `"`+value+`"` {
			t.Errorf("answered %d and %d bytes, want %d", k.Code, len(got), len(value)+2)
		}
		for _, buffer := range k.kept {
			if strings.ContainsAny(string(buffer[:cap(buffer)]), "canary") {
				t.Errorf("a buffer of %d bytes still has them", len(buffer))
			}
		}
	}
}

func TestALongAnswerIsSentInPartsAndAShortOneWithItsLength(t *testing.T) {
	for _, tc := range []struct{ unit, name string }{
		{"a", "letters"}, {"é", "two bytes"}, {"😀", "four bytes"}, {"\x01", "control characters"}, {"\\\"", "escapes"},
	} {
		for _, size := range []int{0, 1, 4095, 4096, 4097, 40_000, 1 << 20} {
			value := strings.Repeat("x", size%3) + strings.Repeat(tc.unit, size/len(tc.unit))
			k := &keeper{ResponseRecorder: httptest.NewRecorder()}
			if err := server.WriteAppended(k, http.StatusOK, quoted(value)); err != nil {
				t.Fatal(err)
			}
			var got string
			if err := json.Unmarshal(k.Body.Bytes(), &got); err != nil || got != value {
				t.Errorf("%d bytes of %s: got %d back, %v", len(value), tc.name, len(got), err)
			}
			for _, b := range k.kept {
				if len(b) > 100<<10 {
					t.Errorf("%d bytes of %s: sent %d at once", len(value), tc.name, len(b))
				}
			}
			if length := k.Header().Get("Content-Length"); len(k.kept) == 1 && length != strconv.Itoa(k.Body.Len()) {
				t.Errorf("%d bytes of %s: Content-Length %q, want %d", len(value), tc.name, length, k.Body.Len())
			}
		}
	}
}

// disconnected is the response to a client that has closed its connection.
type disconnected struct{ http.ResponseWriter }

var errGone = errors.New("gone")

func (disconnected) Write([]byte) (int, error) { return 0, errGone }

func TestAnAnswerToAClientThatIsGoneIsAnError(t *testing.T) {
	for _, size := range []int{10, 1 << 20} {
		err := server.WriteAppended(disconnected{httptest.NewRecorder()}, http.StatusOK, quoted(strings.Repeat("a", size)))
		if !errors.Is(err, errGone) {
			t.Errorf("%d bytes: got %v", size, err)
		}
	}
}
