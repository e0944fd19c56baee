package server

import (
	"net/http"
	"strconv"

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

// WriteText answers with encoded JSON.
func WriteText(w http.ResponseWriter, status int, text []byte) error {
	h := w.Header()
	h["Content-Type"] = applicationJSON
	h["Content-Length"] = []string{strconv.Itoa(len(text))}
	w.WriteHeader(status)
	_, err := w.Write(text)
	return err
}
