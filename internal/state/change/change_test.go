package change_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/strongroom/strongroom/internal/state/change"
)

var example = []change.Row{
	{Bucket: "audit", Key: []byte{1}, Value: []byte("entry")}, {Bucket: "audit", Key: []byte{2}}, {Bucket: "issued", Key: []byte("k"), Value: []byte{}},
}

func TestSetDecodesToTheSameRows(t *testing.T) {
	for name, want := range map[string][]change.Row{"nothing": nil, "some rows": example, "many rows": many(10_000)} {
		got, err := change.Decode(change.Append(nil, want))
		if err != nil || !slices.EqualFunc(got, want, same) {
			t.Errorf("%s: %d rows, %v, want %d", name, len(got), err, len(want))
		}
	}
}

func many(n int) (rows []change.Row) {
	for i := range n {
		rows = append(rows, change.Row{Bucket: fmt.Sprint("bucket", i*3/n), Key: fmt.Appendf(nil, "%06d", i), Value: make([]byte, i%300)})
	}
	return rows
}

func same(a, b change.Row) bool {
	return a.Bucket == b.Bucket && bytes.Equal(a.Key, b.Key) && bytes.Equal(a.Value, b.Value) && (a.Value == nil) == (b.Value == nil)
}

// The encoding is a file format, so a change of it needs a new format version.
func TestEncodingStaysAsItIs(t *testing.T) {
	const want = "020561756469740201010665" + "6e7472790102" + "00066973737565640101" + "6b01"
	encoded := change.Append(nil, example)
	if got := hex.EncodeToString(encoded); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	chain := change.Chain{}.Next(keyOf(7), 1, encoded).Next(keyOf(7), 2, nil)
	if got, want := hex.EncodeToString(chain[:]), "9437cf2dbefb0b90569d2a6626efa908"; got != want {
		t.Errorf("chain %s, want %s", got, want)
	}
}

func TestDecodeRefuses(t *testing.T) {
	for what, encoded := range map[string]string{
		"nothing":                   "",
		"a bucket too few":          "01",
		"a bucket without rows":     "01" + "0161" + "00",
		"a bucket without a name":   "01" + "00" + "01" + "016b" + "00",
		"an empty key":              "01" + "0161" + "01" + "00" + "00",
		"a key longer than the set": "01" + "0161" + "01" + "7f6b" + "00",
		"a missing value":           "01" + "0161" + "01" + "016b",
		"a value cut off":           "01" + "0161" + "01" + "016b" + "0376",
		"bytes behind the end":      "01" + "0161" + "01" + "016b" + "00" + "00",
		"a padded number":           "8100" + "0161" + "01" + "016b" + "00",
		"a number without an end":   "ffffffffffffffffffff",
		"a huge number of buckets":  "ffffffff0f",
		"keys out of order":         "01" + "0161" + "02" + "016b" + "00" + "016a" + "00",
		"the same key twice":        "01" + "0161" + "02" + "016b" + "00" + "016b" + "00",
		"buckets out of order":      "02" + "0162" + "01" + "016b" + "00" + "0161" + "01" + "016b" + "00",
	} {
		b, err := hex.DecodeString(encoded)
		if err != nil {
			t.Fatal(err)
		}
		if rows, err := change.Decode(b); !errors.Is(err, change.ErrMalformed) {
			t.Errorf("%s: %q, %v, want ErrMalformed", what, rows, err)
		}
	}
}

type keyOf byte

func (k keyOf) MAC(parts ...[]byte) []byte {
	mac := hmac.New(sha256.New, bytes.Repeat([]byte{byte(k)}, 32))
	_, _ = mac.Write(slices.Concat(parts...))
	return mac.Sum(nil)
}

func TestChainDependsOnEverything(t *testing.T) {
	key, set := keyOf(1), []byte("set")
	base := change.Chain{}.Next(key, 1, set)
	for what, other := range map[string]change.Chain{
		"another key":              change.Chain{}.Next(keyOf(2), 1, set),
		"another number":           change.Chain{}.Next(key, 2, set),
		"another set":              change.Chain{}.Next(key, 1, []byte("sets")),
		"another chain before it":  base.Next(key, 1, set),
		"nothing in common at all": {},
	} {
		if other == base {
			t.Errorf("%s gives the same chain", what)
		}
	}
}

// What decodes encodes to the same bytes: no two encodings mean the same set.
func FuzzDecode(f *testing.F) {
	f.Add(change.Append(nil, example))
	f.Add([]byte{0})
	f.Add([]byte{0x81, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		rows, err := change.Decode(b)
		if err != nil {
			return
		}
		if again := change.Append(nil, rows); !bytes.Equal(again, b) {
			t.Errorf("%x decodes to %q, which encodes to %x", b, rows, again)
		}
	})
}
