package server

import (
	"net/http"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

const (
	// sendBytes is the number of buffered bytes that are sent as one part.
	sendBytes = 32 << 10
	// maxBuffer is the largest buffer that is reused.
	maxBuffer = 2 * sendBytes
	// quoteBytes of a string are quoted at a time: quoting can make a byte six times as long.
	quoteBytes = 4 << 10
)

// A Text is a JSON answer that is sent in parts: whenever sendBytes have been
// appended, they are sent, so that a long answer needs little memory. Errors
// are not reported: text appended after one is dropped.
type Text struct {
	w      http.ResponseWriter
	status int
	buffer []byte
	begun  bool // whether a part has been sent
	err    error
}

var texts = sync.Pool{New: func() any { return new(Text) }}

// WriteAppended answers with the JSON that body appends. A short answer has a
// Content-Length header, a long one is sent in parts. The pooled buffer is
// cleared before reuse, since it may have held secret values.
func WriteAppended[T interface{ AppendTo(*Text) }](w http.ResponseWriter, status int, body T) error {
	t := texts.Get().(*Text)
	t.w, t.status = w, status
	body.AppendTo(t)
	if t.begun {
		t.send()
	} else {
		t.err = WriteText(w, status, t.buffer)
		clear(t.buffer)
	}
	err, buffer := t.err, t.buffer[:0]
	*t = Text{}
	if cap(buffer) <= maxBuffer {
		t.buffer = buffer
		texts.Put(t)
	}
	return err
}

// Append appends a piece of JSON.
func (t *Text) Append(json string) {
	t.buffer = append(t.buffer, json...)
	t.sendMuch()
}

// Quote appends a string as JSON. Invalid UTF-8 becomes U+FFFD.
func (t *Text) Quote(s string) {
	if len(s) <= quoteBytes {
		t.quote(s)
		return
	}
	t.Append(`"`)
	for len(s) > 0 {
		piece := s[:wholeRunes(s, quoteBytes)]
		s = s[len(piece):]
		start := len(t.buffer)
		t.buffer, _ = jsontext.AppendQuote(t.buffer, piece)
		// Remove the quotes, and clear the bytes after the shortened text.
		end := start + copy(t.buffer[start:], t.buffer[start+1:len(t.buffer)-1])
		clear(t.buffer[end:])
		t.buffer = t.buffer[:end]
		t.sendMuch()
	}
	t.Append(`"`)
}

func (t *Text) quote(s string) {
	t.buffer, _ = jsontext.AppendQuote(t.buffer, s) // the only error is invalid UTF-8
	t.sendMuch()
}

// Time appends a time (RFC 3339), quoted.
func (t *Text) Time(at time.Time) {
	t.buffer = at.UTC().AppendFormat(append(t.buffer, '"'), time.RFC3339)
	t.Append(`"`)
}

// wholeRunes returns the length of the longest prefix of whole runes with at most n bytes.
func wholeRunes(s string, n int) int {
	if len(s) <= n {
		return len(s)
	}
	for back := range utf8.UTFMax {
		if utf8.RuneStart(s[n-back]) {
			return n - back
		}
	}
	return n // invalid UTF-8
}

func (t *Text) sendMuch() {
	if len(t.buffer) >= sendBytes {
		t.send()
	}
}

func (t *Text) send() {
	if !t.begun {
		t.begun = true
		t.w.Header()["Content-Type"] = applicationJSON
		t.w.WriteHeader(t.status)
	}
	if t.err == nil {
		_, t.err = t.w.Write(t.buffer)
	}
	clear(t.buffer)
	t.buffer = t.buffer[:0]
}
