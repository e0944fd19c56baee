package main_test

import (
	"bytes"
	"strings"
	"testing"
)

// answering runs a command whose standard input is a terminal with this answer
// typed in.
func (i install) answering(t *testing.T, answer string, args ...string) result {
	t.Helper()
	ours, terminal := mustOpenTerminal(t)
	var stdout, stderr bytes.Buffer
	cmd := command(t, append(args, "--config", i.config())...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = terminal, &stdout, &stderr
	_, err := ours.WriteString(answer)
	mustWork(t, err)
	_ = cmd.Run()
	return result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

func TestDestructiveCommandsNeedAYes(t *testing.T) {
	t.Parallel()
	i := mustHaveAPast(t)
	destroy := []string{"secret", "destroy", theApp, "db"}
	has := func() bool { return strings.Contains(i.mustAdminister(t, "secret", "list", theApp), "db ") }
	const consequence = `This removes the secret "db" of ` + theApp + ` and all its versions. Only a backup can bring them back.`
	wantRefusal(t, i.administer(t, destroy...), consequence, "There is no terminal to ask on: add --yes to do it.")
	for _, answer := range []string{"no\n", "\n", "y\n", "\x04"} {
		if r := i.answering(t, answer, destroy...); r.code != 1 || !strings.Contains(r.stderr, consequence+"\nContinue? Type yes: ") || !strings.Contains(r.stderr, "nothing was done") {
			t.Errorf("%q: %d, %s", answer, r.code, r.stderr)
		}
	}
	if !has() {
		t.Fatal("the secret is gone without a yes")
	}
	if r := i.answering(t, "yes\n", destroy...); r.code != 0 || has() {
		t.Errorf("with a yes: %d, %s", r.code, r.stderr)
	}
}
