package main_test

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestExportStartsAfterTheGivenEntry(t *testing.T) {
	t.Parallel()
	i := mustHaveAPast(t)
	all := strings.SplitAfter(strings.TrimSpace(i.mustAdminister(t, "audit", "export")), "\n")
	for _, after := range []int{0, 1, 3} {
		got := i.mustAdminister(t, "audit", "export", "--after", fmt.Sprint(after))
		if want := strings.Join(all[after:], ""); !strings.HasPrefix(got, want) {
			t.Errorf("after %d:\n%s\nwant\n%s", after, got, want)
		}
	}
	if got := i.mustAdminister(t, "audit", "export", "--after", "100000"); got != "" {
		t.Errorf("after the last one there is\n%s", got)
	}
	wantRefusal(t, i.administer(t, "audit", "export", "--after", "-1"), "--after: must not be negative")
	wantRefusal(t, i.administer(t, "audit", "export", "--follow"), "--follow: no server is running")
}

func TestExportFollowsTheLogUntilInterrupted(t *testing.T) {
	t.Parallel()
	i := mustInit(t)
	p := mustServe(t, i)
	p.want(t, 201, "POST", "/api/secrets", i.sessionHeader(), `{"name":"BEFORE","value":"hunter2"}`)
	cmd := command(t, "audit", "export", "--after", "1", "--follow", "--config", i.config())
	stdout, err := cmd.StdoutPipe()
	mustWork(t, err)
	mustWork(t, cmd.Start())
	lines := bufio.NewScanner(stdout)
	seq := 2
	next := func(want string) {
		t.Helper()
		for lines.Scan() {
			if begin := fmt.Sprintf(`{"seq":%d,`, seq); !strings.HasPrefix(lines.Text(), begin) {
				t.Fatalf("got %s, want %s…", lines.Text(), begin)
			}
			seq++
			if strings.Contains(lines.Text(), want) {
				return
			}
		}
		t.Fatalf("it ended before %s: %v", want, lines.Err())
	}
	for _, name := range []string{"FIRST", "SECOND"} {
		p.want(t, 201, "POST", "/api/secrets", i.sessionHeader(), `{"name":"`+name+`","value":"hunter2"}`)
		next(`"name":"` + name + `"`)
	}
	mustWork(t, cmd.Process.Signal(os.Interrupt))
	if err := cmd.Wait(); err != nil {
		t.Errorf("interrupted, it ends with %v", err)
	}
}
