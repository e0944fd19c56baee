package secret_test

import (
	"strings"
	"testing"

	"github.com/strongroom/strongroom/internal/secret"
)

func TestSuspicions(t *testing.T) {
	const newline, placeholder, short = "ends with a newline", "looks like a placeholder", "is shorter than 6 bytes"
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
		strings.Repeat("x", 65):                   "", // long enough to be something
		"hunter2hunter2\n":                        newline,
		"hunter2hunter2\r\n":                      newline,
		"hunter2hunter2 ":                         "",
		"changeme":                                placeholder,
		"Change-Me\n":                             newline + ", " + placeholder,
		"PLACEHOLDER":                             placeholder,
		"<your token>":                            placeholder,
		"your-api-key":                            placeholder,
		"your_key_goes_here":                      placeholder,
		"yours truly, key":                        "",
		"${GITHUB_TOKEN}":                         placeholder,
		"{{ .token }}":                            placeholder,
		"**********":                              placeholder,
		"xxxxxxxx":                                placeholder,
		"••••••••":                                placeholder,
		"undefined":                               placeholder,
		"null":                                    placeholder + ", " + short,
		"todo":                                    placeholder + ", " + short,
		"true":                                    short,
		"false":                                   short,
		"1":                                       short,
		"":                                        short,
		"12345 ":                                  short,
		"123456":                                  "",
		"\n":                                      newline + ", " + short,
		"\n\n":                                    short,
	} {
		if got := strings.Join(secret.Suspicions(secret.Value(value)), ", "); got != want {
			t.Errorf("%q: got %q, want %q", value, got, want)
		}
	}
}
