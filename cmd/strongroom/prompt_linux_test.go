package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Ctrl-C ends a command at each of its prompts, and the terminal echoes again.
func TestPromptsEndAtCtrlC(t *testing.T) {
	t.Parallel()
	p := mustLogIn(t)
	p.mustSet(t, "value", "TOKEN")
	sh := mustOpenShell(t, p.home, "HOME="+p.home, "PATH="+filepath.Dir(program)+":"+os.Getenv("PATH"))
	for command, prompt := range map[string]string{
		"set TOKEN": "Value of TOKEN: ", "rm TOKEN": "Type yes: ", "login --api-key http://" + p.server.address: "API key: ",
	} {
		before := len(sh.output.String())
		_, err := fmt.Fprintln(sh.terminal, "strongroom "+command)
		mustWork(t, err)
		sh.mustEndAfter(t, before+len(command), prompt)
		before = len(sh.output.String())
		_, err = sh.terminal.Write([]byte("typed\x03"))
		mustWork(t, err)
		sh.mustEndAfter(t, before, shellPrompt)
		if out := sh.output.String()[before:]; !strings.Contains(out, "strongroom: interrupted") || prompt != "Type yes: " && strings.Contains(out, "typed") {
			t.Errorf("%s: got %q", command, out)
		}
		if out := sh.mustType(t, "stty -a", nil); !strings.Contains(out, " echo ") {
			t.Errorf("%s: the terminal does not echo any more: %s", command, out)
		}
	}
	p.want(t, "value", "get", "TOKEN")
}
