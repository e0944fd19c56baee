package contracttest

import (
	"fmt"
	"strings"
	"testing"
)

// A body is sent to both APIs, as an update and as a creation.
type body struct {
	name    string
	headers []string // name: value
	text    string   // GOOD stands for members that make the body valid otherwise, CHUNK for a chunk with them
	status  int
	want    string // expected 422; without it, the one for invalid JSON
	odd     bool   // not allowed by the documents
}

var hostileBodies = []body{
	{name: "a form", headers: []string{"Content-Type: application/x-www-form-urlencoded"}, text: `{GOOD}`, status: 422, want: refused(notObject("body"))},
	{name: "a form with files", headers: []string{"Content-Type: multipart/form-data; boundary=" + canary}, text: `{GOOD}`, status: 422, want: refused(notObject("body"))},
	{name: "XML", headers: []string{"Content-Type: application/xml"}, text: `{GOOD}`, status: 422, want: refused(notObject("body"))},
	{name: "plain text", headers: []string{"Content-Type: text/plain"}, text: `{GOOD}`, status: 422, want: refused(notObject("body"))},
	{name: "a type that looks like it", headers: []string{"Content-Type: application/jsonx"}, text: `{GOOD}`, status: 422, want: refused(notObject("body"))},
	{name: "something behind it", text: `{GOOD}` + canary, status: 422},
	{name: "another object behind it", text: `{GOOD}{GOOD}`, status: 422},
	{name: "a member twice", text: `{GOOD,GOOD}`, status: 422},
	{name: "an unknown member twice", text: `{GOOD,"x":1,"x":1}`, status: 422},
	{name: "a member twice, once escaped", text: `{GOOD,"x":1,"\u0078":1}`, status: 422},
	{name: "lists in lists, 10,000 deep", text: `{GOOD,"x":` + strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000) + `}`, status: 422},
	{name: "objects in objects, 10,000 deep", text: `{GOOD,"x":` + strings.Repeat(`{"x":`, 10_000) + "1" + strings.Repeat("}", 10_000) + `}`, status: 422},
	{name: "10,000 lists that do not end", text: strings.Repeat("[", 10_000), status: 422, want: refused(notJSON(64))},
	{name: "half a surrogate pair", text: `{GOOD,"x":"\ud800"}`, status: 422},
	{name: "the other half", text: `{GOOD,"x":"\udc00"}`, status: 422},
	{name: "half a pair in a name", text: `{GOOD,"\ud800":1}`, status: 422},
	{name: "not a number", text: `{GOOD,"x":NaN}`, status: 422},
	{name: "NUL", text: "{GOOD,\"x\":\"\x00\"}", status: 422},
	{name: "NUL behind it", text: "{GOOD}\x00", status: 422},
	{name: "a comment", text: `{GOOD/* */}`, status: 422},
	{name: "single quotes", text: `{'x':1}`, status: 422, want: refused(notJSON(1))},
	{name: "UTF-16", text: "\xff\xfe{\x00}\x00", status: 400},
	{name: "Latin-1", text: "{GOOD,\"x\":\"\xe9\"}", status: 400},
	{name: "a surrogate in UTF-8", text: "{GOOD,\"x\":\"\xed\xa0\x80\"}", status: 400},
	{name: "compressed", headers: []string{"Content-Encoding: gzip"}, text: "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03", status: 400},
	{name: "a chunk without a length", headers: []string{"Transfer-Encoding: chunked"}, text: "zz\r\n{GOOD}\r\n0\r\n\r\n", status: 400},
	{name: "10 MiB", text: `{GOOD,"x":"` + strings.Repeat("x", 10*mebibyte) + `"}`, status: 413},
	{name: "10 MiB in one chunk", headers: []string{"Transfer-Encoding: chunked"}, text: chunked(strings.Repeat(" ", 10*mebibyte)), status: 413},
	{name: "10 MiB of nothing", text: strings.Repeat(" ", 10*mebibyte), status: 413},
	{name: "a terabyte, announced", headers: []string{"Content-Length: 1099511627776"}, text: "{", status: 413},
	{name: "a terabyte, announced and awaited", headers: []string{"Content-Length: 1099511627776", "Expect: 100-continue"}, status: 413},
	{name: "nothing", status: 422, want: refused(missing("body"))},
	{name: "nothing, in chunks", headers: []string{"Transfer-Encoding: chunked"}, text: "0\r\n\r\n", status: 422, want: refused(missing("body"))},
	{name: "a byte order mark and nothing", text: "\ufeff", status: 422},
	{name: "two byte order marks", text: "\ufeff\ufeff{GOOD}", status: 422},
}

// Each of these gets an error in the API's dialect and changes nothing.
func TestHostileBodies(t *testing.T) {
	s := serve(t)
	s.undisturbed(t, func() {
		for _, b := range hostileBodies {
			t.Run(b.name, func(t *testing.T) {
				inBoth(t, func(t *testing.T, d dialect) {
					c := s.caller(t, d.key, admin)
					b.judge(b.sentBy(c, "POST", d.create, d), d)
					b.judge(b.sentBy(c, "PUT", d.path, d), d)
				})
			})
		}
	})
}

func (b body) sentBy(c caller, method, path string, d dialect) answer {
	c.t.Helper()
	c.odd = b.odd
	for _, header := range b.headers {
		name, value, _ := strings.Cut(header, ": ")
		c = c.with(name, value)
	}
	good := strings.Trim(d.draft("HACKED"), "{}")
	chunk := fmt.Sprintf("%x\r\n%s\r\n", len(good), good)
	return c.raw(method, path, strings.NewReplacer("GOOD", good, "CHUNK", chunk).Replace(b.text))
}

func (b body) judge(a answer, d dialect) {
	a.t.Helper()
	switch {
	case b.status == 400:
		a.wants(400, d.unreadable)
	case b.status == 413:
		a.wants(413, d.tooLarge)
	case b.want != "":
		a.wants(422, b.want)
	default:
		a.wants(422, refused(notJSON(placeOf(a))))
	}
}

// placeOf returns the position in a json_invalid error.
func placeOf(a answer) (character int) {
	_, rest, _ := strings.Cut(a.body, `["body",`)
	_, _ = fmt.Sscanf(rest, "%d]", &character)
	return character
}

// These bodies look odd but are valid: the upstream framework accepts them too.
func TestUnusualValidBodies(t *testing.T) {
	s := serve(t)
	for _, b := range []body{
		{name: "a byte order mark", text: "\ufeff{GOOD}", odd: true},
		{name: "spaces", text: "\r\n\t {GOOD } \n"},
		{name: "no content type", headers: []string{"Content-Type: "}, text: "{GOOD}"},
		{name: "a type with a charset", headers: []string{"Content-Type: Application/JSON; charset=latin1"}, text: "{GOOD}"},
		{name: "a kind of JSON", headers: []string{"Content-Type: application/merge-patch+json"}, text: "{GOOD}", odd: true},
		{name: "members that nobody knows", text: `{"x":{"name":[1e400,-0,null]},GOOD,"Name":1,"":{}}`, odd: true},
		{name: "chunks", headers: []string{"Transfer-Encoding: chunked"}, text: "1\r\n{\r\nCHUNK1\r\n}\r\n0\r\n\r\n"},
		{name: "a question first", headers: []string{"Expect: 100-continue"}, text: "{GOOD}"},
		{name: "lists in lists, 60 deep", text: `{GOOD,"x":` + strings.Repeat("[", 60) + strings.Repeat("]", 60) + `}`},
		{name: "nearly 4 MiB", text: `{GOOD,"x":"` + strings.Repeat("x", 4*mebibyte-200) + `"}`},
	} {
		t.Run(b.name, func(t *testing.T) {
			inBoth(t, func(t *testing.T, d dialect) {
				c := s.caller(t, d.key, admin)
				b.sentBy(c, "POST", d.create, d).wantsStatus(d.made)
				c.delete(d.create + "/HACKED").wantsStatus(200)
			})
		})
	}
}
