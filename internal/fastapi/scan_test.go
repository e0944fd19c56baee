package fastapi_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// jsonErrorOffset sends a body and returns the offset of its first JSON error, or -1.
func jsonErrorOffset(t testing.TB, h http.Handler, body string) int {
	t.Helper()
	status, answer := send(h, "PUT", "/api/secrets/A", "", body)
	if status != http.StatusUnprocessableEntity && status != http.StatusOK {
		t.Fatalf("%.40q: %d %s", body, status, answer)
	}
	var got struct {
		Detail []struct {
			Type string
			Loc  []any
		}
	}
	if err := json.Unmarshal([]byte(answer), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Detail) == 1 && got.Detail[0].Type == "json_invalid" {
		return int(got.Detail[0].Loc[1].(float64))
	}
	return -1
}

// The positions that CPython 3.12's json.loads reports (JSONDecodeError.pos).
var cpython = []struct {
	name, body string
	want       int
}{
	{"trailing comma in object", `{"name": "x",}`, 13},
	{"no value", `{"name":`, 8},
	{"spaces only", " \n", 2},
	{"extra data", `{"name": "x"} extra`, 14},
	{"word", `not json`, 0},
	{"shortened word", `[nul]`, 1},
	{"word and more", `nullx`, 4},
	{"capital word", `True`, 0},
	{"open object", `{`, 1},
	{"open object, name", `{"a"`, 4},
	{"open object, value", `{"a":1`, 6},
	{"open object, comma", `{"a":1, `, 8},
	{"no colon", `{"a" 1}`, 5},
	{"no name", `{1:2}`, 1},
	{"single quotes", `{'a':1}`, 1},
	{"no comma", `{"a":1 "b":2}`, 7},
	{"wrong end", `{"a":1]`, 6},
	{"open list", `[`, 1},
	{"open list, value", `[1 `, 3},
	{"open list, comma", `[1, `, 4},
	{"trailing comma in list", `[1,]`, 3},
	{"only a comma", `[,]`, 1},
	{"no comma in list", `[1 2]`, 3},
	{"wrong end of list", `[1}`, 2},
	{"open string", `{"a":"bc`, 5},
	{"open string, backslash", `["a\`, 1},
	{"line break in a string", "\"a\nb\"", 2},
	{"tab in a string", "[\"\t\"]", 2},
	{"last control character", "\"\x1f\"", 1},
	{"NUL in a string", "\"\x00\"", 1},
	{"unknown escape", `"ab\xcd"`, 3},
	{"escape cut off", `"\u12"`, 2},
	{"escape at the very end", `"\u1234`, 2},
	{"escape of no digits", `["\u12g4"]`, 3},
	{"second escape cut off", `"\ud83d\u12"`, 8},
	{"second escape of no digits", `"\ud83d\u12zz"`, 8},
	{"zero in front", `[01]`, 2},
	{"plus", `+1`, 0},
	{"minus", `[-]`, 1},
	{"minus and letter", `-a`, 0},
	{"no digit behind the point", `[1.]`, 2},
	{"no digit before the point", `.5`, 0},
	{"no exponent", `1e`, 1},
	{"sign of an exponent", `[1E+]`, 2},
	{"hexadecimal", `0x10`, 1},
	{"comment", `{/**/}`, 1},
	{"other space", "\u00a01", 0},
	{"NUL between", "[1\x00 ]", 2},
	{"second mark", "\ufeff\ufeff{}", 0},
	{"characters, not bytes", `{"é漢😀": x}`, 8},
	{"characters behind a mark", "\ufeff[\"é\" 1]", 5},
	{"two documents", `{}{}`, 2},
	{"closing only", `}`, 0},
}

func TestErrorsInJSONHaveCPythonsPositions(t *testing.T) {
	e := newServer(t)
	for _, tc := range cpython {
		if got := jsonErrorOffset(t, e, tc.body); got != tc.want {
			t.Errorf("%s: %q: got %d, want %d", tc.name, tc.body, got, tc.want)
		}
	}
}

func TestJSONThatOnlyCPythonAccepts(t *testing.T) {
	tests := []struct {
		name, body string
		want       int
	}{
		{"a name twice", `{"name":"a","name":"b"}`, 12},
		{"an unknown name twice", `{"x":1,"name":"a","x":2}`, 18},
		{"twice, one escaped", `{"name":"a","n\u0061me":"b"}`, 12},
		{"twice further down", `{"name":"a","x":[{"é":{"k":1, "k":1}}]}`, 30},
		{"twice among many", `{"0":0,"1":0,"2":0,"3":0,"4":0,"5":0,"6":0,"7":0,"8":0,"9":0,"8":1}`, 61},
		{"the ninth is the first", `{"0":0,"1":0,"2":0,"3":0,"4":0,"5":0,"6":0,"7":0,"0":0}`, 49},
		{"the tenth is the first", `{"0":0,"1":0,"2":0,"3":0,"4":0,"5":0,"6":0,"7":0,"8":0,"0":0}`, 55},
		{"high surrogate", `{"name":"\ud800"}`, 10},
		{"low surrogate", `{"name":"a\uDC00"}`, 11},
		{"two high ones", `{"name":"\ud800\ud800"}`, 10},
		{"high one and a letter", `{"name":"\ud800\u0041"}`, 10},
		{"in an unknown member", `{"name":"a","x":["\ud800 "]}`, 19},
		{"NaN", `{"name":NaN}`, 8},
		{"Infinity", `[Infinity]`, 1},
		{"minus Infinity", `-Infinity`, 0},
		{"UTF-16, by its looks", "1\x00", 1},
		{"too deep", strings.Repeat("[", 65) + strings.Repeat("]", 65), 64},
		{"too deep in objects", strings.Repeat(`{"a":`, 65) + "1" + strings.Repeat("}", 65), 64 * 5},
	}
	e := newServer(t)
	for _, tc := range tests {
		if got := jsonErrorOffset(t, e, tc.body); got != tc.want {
			t.Errorf("%s: %q: got %d, want %d", tc.name, tc.body, got, tc.want)
		}
	}
	if got := jsonErrorOffset(t, e, strings.Repeat("[", 64)+strings.Repeat("]", 64)); got != -1 {
		t.Errorf("just deep enough: got %d", got)
	}
}

// A scan in quadratic time would take hours for these bodies on any machine.
func TestHostileBodiesAreQuick(t *testing.T) {
	tests := map[string]string{
		"brackets":      strings.Repeat("[", maxBody),
		"pairs":         "[" + strings.Repeat("[],", maxBody/3-2) + "[]]",
		"number":        strings.Repeat("1", maxBody),
		"string":        `"` + strings.Repeat(`\\`, maxBody/2-1) + `"`,
		"open string":   `"` + strings.Repeat(`é`, maxBody/2-1),
		"escapes":       `{"` + strings.Repeat(`\u0041`, maxBody/6-3) + `":1}`,
		"one name":      `{"a":1` + strings.Repeat(`,"a":1`, maxBody/6-3) + `}`,
		"many names":    manyNames("", 1),
		"escaped names": manyNames(`\u0041`, 1),
		"small objects": "[" + strings.Repeat(manyNames("", maxBody/100)+",", 50) + "0]",
		"spaces":        strings.Repeat(" ", maxBody),
	}
	e := newServer(t)
	for name, body := range tests {
		start := time.Now()
		send(e, "PUT", "/api/secrets/A", "", body)
		if took := time.Since(start); took > time.Minute {
			t.Errorf("%s: took %v", name, took)
		}
	}
}

// manyNames returns an object with distinct names. Its size is the given part of the
// largest body.
func manyNames(prefix string, part int) string {
	var b bytes.Buffer
	b.WriteString(`{"name":"a"`)
	for i := 0; b.Len() < maxBody/part-30; i++ {
		b.WriteString(`,"` + prefix + string(rune(0x4e00+i%20000)) + string(rune(0x4e00+i/20000)) + `":1`)
	}
	b.WriteByte('}')
	return b.String()
}

// FuzzScan compares scan with the decoder that Binder uses.
func FuzzScan(f *testing.F) {
	for _, tc := range cpython {
		f.Add([]byte(tc.body))
	}
	f.Add([]byte(`{"name":"\ud83d\ude00","a":[1.5e-3,true,false,null,{}]}`))
	f.Add([]byte(`{"a":1,"b":{"a":1,"\u0061":2}}`))
	e := newServer(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		if !utf8.Valid(body) || bytes.HasPrefix(body, []byte("\uFEFF")) || depth(body) > 64 {
			return
		}
		got := jsonErrorOffset(t, e, string(body)) < 0
		want := len(body) == 0 || jsontext.Value(body).IsValid()
		if got != want {
			t.Errorf("%q: accepted as JSON: %t, want %t", body, got, want)
		}
	})
}

// depth returns an upper bound of a JSON text's nesting.
func depth(text []byte) int {
	return bytes.Count(text, []byte("[")) + bytes.Count(text, []byte("{"))
}
