package child

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/strongroom/strongroom/internal/secret"
)

// minMasked is the length of the shortest text that is masked, in bytes. Shorter ones would hide too much
// of ordinary output.
const minMasked = 4

// A Mask replaces values in a stream. It holds back only an end that may be the beginning of a value. It is
// safe for concurrent use.
type Mask struct {
	mu     sync.Mutex // guards the fields below
	to     io.Writer
	hidden [][]byte // longest first
	held   []byte
}

// NewMask returns a writer that hides the values, and each of their lines. Call Close for the rest.
func NewMask(to io.Writer, values []secret.Value) *Mask {
	m := &Mask{to: to}
	m.Hide(values)
	return m
}

// Hide adds values.
func (m *Mask) Hide(values []secret.Value) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, v := range values {
		for _, text := range append(strings.Split(string(v), "\n"), string(v)) {
			if text = strings.TrimSpace(text); len(text) >= minMasked {
				m.hidden = append(m.hidden, []byte(text))
			}
		}
	}
	slices.SortFunc(m.hidden, func(a, b []byte) int { return len(b) - len(a) })
	m.hidden = slices.CompactFunc(m.hidden, bytes.Equal)
}

func (m *Mask) Write(p []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.held = append(m.held, p...)
	return len(p), m.flushLocked(false)
}

// Close writes the bytes that are held back.
func (m *Mask) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.flushLocked(true)
}

// flushLocked writes up to the first place where a value may begin that is not complete yet.
func (m *Mask) flushLocked(all bool) error {
	var out []byte
	at := 0
	for at < len(m.held) {
		rest := m.held[at:]
		if !all && slices.ContainsFunc(m.hidden, func(h []byte) bool { return len(rest) < len(h) && bytes.HasPrefix(h, rest) }) {
			break
		}
		hit := slices.IndexFunc(m.hidden, func(h []byte) bool { return bytes.HasPrefix(rest, h) })
		if hit < 0 {
			out = append(out, rest[0])
			at++
			continue
		}
		out = append(out, secret.Mask...)
		at += len(m.hidden[hit])
	}
	m.held = append(m.held[:0], m.held[at:]...)
	_, err := m.to.Write(out)
	return err
}
