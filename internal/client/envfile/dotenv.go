package envfile

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/strongroom/strongroom/internal/secret"
)

// .env files have no standard. This is the grammar of Node's dotenv (version 18), which expands no
// variables, except that lines without an assignment, quotes that are not closed and a # right after
// a value are errors here. testdata/dotenv compares it with python-dotenv and Docker Compose.

// jsSpaces are the characters that JavaScript's \s and trim() remove.
const jsSpaces = "\t\n\v\f\r \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"

// dotenvEntry matches a name, = or a colon, a value with or without quotes, and a comment. SP
// stands for a class of jsSpaces.
var dotenvEntry = regexp.MustCompile(strings.ReplaceAll(
	`(?m)^SP*(?:exportSP+)?([\w.-]+)(?:SP*=SP*?|:SP+?)`+
		"(SP*'(?:\\\\'|[^'])*'|SP*\"(?:\\\\\"|[^\"])*\"|SP*`(?:\\\\`|[^`])*`|[^#\\n]+)?SP*(?:#[^\\n]*)?$",
	"SP", "["+jsSpaces+"]"))

func readDotenv(text string) ([]Var, error) {
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text)
	var vars []Var
	end := 0
	for _, at := range dotenvEntry.FindAllStringSubmatchIndex(text, -1) {
		if err := onlyComments(text, end, at[0]); err != nil {
			return nil, err
		}
		end = at[1]
		v := Var{Secret: text[at[2]:at[3]], Line: lineAt(text, at[2])}
		raw, after := "", strings.TrimLeft(text[at[3]:at[1]], "=:")
		if at[4] >= 0 {
			raw, after = text[at[4]:at[5]], text[at[5]:at[1]]
		}
		value, err := dotenvValue(raw, after)
		if err != nil {
			return nil, atLine(v.Line, "%w", err)
		}
		v.Value = secret.Value(value)
		vars = append(vars, v)
	}
	if err := onlyComments(text, end, len(text)); err != nil {
		return nil, err
	}
	return lastOfEach(vars), nil
}

// dotenvValue removes the quotes. Between double quotes, \n and \r are line breaks; no other escape
// exists. A # right after a value without quotes is an error: Node's dotenv begins a comment there, and
// others take it for a part of the value.
func dotenvValue(raw, after string) (string, error) {
	text := strings.Trim(raw, jsSpaces)
	if text == "" || !strings.ContainsRune("'\"`", rune(text[0])) {
		if strings.HasPrefix(after, "#") && strings.TrimRight(raw, jsSpaces) == raw {
			return "", errors.New("the # can be a part of the value or begin a comment: put the value into quotes, or a blank before the #")
		}
		return text, nil
	}
	quote := text[:1]
	if len(text) < 2 || !strings.HasSuffix(text, quote) {
		return "", fmt.Errorf("the quote %s is not closed, or text follows it", quote)
	}
	text = text[1 : len(text)-1]
	if quote == `"` {
		text = strings.NewReplacer(`\n`, "\n", `\r`, "\r").Replace(text)
	}
	return text, nil
}

// onlyComments returns an error unless a part of the file consists of comments and empty lines.
func onlyComments(text string, from, to int) error {
	for line := range strings.Lines(text[from:to]) {
		bare := strings.Trim(line, jsSpaces)
		if bare != "" && !strings.HasPrefix(bare, "#") {
			return atLine(lineAt(text, from), "want NAME=value, a comment or nothing")
		}
		from += len(line)
	}
	return nil
}

// lastOfEach keeps the last value of a name that is set several times, as all readers of such files do.
func lastOfEach(vars []Var) []Var {
	last := map[string]int{}
	for n, v := range vars {
		last[v.Secret] = n
	}
	kept := vars[:0]
	for n, v := range vars {
		if last[v.Secret] == n {
			kept = append(kept, v)
		}
	}
	return kept
}

// bareDotenv matches the values that all readers take as they are, without quotes.
var bareDotenv = regexp.MustCompile(`^[A-Za-z0-9_./:@%+,=-]+$`)

// dotenvLine writes the first form that reads back as the value. Single quotes come first, because
// within them no reader expands variables except python-dotenv, which expands ${NAME} everywhere.
func dotenvLine(v Var) (string, error) {
	value := string(v.Value)
	forms := []string{
		"'" + value + "'",
		`"` + strings.NewReplacer("\n", `\n`, "\r", `\r`).Replace(value) + `"`,
		"`" + value + "`",
		value,
	}
	if value == "" || bareDotenv.MatchString(value) {
		forms = []string{value}
	}
	for _, form := range forms {
		line := v.Env + "=" + form
		read, err := readDotenv(line + "\n")
		if err == nil && len(read) == 1 && read[0].Secret == v.Env && read[0].Value == v.Value {
			return line, nil
		}
	}
	return "", errors.New(v.Env + ": no .env file can hold this mix of quotes, line breaks and #: use --format json")
}
