package main

import (
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// everyCommand calls fn with each command of the tree that help texts list.
func everyCommand(c *cobra.Command, fn func(*cobra.Command)) {
	if c.Hidden {
		return
	}
	fn(c)
	for _, child := range c.Commands() {
		everyCommand(child, fn)
	}
}

func TestEveryCommandHasASentenceAndExamplesThatParse(t *testing.T) {
	everyCommand(rootCommand(), func(c *cobra.Command) {
		path := c.CommandPath()
		if c.Short == "" || strings.HasSuffix(c.Short, ".") || strings.ToUpper(c.Short[:1]) != c.Short[:1] {
			t.Errorf("%s: the sentence is %q", path, c.Short)
		}
		lines := exampleLines(c)
		if len(lines) == 0 {
			t.Errorf("%s has no example", path)
		}
		for _, line := range lines {
			if err := parseExample(c, line); err != "" {
				t.Errorf("%s: %s: %s", path, line, err)
			}
		}
	})
}

func exampleLines(c *cobra.Command) (lines []string) {
	for line := range strings.SplitSeq(strings.ReplaceAll(c.Example, "\\\n", " "), "\n") {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

// parseExample returns the reason why a command would reject the line, up to
// the first pipe or redirection. It runs nothing. A command group may show a
// line of one of its subcommands.
func parseExample(of *cobra.Command, line string) string {
	words := shellWords(line)
	if len(words) < 2 || words[0] != "strongroom" {
		return "it does not call strongroom"
	}
	c, rest, err := rootCommand().Find(words[1:])
	if err != nil {
		return err.Error()
	}
	if path := c.CommandPath(); path != of.CommandPath() && !(of.HasSubCommands() && strings.HasPrefix(path, of.CommandPath()+" ")) {
		return "it is of " + path
	}
	if err := c.ParseFlags(rest); err != nil {
		return err.Error()
	}
	for _, err := range []error{c.ValidateArgs(c.Flags().Args()), c.ValidateRequiredFlags(), c.ValidateFlagGroups()} {
		if err != nil {
			return err.Error()
		}
	}
	return ""
}

var shellWord = regexp.MustCompile(`'[^']*'|[^\s']+`)

// shellWords splits a line like a shell with single quotes only.
func shellWords(line string) (words []string) {
	for _, word := range shellWord.FindAllString(line, -1) {
		if word == "|" || word == ">" {
			break
		}
		words = append(words, strings.Trim(word, "'"))
	}
	return words
}

func TestExamplesThatDoNotParseAreFound(t *testing.T) {
	root := rootCommand()
	for line, want := range map[string]string{
		"strongroom serve --confg x":          "unknown flag: --confg",
		"strongroom secret list":              "it is of strongroom secret list",
		"strongroom serve now":                "takes no argument",
		"strongroom apikey create":            "it is of",
		"curl localhost":                      "does not call strongroom",
		"strongroom serve --config x | cat -": "",
	} {
		c, _, err := root.Find([]string{"serve"})
		if err != nil {
			t.Fatal(err)
		}
		if got := parseExample(c, line); (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%s: got %q, want %q", line, got, want)
		}
	}
}

// Commands that destroy something ask first.
func TestDestructiveCommandsHaveYes(t *testing.T) {
	want := "agent-key revoke, apikey revoke, audit mend, audit prune, clock confirm, copy, edit, import, keyring prune, migrate, owner erase, restore, rm, secret destroy"
	var got []string
	everyCommand(rootCommand(), func(c *cobra.Command) {
		if c.Flags().Lookup("yes") != nil {
			got = append(got, strings.TrimPrefix(c.CommandPath(), "strongroom "))
		}
	})
	if strings.Join(got, ", ") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, ", "), want)
	}
}
