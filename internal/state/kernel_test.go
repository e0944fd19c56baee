package state_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"
)

// In these tests the kernel returns errors to a separate process.

func mustTrace(t *testing.T) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "strace", "-o", os.DevNull, "true").CombinedOutput(); err != nil {
		skipLoudly(t, "strace cannot be used: %v %s", err, out)
	}
}

// traced runs the child with a failing system call, and returns its output and exit
// code. strace counts calls per thread, so a single failure may occur a few times.
func traced(t *testing.T, path, call, failure, when string) (lines [][]string, status int) {
	t.Helper()
	cmd := child(t, "write", path, "strace", "-f", "-qq", "-o", os.DevNull,
		"-e", "trace="+call, "-e", fmt.Sprintf("inject=%s:error=%s:when=%s", call, failure, when))
	out, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return told(out), cmd.ProcessState.ExitCode()
}

// mustCreateWithJournal makes the journal before the failures begin.
func mustCreateWithJournal(t *testing.T) (path string) {
	t.Helper()
	path = mustCreate(t)
	if err := mustOpen(t, path).Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestNothingIsAcknowledgedAfterTheDiskHasFailed(t *testing.T) {
	mustTrace(t)
	began, runs, failed, done := time.Now(), 0, 0, 0
	for _, call := range []string{"fdatasync", "pwrite64", "fsync"} {
		for n := 1; n <= sized(4, 60); n++ {
			path := mustCreateWithJournal(t)
			lines, status := traced(t, path, call, "EIO", fmt.Sprint(n))
			runs++
			if wantNoneAfterBroken(t, lines) {
				failed++
				if status != brokenStatus {
					t.Errorf("%s %d fails: the process ends with %d, want %d", call, n, status, brokenStatus)
				}
			}
			done += wantAllDone(t, path, lines)
		}
	}
	t.Logf("%d runs in %v: the disk failed in %d; %d changes acknowledged, 0 lost, 0 after the first failure",
		runs, time.Since(began).Round(time.Second), failed, done)
	if failed < runs/4 {
		t.Errorf("the disk failed in only %d of %d runs", failed, runs)
	}
}

func wantNoneAfterBroken(t *testing.T, lines [][]string) (broken bool) {
	t.Helper()
	for _, line := range lines {
		switch line[0] {
		case "broken":
			broken = true
		case "done":
			if broken {
				t.Errorf("%s is acknowledged after the disk has failed", line[1])
			}
		case "closed":
		default:
			t.Errorf("unexpected: %s", line)
		}
	}
	return broken
}

func TestFullDiskIsRefusedAndHeals(t *testing.T) {
	mustTrace(t)
	began, runs, full, done := time.Now(), 0, 0, 0
	for _, call := range []string{"pwrite64"} {
		for n := 1; n <= sized(2, 60); n++ {
			path := mustCreateWithJournal(t)
			lines, status := traced(t, path, call, "ENOSPC", fmt.Sprintf("%d..%d", n, n+5))
			runs++
			refused, acknowledged := 0, 0
			for _, line := range lines {
				switch line[0] {
				case "full":
					refused++
				case "done":
					acknowledged++
				case "closed":
				default:
					t.Errorf("%s %d fails: %s", call, n, line)
				}
			}
			if acknowledged != 60 || status != 0 {
				t.Errorf("%s %d fails: %d changes acknowledged in the end, want 60; status %d", call, n, acknowledged, status)
			}
			if refused > 0 {
				full++
			}
			done += wantAllDone(t, path, lines)
		}
	}
	t.Logf("%d runs in %v: the disk was full in %d; %d changes acknowledged, 0 lost, all healed", runs, time.Since(began).Round(time.Second), full, done)
	if full == 0 {
		t.Error("the disk was never full")
	}
}

func TestFileIsFoundWhereStatxIsNotAllowed(t *testing.T) {
	mustTrace(t)
	path := mustCreate(t)
	lines, status := traced(t, path, "statx", "EPERM", "1+")
	if wantNoneAfterBroken(t, lines) || status != 0 {
		t.Errorf("the file counts as lost; status %d", status)
	}
	if done := wantAllDone(t, path, lines); done != 60 {
		t.Errorf("%d changes acknowledged, want 60", done)
	}
}

func TestKilledCompactLeavesAWholeFile(t *testing.T) {
	kills, done := sized(15, 300), 0
	path, f := grown(t)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	for i := range kills {
		cmd := child(t, "compact", path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(time.Duration(20+i*7%60)*time.Millisecond, func() { _ = cmd.Process.Kill() })
		lines := told(mustReadAll(t, out))
		_ = cmd.Wait() // killed
		for _, line := range lines {
			if line[0] != "done" {
				t.Errorf("unexpected: %s", line)
			}
		}
		done += wantAllDone(t, path, lines)
	}
	t.Logf("%d kills: %d changes acknowledged between compactions, 0 lost", kills, done)
}
