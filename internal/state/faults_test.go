package state_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"testing"

	"github.com/strongroom/strongroom/internal/state"
)

// sized returns the size of a fault test: full, which takes minutes, with
// STRONGROOM_FAULTS=full.
func sized(usual, full int) int {
	if os.Getenv("STRONGROOM_FAULTS") == "full" {
		return full
	}
	return usual
}

// skipLoudly skips a test that this machine does not permit, with a visible message,
// because a skipped test is easily mistaken for a passed one.
func skipLoudly(t *testing.T, why string, args ...any) {
	t.Helper()
	fmt.Fprintf(os.Stderr, "NOT TESTED: %s: %s\n", t.Name(), fmt.Sprintf(why, args...))
	t.Skipf(why, args...)
}

var buckets = []string{"a", "b", "c"}

// A content is the expected content of a file by bucket and key.
type content map[[2]string]string

func (c content) digest() string {
	h := sha256.New()
	for _, k := range slices.SortedFunc(maps.Keys(c), func(a, b [2]string) int { return slices.Compare(a[:], b[:]) }) {
		fmt.Fprintf(h, "%q %q %q\n", k[0], k[1], c[k])
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

func contentOf(f *state.File) (c content, err error) {
	c = content{}
	err = f.View(func(tx *state.Tx) error {
		for _, name := range buckets {
			b := tx.Bucket(name)
			for key, value := range b.From([]byte{0}) {
				c[[2]string{name, string(key)}] = string(value)
			}
		}
		return nil
	})
	return c, err
}

// digestAt opens the file and returns a digest of its content and the damage found.
func digestAt(path string) (digest, damage string, err error) {
	f, err := state.Open(path, anyKey)
	if err != nil {
		return "", "", err
	}
	c, err := contentOf(f)
	if err != nil {
		return "", "", errors.Join(err, f.Close())
	}
	return c.digest(), f.Damage(), f.Close()
}

// crashedDigest is digestAt for the files that a crash left, and leaves them so.
func crashedDigest(path string) (digest, damage string, err error) {
	f, err := state.OpenIdle(path, anyKey)
	if err != nil {
		return "", "", err
	}
	c, err := contentOf(f)
	if err != nil {
		return "", "", errors.Join(err, f.Abandon())
	}
	return c.digest(), f.Damage(), f.Abandon()
}

func mustDigest(t *testing.T, path string) (digest, damage string) {
	t.Helper()
	digest, damage, err := digestAt(path)
	if err != nil {
		t.Fatal(err)
	}
	return digest, damage
}

// An updater is File.Update or File.UpdateReserved.
type updater = func(context.Context, func(*state.Tx) error) error
