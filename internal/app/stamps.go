package app

import (
	"crypto/sha256"
	"errors"
	"maps"
	"os"
	"time"

	"github.com/strongroom/strongroom/internal/safefile"
)

// lookEvery is how often files are looked at. A change takes effect after two
// looks at the latest. Contents are compared, which finds what any file system
// and any way of replacing files can do, symbolic links of Kubernetes included.
const lookEvery = 750 * time.Millisecond

// errChanging is about one reload: the next look tries again.
var errChanging = errors.New("the config, or a file that it names, was changed while it was read: write a new file beside it and rename that")

// Stamps say what files were like, by path.
type stamps map[string]stamp

// A stamp is of all that decides what reading a file gives (its content, its
// mode, or why it cannot be read), and of when it was last written.
type stamp struct {
	sum     [sha256.Size]byte
	written time.Time
}

func (s stamps) take(paths ...string) {
	for _, p := range paths {
		s[p] = stampOf(p)
	}
}

// again takes stamps of the same files now.
func (s stamps) again() stamps {
	now := stamps{}
	for path := range s {
		now.take(path)
	}
	return now
}

// still reports whether no file was written since.
func (s stamps) still() bool { return maps.Equal(s, s.again()) }

// forget makes every file differ.
func (s stamps) forget() {
	for path := range s {
		s[path] = stamp{}
	}
}

// differFrom reports whether a file reads differently. Whether it was merely
// written again does not matter.
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
