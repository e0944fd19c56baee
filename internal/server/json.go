package server

import (
	"net/http"
	"strconv"
	"sync"

	"github.com/go-json-experiment/json"
)

// WriteJSON answers with the body as JSON in the format of FastAPI: compact,
// UTF-8 not escaped, no newline at the end, no charset in the content type.
func WriteJSON(w http.ResponseWriter, status int, body any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return WriteText(w, status, text)
}

// WriteAppended answers with JSON that body appends to a pooled buffer. The
// buffer is cleared before reuse, since it may have held secret values.
func WriteAppended[T interface{ AppendTo([]byte) []byte }](w http.ResponseWriter, status int, body T) error {
	buffer := buffers.Get().(*[]byte)
	text := body.AppendTo(*buffer)
	err := WriteText(w, status, text)
	clear(text)
	if cap(text) <= maxBuffer {
		*buffer = text[:0]
		buffers.Put(buffer)
	}
	return err
}

const maxBuffer = 64 << 10

var buffers = sync.Pool{New: func() any { return new([]byte) }}

// WriteText answers with encoded JSON.
func WriteText(w http.ResponseWriter, status int, text []byte) error {
	h := w.Header()
	h["Content-Type"] = applicationJSON
	h["Content-Length"] = []string{strconv.Itoa(len(text))}
	w.WriteHeader(status)
	_, err := w.Write(text)
	return err
}
