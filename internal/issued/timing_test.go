package issued_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/auth"
	"github.com/strongroom/strongroom/internal/auth/apikey"
	"github.com/strongroom/strongroom/internal/issued"
	"github.com/strongroom/strongroom/internal/secret"
)

const (
	timingEnv    = "STRONGROOM_TIMING" // samples of each kind; make timing takes a million
	timingHeader = "X-Session-Api-Key"
	knownKeys    = 64 // in a file, and as many issued ones
	// A t below undetected shows no difference. The control with an early exit must give
	// a t above detected.
	undetected, detected = 4.5, 10
)

// The kinds of rejected keys.
var refused = []string{"unknown id", "known id, last byte wrong", "known id, random"}

// The time of a rejection reveals nothing about existing keys: Welch's t-test finds no
// difference between keys that share more and less of a known one. The same test detects
// a comparison that stops at the first difference.
func TestTimingOfARejectionRevealsNothing(t *testing.T) {
	if os.Getenv(timingEnv) == "" {
		t.Skip("takes a while, and needs an idle machine: make timing")
	}
	samples, err := strconv.Atoi(os.Getenv(timingEnv))
	if err != nil || samples < 1000 {
		t.Fatalf("%s must be a number, 1000 at least", timingEnv)
	}
	s := newStack(t, issued.SystemClock())
	var keys []string
	var inFile []apikey.Key
	for range knownKeys {
		key, id := apikey.Generate()
		inFile = append(inFile, apikey.Key{ID: id, SHA256: apikey.HashOf(key), Subject: id})
		issuedKey, _ := s.mustCreate(t, issued.Draft{})
		keys = append(keys, key, issuedKey)
	}
	ours := apikey.New(timingHeader, "", inFile, s.For("session-key"))
	if t1 := worst(t, "ours", measure(t, ours, keys, samples)); t1 >= undetected {
		t.Errorf("t is %.2f, want less than %v", t1, undetected)
	}
	if t2 := worst(t, "one with an early exit", measure(t, newEarlyExit(keys), keys, samples)); t2 <= detected {
		t.Errorf("an early exit gives a t of %.2f, want more than %v: nothing was measured", t2, detected)
	}
}

// An earlyExit strategy compares byte by byte with the key of the same id and stops at
// the first difference.
type earlyExit map[string]string

func newEarlyExit(keys []string) earlyExit {
	h := earlyExit{}
	for _, k := range keys {
		h[idOf(k)] = k
	}
	return h
}

func idOf(key string) string {
	_, rest, _ := strings.Cut(key, "_")
	id, _, _ := strings.Cut(rest, "_")
	return id
}

func (h earlyExit) Authenticate(r *http.Request) (secret.Caller, error) {
	sent := r.Header.Get(timingHeader)
	key, known := h[idOf(sent)]
	if !known || len(key) != len(sent) {
		return secret.Caller{}, auth.ErrBadCredential
	}
	for i := range len(key) {
		if key[i] != sent[i] {
			return secret.Caller{}, auth.ErrBadCredential
		}
	}
	return secret.Caller{}, nil
}

// measure takes samples of each kind, in nanoseconds. Each sample uses a new key, made
// with the same work, and the kinds alternate at random.
func measure(t *testing.T, s auth.Strategy, keys []string, samples int) (times [3][]float64) {
	t.Helper()
	requests := [3]*http.Request{}
	for kind := range requests {
		requests[kind] = &http.Request{Header: http.Header{timingHeader: {""}}}
		times[kind] = make([]float64, 0, samples)
	}
	var buffer []byte
	for range samples {
		known := keys[rand.IntN(len(keys))]
		fresh, _ := apikey.Generate()
		wrong := byte(1 + rand.IntN(255)) // never 0, and random so that the same hashes do not repeat
		tail := len("srk_") + len(idOf(known)) + 1
		parts := [3][2]string{{fresh[:tail], fresh[tail:]}, {known[:tail], known[tail:]}, {known[:tail], fresh[tail:]}}
		// The order is random here too, because recently written memory is faster to
		// read. All keys go through one buffer, so that they are written the same way.
		for _, kind := range rand.Perm(3) {
			buffer = append(append(buffer[:0], parts[kind][0]...), parts[kind][1]...)
			buffer[len(buffer)-1] ^= wrong
			requests[kind].Header[timingHeader][0] = string(buffer)
		}
		for _, kind := range rand.Perm(3) {
			began := time.Now()
			_, err := s.Authenticate(requests[kind])
			took := time.Since(began)
			if !errors.Is(err, auth.ErrBadCredential) {
				t.Fatalf("%s: %v", refused[kind], err)
			}
			times[kind] = append(times[kind], float64(took.Nanoseconds()))
		}
	}
	return times
}

// worst returns the largest t of any two kinds, without the slowest 5 % of all samples.
func worst(t *testing.T, name string, times [3][]float64) (largest float64) {
	t.Helper()
	all := slices.Concat(times[0], times[1], times[2])
	slices.Sort(all)
	limit := all[len(all)*95/100]
	for kind := range times {
		times[kind] = slices.DeleteFunc(times[kind], func(took float64) bool { return took > limit })
	}
	for a := range times {
		for b := range a {
			value := welch(times[a], times[b])
			largest = max(largest, math.Abs(value))
			t.Logf("%s: %s against %s: t = %.2f (%d and %d samples)", name, refused[a], refused[b], value, len(times[a]), len(times[b]))
		}
	}
	return largest
}

// welch returns Welch's t: the difference of the means in units of its standard
// deviation.
func welch(a, b []float64) float64 {
	meanA, varianceA := moments(a)
	meanB, varianceB := moments(b)
	return (meanA - meanB) / math.Sqrt(varianceA/float64(len(a))+varianceB/float64(len(b)))
}

func moments(of []float64) (mean, variance float64) {
	for _, x := range of {
		mean += x
	}
	mean /= float64(len(of))
	for _, x := range of {
		variance += (x - mean) * (x - mean)
	}
	return mean, variance / float64(len(of)-1)
}
