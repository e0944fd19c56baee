package app

import (
	"crypto/sha256"
	"errors"
	"maps"
	"os"
	"time"

	"github.com/strongroom/strongroom/internal/safefile"
)

// pollInterval is the interval at which files are checked. A change takes effect after
// the second check at the latest. Contents are compared, which works on every file system
// and for every way of replacing a file, Kubernetes' symbolic links included.
const pollInterval = 750 * time.Millisecond

// errChanging ends one reload; the next poll retries.
var errChanging = errors.New("the config, or a file that it names, was changed while it was read: write a new file beside it and rename that")

// stamps maps paths to the stamps of files.
type stamps map[string]stamp

// A stamp has everything that affects reading a file (its content, its mode, or the error
// of reading it), and the time of its last write.
type stamp struct {
	sum     [sha256.Size]byte
	written time.Time
}

func (s stamps) take(paths ...string) {
	for _, p := range paths {
		s[p] = stampOf(p)
	}
}

// retaken returns new stamps of the same files.
func (s stamps) retaken() stamps {
	now := stamps{}
	for path := range s {
		now.take(path)
	}
	return now
}

// unchanged reports whether no file was written since the stamps were taken.
func (s stamps) unchanged() bool { return maps.Equal(s, s.retaken()) }

// invalidate makes every file differ.
func (s stamps) invalidate() {
	for path := range s {
		s[path] = stamp{}
	}
}

// differFrom reports whether a file's content differs. Rewriting the same content does
// not count.
func (s stamps) differFrom(others stamps) bool {
	return !maps.EqualFunc(s, others, func(a, b stamp) bool { return a.sum == b.sum })
}

func stampOf(path string) stamp {
	info, err := os.Stat(path)
	if err != nil {
		return stamp{sum: sha256.Sum256([]byte(err.Error()))}
	}
	text, err := safefile.Read(path)
	if err != nil {
		return stamp{sum: sha256.Sum256([]byte(err.Error()))}
	}
	return stamp{sha256.Sum256(append(text, info.Mode().String()...)), info.ModTime()}
}
