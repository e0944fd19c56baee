package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"maps"
	"math"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"
)

// answered returns a connection whose peer always sends this answer.
func answered(t *testing.T, text string) *http1 {
	t.Helper()
	near, far := net.Pipe()
	t.Cleanup(func() { _ = near.Close() })
	go func() {
		defer func() { _ = far.Close() }()
		if _, err := http.ReadRequest(bufio.NewReader(far)); err == nil {
			_, _ = io.WriteString(far, text)
		}
	}()
	return &http1{near, make([]byte, 4096)}
}

func TestExchangeTakesNoOtherAnswer(t *testing.T) {
	const want = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
	for _, tc := range []struct {
		name, answer, err string
	}{
		{"the same", want, ""},
		{"another status", "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "404"},
		{"longer", want + "!", "41 bytes"},
		{"cut off", want[:len(want)-1], "EOF"},
		{"cut off in its head", want[:30], "EOF"},
		{"of a length that it does not say", "HTTP/1.1 200 OK\r\n\r\nok", "EOF"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := answered(t, tc.answer).exchange([]byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"))
			switch {
			case tc.err == "" && err != nil:
				t.Errorf("exchange: %v", err)
			case tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)):
				t.Errorf("exchange: %v, want an error with %q", err, tc.err)
			}
		})
	}
}

func TestRowsBetweenTellsWhatAPutDid(t *testing.T) {
	before := snapshot{"a": {"k1": "old", "k2": "same"}, "b": {"12345678": "v"}, "c": {"12345678": "v"}}
	after := snapshot{"a": {"k1": "newer", "k2": "same"}, "b": {"12345679": "vv"}, "c": {"12345678": "v", "12345679": "w"}}
	got := rowsBetween(before, after)
	want := []row{{"a", changed, 2, 5, "k1"}, {"b", moved, 8, 2, "12345679"}, {"c", appended, 8, 1, "12345679"}}
	if !slices.Equal(got, want) {
		t.Errorf("rowsBetween = %v, want %v", got, want)
	}
	another := []row{{"a", changed, 2, 7, "k1"}, {"b", moved, 8, 2, "12345679"}}
	want[1].Key, want[2].Key = "", ""
	if got := generalize(got, another); !slices.Equal(got, want) {
		t.Errorf("generalize = %v, want %v", got, want)
	}
}

// The audit log's head stays the last row; new entries go before it.
func TestCommitterAppendsAsTheServerDoes(t *testing.T) {
	key := func(n uint64) string { return string(binary.BigEndian.AppendUint64(nil, n)) }
	head := key(math.MaxUint64)
	path := filepath.Join(t.TempDir(), "raw.db")
	db, err := openFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucket([]byte("audit"))
		return errors.Join(err, b.Put([]byte(key(7)), nil), b.Put([]byte(head), nil))
	}); err != nil {
		t.Fatal(err)
	}
	c, err := newCommitter(db, []row{{"audit", appended, 8, 3, ""}, {"audit", changed, 8, 4, head}}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(c.commit(), c.commit()); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := snapshotOf(path)
	if err != nil {
		t.Fatal(err)
	}
	sizes := map[string]int{}
	for k, v := range got["audit"] {
		sizes[k] = len(v)
	}
	if want := map[string]int{key(7): 0, key(8): 3, key(9): 3, head: 4}; !maps.Equal(sizes, want) {
		t.Errorf("rows by key and length: %v, want %v", sizes, want)
	}
}

func TestFiguresOfALap(t *testing.T) {
	l := lap{wall: 2 * time.Second, client: time.Second, server: 3 * time.Second}
	for i := range 100 {
		l.took = append(l.took, time.Duration(100-i)*time.Millisecond)
	}
	want := figures{rate: 50, p50: 51 * time.Millisecond, p99: 100 * time.Millisecond, cpu: 30 * time.Millisecond, client: 0.25}
	if got := l.figures(); got != want {
		t.Errorf("figures = %+v, want %+v", got, want)
	}
}

func TestRatiosAreMadeRoundByRound(t *testing.T) {
	rates := func(of ...float64) *contender {
		c := &contender{}
		for _, r := range of {
			c.rounds = append(c.rounds, figures{rate: r})
		}
		return c
	}
	got := overRounds(rates(10, 30, 90), rates(20, 30, 0), rate)
	if want := (ratio{1, 0.5, 1}); got != want {
		t.Errorf("overRounds = %v, want %v", got, want)
	}
}

func TestThousands(t *testing.T) {
	for n, want := range map[float64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := thousands(n); got != want {
			t.Errorf("thousands(%v) = %s, want %s", n, got, want)
		}
	}
}

func TestMissedBarsAreCounted(t *testing.T) {
	p := &printer{w: io.Discard}
	p.below("within", 1, 2, "s")
	p.below("missed", 2, 2, "s")
	if p.missed != 1 {
		t.Errorf("got %d", p.missed)
	}
}
