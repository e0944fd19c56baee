package secret_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/internal/secret"
)

func TestCheckName(t *testing.T) {
	for _, tc := range []struct {
		name string
		ok   bool
	}{
		{"a", true},
		{"DB_PASSWORD", true},
		{"...", true},
		{".a", true},
		{" ", true},
		{"a b", true},
		{"%2F", true},
		{`\`, true},
		{"日本語 🔑", true},
		{"e\u0301", true},
		{"\ufffd", true}, // the character itself, not a decoder's replacement
		{"\u2028", true},
		{strings.Repeat("a", 256), true},
		{strings.Repeat("🔑", 64), true},

		{"", false},
		{".", false},
		{"..", false},
		{"/", false},
		{"a/b", false},
		{"a/", false},
		{"\x00", false},
		{"a\n", false},
		{"a\t", false},
		{"\x7f", false},
		{"\u0085", false},
		{"\xff", false},
		{"a\xc3", false},
		{"\xed\xa0\x80", false},
		{strings.Repeat("a", 257), false},
		{strings.Repeat("🔑", 65), false},
	} {
		wantChecked(t, tc.name, secret.CheckName(tc.name), tc.ok, "name")
	}
}

func TestCheckKey(t *testing.T) {
	for _, tc := range []struct {
		key string
		ok  bool
	}{
		{"a", true},
		{"A.b-c_9", true},
		{".a", true},
		{"a..b", true},
		{"a.", true},
		{"-", true},
		{"_", true},
		{strings.Repeat("k", 253), true},

		{"", false},
		{".", false},
		{"..", false},
		{"..a", false},
		{"a b", false},
		{"a/b", false},
		{"a=b", false},
		{"a\n", false},
		{"é", false},
		{"\uff41", false}, // a wide a
		{"\xff", false},
		{strings.Repeat("k", 254), false},
	} {
		wantChecked(t, tc.key, secret.CheckKey(tc.key), tc.ok, "key")
	}
}

func wantChecked(t *testing.T, input string, err error, ok bool, field string) {
	t.Helper()
	invalid, is := errors.AsType[*secret.InvalidError](err)
	switch {
	case ok && err != nil:
		t.Errorf("%.20q: %v", input, err)
	case !ok && (!is || invalid.Field != field || invalid.Reason == "" || invalid.DataKey != ""):
		t.Errorf("%.20q: got error %v, want an InvalidError about the %s", input, err, field)
	}
}

func TestCheckSize(t *testing.T) {
	for _, tc := range []struct {
		values, keys int
		ok           bool
	}{
		{0, 0, true},
		{1 << 20, 1000, true},
		{1<<20 + 1, 1, false},
		{0, 1001, false},
	} {
		wantChecked(t, "size", secret.CheckSize(tc.values, tc.keys), tc.ok, "data")
	}
}

func TestOutcomeOf(t *testing.T) {
	invalid := &secret.InvalidError{Field: "data", DataKey: "k", Reason: "is not stored"}
	if got, want := invalid.Error(), "data: k: is not stored"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, tc := range []struct {
		err  error
		want secret.Outcome
	}{
		{nil, secret.Done},
		{invalid, secret.Invalid},
		{secret.ErrForbidden, secret.Denied},
		{secret.ErrNotFound, secret.NotFound},
		{secret.ErrExists, secret.Exists},
		{secret.ErrChanged, secret.Changed},
		{secret.ErrUnavailable, secret.Unavailable},
		{secret.ErrFull, secret.Full},
		{errors.New("disk on fire"), secret.Failed},
	} {
		if got := secret.OutcomeOf(tc.err); got != tc.want {
			t.Errorf("OutcomeOf(%v) = %q, want %q", tc.err, got, tc.want)
		}
		if tc.err == nil {
			continue
		}
		if got := secret.OutcomeOf(errors.Join(errors.New("while writing"), tc.err)); got != tc.want {
			t.Errorf("OutcomeOf(wrapped %v) = %q, want %q", tc.err, got, tc.want)
		}
	}
}
