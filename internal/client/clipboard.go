package client

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"time"

	"github.com/strongroom/strongroom/internal/secret"
)

// A Clipboard is the clipboard of the desktop, through the usual commands. Values go through pipes, never
// through arguments.
type Clipboard struct {
	copy, paste, clear []string
	env                []string // of the commands
}

// clipboards are the commands by the environment variable of their display. An empty clear copies nothing
// instead.
var clipboards = []struct {
	display            string
	copy, paste, clear []string
}{
	{"WAYLAND_DISPLAY", []string{"wl-copy"}, []string{"wl-paste", "--no-newline"}, []string{"wl-copy", "--clear"}},
	{"DISPLAY", []string{"xclip", "-selection", "clipboard"}, []string{"xclip", "-selection", "clipboard", "-out"}, nil},
	{"DISPLAY", []string{"xsel", "--clipboard", "--input"}, []string{"xsel", "--clipboard", "--output"}, []string{"xsel", "--clipboard", "--clear"}},
}

// FindClipboard returns the clipboard of this desktop. Its commands get this environment, which must have no
// credential.
func FindClipboard(env []string) (Clipboard, error) {
	if runtime.GOOS == "darwin" {
		return Clipboard{copy: []string{"pbcopy"}, paste: []string{"pbpaste"}, env: env}, nil
	}
	for _, c := range clipboards {
		if os.Getenv(c.display) == "" {
			continue
		}
		if _, err := exec.LookPath(c.copy[0]); err == nil {
			return Clipboard{c.copy, c.paste, c.clear, env}, nil
		}
	}
	return Clipboard{}, errors.New("there is no clipboard: it needs a desktop, and wl-copy (wl-clipboard), xclip or xsel")
}

// clipboardTime is how long one of the commands may take.
const clipboardTime = 10 * time.Second

func (c Clipboard) run(ctx context.Context, args []string, in secret.Value) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, clipboardTime)
	defer cancel()
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, args[0], args[1:]...) // #nosec G204 -- from the table above
	cmd.Stdin, cmd.Env = bytes.NewReader([]byte(in)), c.env
	if &args[0] == &c.paste[0] { // the others leave a process behind, which keeps its output open
		cmd.Stdout = &out
	}
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s: %w", args[0], err)
	}
	return out.Bytes(), nil
}

// Copy puts a value into the clipboard.
func (c Clipboard) Copy(ctx context.Context, v secret.Value) error {
	_, err := c.run(ctx, c.copy, v)
	return err
}

// A Clearing says when the clipboard is to be cleared, and of which value, without the value.
type Clearing struct {
	After time.Duration `json:"after"`
	Key   []byte        `json:"key"` // random
	MAC   []byte        `json:"mac"` // HMAC-SHA256 of the value
}

// NewClearing returns a Clearing of this value.
func NewClearing(v secret.Value, after time.Duration) Clearing {
	key := make([]byte, sha256.Size)
	_, _ = rand.Read(key) // never fails
	return Clearing{after, key, macOf(key, []byte(v))}
}

func macOf(key, text []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(text)
	return mac.Sum(nil)
}

// ReadClearing reads what json.Marshal has written, up to the end of the input.
func ReadClearing(from io.Reader) (c Clearing, err error) {
	text, err := io.ReadAll(io.LimitReader(from, 1<<10))
	if err != nil {
		return c, err
	}
	return c, json.Unmarshal(text, &c)
}

// Clear waits, and then clears the clipboard if it still has the value.
func (c Clipboard) Clear(ctx context.Context, of Clearing) error {
	select {
	case <-time.After(of.After):
	case <-ctx.Done(): // the end of the session clears at once
	}
	ctx = context.WithoutCancel(ctx)
	now, err := c.run(ctx, c.paste, "")
	if err != nil {
		return nil //nolint:nilerr // an empty clipboard is an error of the commands
	}
	defer clear(now)
	if !hmac.Equal(macOf(of.Key, now), of.MAC) {
		return nil
	}
	if c.clear != nil {
		_, err = c.run(ctx, c.clear, "")
		return err
	}
	return c.Copy(ctx, "")
}
