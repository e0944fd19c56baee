package secret_test

import (
	"strings"
	"testing"

	"github.com/strongroom/strongroom/internal/secret"
)

func TestSuspicions(t *testing.T) {
	const (
		newline     = "ends with a newline: leave it out"
		newlines    = "ends with several newlines: leave them out"
		blank       = "begins or ends with a blank: leave it out"
		returns     = "has carriage returns: save it with Unix line endings"
		mark        = "begins with a byte order mark: save it as UTF-8 without one"
		invisible   = "has invisible characters: type it anew instead of copying it"
		quotes      = "is in quotes: leave them out"
		name        = "begins with a name and =: send only the value behind it"
		masked      = "looks masked in part: send the whole value"
		escaped     = "is a PEM file with escaped line breaks: send real ones"
		oneLine     = "is a PEM file on one line: send it with its line breaks"
		cut         = "is a PEM file without its last line: send the whole file"
		placeholder = "looks like a placeholder: send the real value"
		short       = "is shorter than 6 bytes: agents will mask it in everything they print"
	)
	for value, want := range map[string]string{
		"correct horse":                "",
		"ghp_x1x2x3":                   "",
		"sécret":                       "",
		"the password is not this one": "",
		"xoxb-123456":                  "",
		"<html>":                       placeholder,
		"$6$rounds":                    "",
		"mysql://db":                   "",
		"\xff\xfe\x00\x01\x02\x03":     "",
		"-----BEGIN K-----\na\n-----END K-----\n": "",
		strings.Repeat("x", 64):                   placeholder,
		strings.Repeat("x", 65):                   "", // long enough to be a real value
		"hunter2hunter2\n":                        newline,
		"hunter2hunter2\r\n":                      newline + ", " + returns,
		"hunter2hunter2 ":                         blank,
		" hunter2hunter2":                         blank,
		"\thunter2hunter2":                        blank,
		"hunter2hunter2\u00a0":                    blank,
		"\nhunter2hunter2":                        blank,
		"hunter2hunter2 \n":                       newline + ", " + blank,
		"hunter2hunter2\n\n":                      newlines,
		"one line\nanother\n\n":                   newlines,
		"one line\nanother\n":                     "",
		"one line\r\nanother\r\n":                 returns,
		"hunter2\rhunter2":                        returns,
		"\ufeffhunter2hunter2":                    mark,
		"hunter2\ufeffhunter2":                    invisible,
		"\ufeffhunter2\u200b":                     mark + ", " + invisible,
		"hunter2\u200bhunter2":                    invisible,
		"hunter2hunter2\u2060":                    invisible,
		"soft\u00adhyphen":                        invisible,
		`"hunter2hunter2"`:                        quotes,
		"'hunter2hunter2'\n":                      newline + ", " + quotes,
		"`hunter2hunter2`":                        quotes,
		"“hunter2hunter2”":                        quotes,
		`"one" and "another"`:                     "",
		`"hunter2hunter2`:                         "",
		"'tis hunter2":                            "",
		`"`:                                       short,
		`""`:                                      quotes + ", " + short,
		"API_KEY=hunter2hunter2":                  name,
		"export TOKEN=hunter2":                    name,
		`TOKEN="hunter2"`:                         name,
		"A=1\nB=2\n":                              "", // a whole file
		"JBSWY3DPEHPK3PXP====":                    "",
		"JBSWY3DPEHPK3PXP=":                       "",
		"SERVER=db;UID=u;PWD=hunter2":             "",
		"host=db password=hunter2":                "",
		"AccountKey=hunter2hunter2":               "",
		"sk-****abcd":                             masked,
		"ghp_••••••":                              masked,
		"********abcd":                            masked,
		"sk-...abcd":                              masked,
		"sk-proj-ab…cd":                           masked,
		"what...ever":                             "",
		"src/**/*.go":                             "",
		"****** a heading ******":                 "",
		strings.Repeat("a", 62) + "***":           "", // long enough to be a real value
		`-----BEGIN K-----\na\n-----END K-----\n`: escaped,
		"-----BEGIN K-----\\na":                   escaped + ", " + cut,
		"-----BEGIN K----- a -----END K-----":     oneLine,
		"-----BEGIN K-----\na\n":                  cut,
		"-----BEGIN K-----\na\n-----END K":        "", // nearly
		"-----BEGIN K-----\na\n-----END K-----":   "",
		"-----BEGIN K-----\na\n-----END K-----\n-----BEGIN K-----\nb\n": cut,
		`{"private_key":"-----BEGIN K-----\na\n-----END K-----\n"}`:     "",
		"changeme":           placeholder,
		"Change-Me\n":        newline + ", " + placeholder,
		"PLACEHOLDER":        placeholder,
		"<your token>":       placeholder,
		"your-api-key":       placeholder,
		"your_key_goes_here": placeholder,
		"yours truly, key":   "",
		"${GITHUB_TOKEN}":    placeholder,
		"{{ .token }}":       placeholder,
		"**********":         placeholder,
		"xxxxxxxx":           placeholder,
		"••••••••":           placeholder,
		"undefined":          placeholder,
		"null":               placeholder + ", " + short,
		"todo":               placeholder + ", " + short,
		"true":               short,
		"false":              short,
		"1":                  short,
		"":                   short,
		"12345 ":             blank + ", " + short,
		"123456":             "",
		"\n":                 newline + ", " + short,
		"\n\n":               newlines + ", " + short,
	} {
		if got := strings.Join(secret.Suspicions(secret.Value(value)), ", "); got != want {
			t.Errorf("%q: got %q, want %q", value, got, want)
		}
	}
}

func TestSuspiciousNames(t *testing.T) {
	for name, want := range map[string]int{"TOKEN": 0, "my-token": 0, "sécret": 0, "a b": 1, "TOKEN ": 1, "\u00a0TOKEN": 1, "TOKEN=": 1, "=": 1} {
		if got := secret.NameSuspicions(name); len(got) != want {
			t.Errorf("%q: got %q", name, got)
		}
	}
}
