package fastapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/labstack/echo/v4"
)

// Bounds limit the body of a request.
type Bounds struct {
	// MaxBody is the maximum size in bytes.
	MaxBody int64
	// Admit is called before any of the body is read, unless the path is already invalid.
	// Its error is the answer. Nil admits every request.
	Admit func(echo.Context) error
	// Hold reserves the memory for the body before it is used. Its error is the answer.
	// Nil sets no limit.
	Hold func(ctx context.Context, bytes int) error
}

const (
	// firstRead is the initial size of the buffer for a body, in bytes. A larger
	// Content-Length does not enlarge it, because announcing a length costs the client
	// nothing.
	firstRead = 16 << 10
	// bodyCost is the number of bytes of memory for each byte of a body: as sent,
	// decoded, and on its way to the disk.
	bodyCost = 3
)

func (b Bounds) admit(c echo.Context, details []Detail) error {
	if b.Admit == nil || len(details) > 0 {
		return nil
	}
	return b.Admit(c)
}

func (b Bounds) hold(r *http.Request, bytes int64) error {
	if b.Hold == nil {
		return nil
	}
	return b.Hold(r.Context(), int(bytes)*bodyCost)
}

// read returns the body. With a Content-Length it reserves the memory before it reads,
// without one as the body grows.
func (b Bounds) read(r *http.Request) (text []byte, err error) {
	most, announced := b.MaxBody+1, r.ContentLength >= 0 // one byte more, to detect a larger body
	if announced {
		if r.ContentLength > b.MaxBody {
			return nil, ErrTooLarge
		}
		most = r.ContentLength + 1
		if err := b.hold(r, r.ContentLength); err != nil {
			return nil, err
		}
	}
	for int64(len(text)) < most {
		if len(text) == cap(text) {
			room := min(max(2*int64(cap(text)), firstRead), most)
			if !announced {
				if err := b.hold(r, room-int64(cap(text))); err != nil {
					return nil, err
				}
			}
			text = append(make([]byte, 0, room), text...)
		}
		n, err := r.Body.Read(text[len(text):cap(text)])
		text = text[:len(text)+n]
		switch {
		case int64(len(text)) == most:
		case errors.Is(err, io.EOF):
			return text, nil
		case err != nil:
			return nil, fmt.Errorf("%w: reading it: %w", ErrNotText, err)
		}
	}
	return nil, ErrTooLarge
}
