package envfile

import (
	"errors"
	"fmt"
	"strings"

	"github.com/strongroom/strongroom/internal/secret"
)

// shellLine writes a line that a POSIX shell sources. Between single quotes nothing has a
// meaning except the closing quote.
func shellLine(v Var) (string, error) {
	if !ValidEnvName(v.Env) {
		return "", fmt.Errorf("%s is not a name that a shell variable can have: name it with --env", v.Env)
	}
	return "export " + v.Env + "='" + strings.ReplaceAll(string(v.Value), "'", `'\''`) + "'", nil
}

// systemdLine writes a line of an EnvironmentFile of systemd.exec(5). Between double quotes a backslash escapes
// " \ ` $ and nothing else, and line breaks are kept.
func systemdLine(v Var) (string, error) {
	if !ValidEnvName(v.Env) {
		return "", fmt.Errorf("%s is not a name that an environment variable can have: name it with --env", v.Env)
	}
	return v.Env + `="` + strings.NewReplacer(`"`, `\"`, `\`, `\\`, "`", "\\`", "$", `\$`).Replace(string(v.Value)) + `"`, nil
}

// A dialect says how a file of assignments is quoted.
type dialect struct {
	export    bool   // a word export may come before the name
	expands   string // characters that a shell would expand, outside of single quotes
	comments  string // characters that begin a comment at the start of a line
	separates string // characters that end a value without quotes, besides a line break
}

// readShell reads assignments. It runs nothing: what only a shell can compute is an error.
func readShell(text string) ([]Var, error) {
	return readAssignments(text, dialect{export: true, expands: "$`", comments: "#", separates: " \t;"})
}

// readSystemd reads an EnvironmentFile of systemd.exec(5), in which nothing is expanded.
func readSystemd(text string) ([]Var, error) {
	return readAssignments(text, dialect{comments: "#;"})
}

func readAssignments(text string, d dialect) ([]Var, error) {
	s := &scanner{text: text, dialect: d}
	var vars []Var
	for s.skipBlank() {
		line := lineAt(text, s.at)
		v, err := s.assignment()
		if err != nil {
			return nil, atLine(line, "%w", err)
		}
		v.Line = line
		vars = append(vars, v)
	}
	return lastOfEach(vars), nil
}

type scanner struct {
	text string
	at   int
	dialect
}

// skipBlank moves to the next assignment, and reports whether there is one.
func (s *scanner) skipBlank() bool {
	for s.at < len(s.text) {
		c := s.text[s.at]
		switch {
		case strings.IndexByte(s.comments, c) >= 0:
			next := strings.IndexByte(s.text[s.at:], '\n')
			if next < 0 {
				return false
			}
			s.at += next
		case strings.IndexByte(" \t\r\n;", c) < 0:
			return true
		}
		s.at++
	}
	return false
}

func (s *scanner) assignment() (Var, error) {
	rest := s.text[s.at:]
	if s.export {
		bare := strings.TrimLeft(strings.TrimPrefix(rest, "export"), " \t")
		if strings.HasPrefix(rest, "export ") || strings.HasPrefix(rest, "export\t") {
			s.at += len(rest) - len(bare)
			rest = bare
		}
	}
	name, _, found := strings.Cut(rest, "=")
	if !found || !ValidEnvName(name) {
		return Var{}, errors.New("want NAME=value, a comment or nothing")
	}
	s.at += len(name) + 1
	value, err := s.value()
	return Var{Secret: name, Value: secret.Value(value)}, err
}

// value reads up to the end of the assignment. Parts with and without quotes follow each other directly.
func (s *scanner) value() (string, error) {
	var b strings.Builder
	if !s.export { // a shell allows no blanks between = and the value
		s.at += len(s.text[s.at:]) - len(strings.TrimLeft(s.text[s.at:], " \t"))
	}
	kept := 0 // length without the blanks after the last quote or character
	for s.at < len(s.text) && s.text[s.at] != '\n' {
		c := s.text[s.at]
		s.at++
		switch {
		case c == '\'' || c == '"':
			if err := s.quoted(c, &b); err != nil {
				return "", err
			}
			kept = b.Len()
		case strings.IndexByte(s.separates, c) >= 0:
			return b.String(), s.mustEnd(c)
		case strings.IndexByte(s.expands, c) >= 0:
			return "", errExpands
		case c == '\\' && s.at < len(s.text):
			if s.text[s.at] != '\n' {
				b.WriteByte(s.text[s.at])
			}
			s.at++
			kept = b.Len()
		default:
			b.WriteByte(c)
			if strings.IndexByte(" \t\r", c) < 0 {
				kept = b.Len()
			}
		}
	}
	return b.String()[:kept], nil
}

var errExpands = errors.New("the value has a $ or ` that a shell would expand: put it into single quotes")

// mustEnd makes sure that nothing but a comment or another assignment follows a value in a shell script.
func (s *scanner) mustEnd(separator byte) error {
	line, _, _ := strings.Cut(s.text[s.at:], "\n")
	line = strings.TrimLeft(line, " \t;")
	if line == "" || line[0] == '#' || separator == ';' {
		return nil
	}
	if name, _, found := strings.Cut(line, "="); found && ValidEnvName(name) {
		return nil
	}
	return errors.New("a command follows the value: only assignments can be read")
}

// quoted reads up to the closing quote.
func (s *scanner) quoted(quote byte, b *strings.Builder) error {
	for ; s.at < len(s.text); s.at++ {
		c := s.text[s.at]
		switch {
		case c == quote:
			s.at++
			return nil
		case quote == '\'':
			b.WriteByte(c)
		case c == '\\' && s.at+1 < len(s.text) && strings.IndexByte("\"\\`$\n", s.text[s.at+1]) >= 0:
			s.at++
			if s.text[s.at] != '\n' {
				b.WriteByte(s.text[s.at])
			}
		case strings.IndexByte(s.expands, c) >= 0:
			return errExpands
		default:
			b.WriteByte(c)
		}
	}
	return fmt.Errorf("the quote %c is not closed", quote)
}
