package server_test

import (
	"errors"
	"testing"

	"github.com/strongroom/strongroom/internal/server"
)

func TestIfMatchAcceptsOneTagOrAsterisk(t *testing.T) {
	for _, tc := range []struct {
		header, want string
		ok           bool
	}{
		{`"5f1c"`, "5f1c", true},
		{` "5f1c" `, "5f1c", true},
		{"*", "*", true},
		{"\t*", "*", true},
		{"", "", false},
		{`""`, "", false},
		{`"`, "", false},
		{"5f1c", "", false},
		{`"5f1c`, "", false},
		{`5f1c"`, "", false},
		{`W/"5f1c"`, "5f1c", true}, // a proxy that compresses weakens tags
		{` W/"5f1c"`, "5f1c", true},
		{`w/"5f1c"`, "", false},
		{`W/ "5f1c"`, "", false},
		{`W/W/"5f1c"`, "", false},
		{"W/5f1c", "", false},
		{"W/*", "", false},
		{`W/"*"`, "", false},
		{`W/"a", W/"b"`, "", false},
		{`"a", "b"`, "", false},
		{`"a","b"`, "", false},
		{`"a"b"`, "", false},
		{`"*"`, "", false},
		{`*, "a"`, "", false},
		{"**", "", false},
	} {
		got, err := server.IfMatch(&tc.header)
		if got != tc.want || (err == nil) != tc.ok || (!tc.ok && !errors.Is(err, server.ErrPrecondition)) {
			t.Errorf("IfMatch(%s) = %q, %v, want %q, %v", tc.header, got, err, tc.want, tc.ok)
		}
	}
	if got, err := server.IfMatch(nil); got != "" || err != nil {
		t.Errorf("without a header: %q, %v", got, err)
	}
}

func TestIfMatchReadsTheOutputOfETag(t *testing.T) {
	tag := server.ETag("0123456789abcdef")
	if got, err := server.IfMatch(&tag); got != "0123456789abcdef" || err != nil {
		t.Errorf("%s: %q, %v", tag, got, err)
	}
}

func TestNoneMatchAllowsRevisionsThatTheClientDoesNotHave(t *testing.T) {
	for _, tc := range []struct {
		header string
		want   bool
	}{
		{`"a"`, false},
		{`W/"a"`, false},
		{` "b" , "a"`, false},
		{`"b",W/"a"`, false},
		{"*", false},
		{`"b"`, true},
		{`"b", "c"`, true},
		{"", true},
		{"a", true},
		{`"A"`, true},
		{`w/"a"`, true},
		{`"a`, true},
		{",,,", true},
	} {
		if got := server.NoneMatch(&tc.header, "a"); got != tc.want {
			t.Errorf("NoneMatch(%s) = %v, want %v", tc.header, got, tc.want)
		}
	}
	if !server.NoneMatch(nil, "a") {
		t.Error("without a header: the answer is not allowed")
	}
}
