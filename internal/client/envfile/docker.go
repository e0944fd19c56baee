package envfile

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/strongroom/strongroom/internal/secret"
)

// maxDockerLine is the length of the longest line that docker --env-file accepts, in bytes.
const maxDockerLine = 64<<10 - 1

// dockerLine writes a line of a file for docker run --env-file, which knows no quotes:
// everything after the = is the value.
func dockerLine(v Var) (string, error) {
	line := v.Env + "=" + string(v.Value)
	switch {
	case strings.Contains(line, "\n") || strings.HasSuffix(line, "\r"):
		return "", fmt.Errorf("%s: docker --env-file cannot hold line breaks: pass a file with --files instead", v.Env)
	case len(line) > maxDockerLine:
		return "", fmt.Errorf("%s: docker --env-file cannot hold lines of 64 KiB", v.Env)
	}
	return line, nil
}

func readDocker(text string) ([]Var, error) {
	var vars []Var
	n := 0
	for line := range strings.Lines(strings.TrimPrefix(text, "\ufeff")) {
		n++
		line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
		line = strings.TrimLeft(line, " \t")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, value, found := strings.Cut(line, "=")
		if err := checkAssignment(name, found); err != nil {
			return nil, atLine(n, "%w", err)
		}
		vars = append(vars, Var{Secret: name, Value: secret.Value(value), Line: n})
	}
	return lastOfEach(vars), nil
}

func checkAssignment(name string, found bool) error {
	if !found || name == "" || strings.ContainsFunc(name, unicode.IsSpace) {
		return errors.New("want NAME=value, a comment or nothing")
	}
	return nil
}
