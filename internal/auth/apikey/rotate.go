package apikey

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/strongroom/strongroom/internal/strictyaml"
)

// A Rotation is a keys file with a new API key in place of an old one.
type Rotation struct {
	File []byte // the new content of the keys file
	Key  string // the new API key
	ID   string // its id
}

// errForm means that Rotate cannot edit the entry.
var errForm = errors.New("the entry is written in a form that cannot be changed automatically: begin it with a line \"- id: …\", or change the file by hand")

// Rotate replaces the API key with this id in a keys file. The new key has the same
// subject, user and grants. The old one works until ends; if that is not after now, its
// entry is removed. The rest of the file stays as it is, comments included.
func Rotate(file []byte, id string, now, ends time.Time) (Rotation, error) {
	want, err := decode(file)
	if err != nil {
		return Rotation{}, err
	}
	at := slices.IndexFunc(want, func(k Key) bool { return k.ID == id })
	switch {
	case at < 0:
		return Rotation{}, fmt.Errorf("it has no API key with the id %q", id)
	case want[at].over(now):
		return Rotation{}, fmt.Errorf("the API key %s has ended: rotate its successor", id)
	}
	e, err := entryAt(file, at)
	if err != nil {
		return Rotation{}, err
	}
	var r Rotation
	r.Key, r.ID = Generate()
	old := want[at]
	want[at].ID, want[at].SHA256 = r.ID, HashOf(r.Key)
	text := e.edited(e.replace("id", r.ID), e.replace("sha256", HashOf(r.Key).String()))
	if ends.After(now) {
		var edits []edit
		if old.Until.IsZero() || ends.Before(old.Until) {
			old.Until = ends.UTC().Truncate(time.Second)
			edits = append(edits, e.until(old.Until))
		}
		want = slices.Insert(want, at+1, old)
		text += e.edited(edits...)
	}
	r.File = []byte(e.before + text + e.after)
	// Positions in a file of unusual form may mislead, so the result is compared.
	if got, err := decode(r.File); err != nil || !reflect.DeepEqual(got, want) {
		return Rotation{}, errForm
	}
	_, err = ParseKeys("", r.File)
	return r, err
}

func decode(file []byte) ([]Key, error) {
	var keys Keys
	err := strictyaml.DecodeFile(file, &keys)
	return keys.Keys, err
}

// An entry is the text of one API key in a keys file, in whole lines.
type entry struct {
	before, after string // the rest of the file
	lines         []string
	first         int // number of the first line
	scalars       map[string]strictyaml.Scalar
	path          string // keys[i].
}

// entryAt finds the i-th entry. Empty lines and comments after it are not part of it.
func entryAt(file []byte, i int) (entry, error) {
	path := func(i int) string { return fmt.Sprintf("keys[%d]", i) }
	starts, lines := strictyaml.Lines(file), slices.Collect(strings.Lines(string(file)))
	first, end := starts[path(i)], len(lines)
	if next, ok := starts[path(i+1)]; ok {
		end = next - 1
	}
	for end > first && isFiller(lines[end-1]) {
		end--
	}
	if end < first || !strings.HasPrefix(strings.TrimSpace(lines[first-1]), "- ") {
		return entry{}, errForm
	}
	return entry{
		before: strings.Join(lines[:first-1], ""), after: strings.Join(lines[end:], ""),
		lines: lines[first-1 : end], first: first, scalars: strictyaml.Scalars(file), path: path(i) + ".",
	}, nil
}

func isFiller(line string) bool {
	line = strings.TrimSpace(line)
	return line == "" || line == "..." || strings.HasPrefix(line, "#")
}

// An edit replaces a part of a line. Columns count characters.
type edit struct {
	line, column, length int
	text                 string
}

// replace returns the edit that gives a field another value.
func (e entry) replace(field, value string) edit {
	old := e.scalars[e.path+field]
	return edit{old.Line - e.first, old.Column - 1, old.Length, value}
}

// until returns the edit that ends an entry at this time.
func (e entry) until(end time.Time) edit {
	value := end.Format(time.RFC3339)
	if _, ok := e.scalars[e.path+"until"]; ok {
		return e.replace("until", value)
	}
	behind := e.replace("sha256", "")
	behind.column, behind.length = behind.column+behind.length, 0
	if strings.Contains(e.lines[0], "- {") {
		behind.text = ", until: " + value
		return behind
	}
	line := strings.TrimRight(e.lines[min(max(behind.line, 0), len(e.lines)-1)], "\r\n")
	indent := strings.Repeat(" ", max(strings.Index(line, "sha256"), 0))
	behind.column, behind.text = utf8.RuneCountInString(line), "\n"+indent+"until: "+value
	return behind
}

// edited returns the text with the edits.
func (e entry) edited(edits ...edit) string {
	lines := slices.Clone(e.lines)
	slices.SortFunc(edits, func(a, b edit) int { return cmp.Compare(b.column, a.column) }) // from the right
	for _, d := range edits {
		if d.line < 0 || d.line >= len(lines) {
			continue
		}
		line := []rune(lines[d.line])
		start := min(max(d.column, 0), len(line))
		end := min(start+d.length, len(line))
		lines[d.line] = string(line[:start]) + d.text + string(line[end:])
	}
	return strings.Join(lines, "")
}
