package state_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/state"
)

// With these set, the test binary is a process that uses a state file and prints the
// results on its standard output.
const (
	childDoes = "STRONGROOM_TEST_CHILD"
	childFile = "STRONGROOM_TEST_FILE"
)

// brokenStatus is the child's exit code when no commit is possible any more.
const brokenStatus = 3

func TestMain(m *testing.M) {
	switch os.Getenv(childDoes) {
	case "write":
		os.Exit(childWrites(os.Getenv(childFile)))
	case "flood":
		os.Exit(childFloods(os.Getenv(childFile)))
	case "compact":
		os.Exit(childCompacts(os.Getenv(childFile)))
	case "later":
		os.Exit(childChangesLater(os.Getenv(childFile)))
	case "later meanwhile":
		os.Exit(childChangesLaterMeanwhile(os.Getenv(childFile)))
	case "later for ever":
		os.Exit(childChangesLaterForEver(os.Getenv(childFile)))
	default:
		os.Exit(m.Run())
	}
}

// childWrites makes a number of changes, every other one with the reserve, and retries
// while the disk is full.
func childWrites(path string) int {
	f, err := state.Open(path, anyKey)
	if err != nil {
		fmt.Println("refused", err)
		return 1
	}
	update := []updater{f.Update, f.UpdateReserved}
	for i := range 60 {
		key := fmt.Sprint("key", i)
		for tries := 0; ; tries++ {
			err := update[i%2](context.Background(), put(key, strings.Repeat("v", 100*(i+1))))
			if !errors.Is(err, state.ErrFull) || tries > 100 {
				say(key, err)
				break
			}
			fmt.Println("full", key)
			time.Sleep(50 * time.Millisecond) // like a client's retry
		}
	}
	if f.Err() != nil {
		return brokenStatus
	}
	fmt.Println("closed", f.Close())
	return 0
}

func say(key string, err error) {
	switch {
	case err == nil:
		fmt.Println("done", key)
	case errors.Is(err, state.ErrBroken):
		fmt.Println("broken", key)
	default:
		fmt.Println("failed", key, err)
	}
}

// childFloods makes small changes of many rows from several goroutines, so that the
// journal is often full and a checkpoint takes several commits.
func childFloods(path string) int {
	f, err := state.Open(path, anyKey)
	if err != nil {
		fmt.Println("refused", err)
		return 1
	}
	var printing sync.Mutex
	for w := range 8 {
		go func() {
			for i := 0; ; i++ {
				key := fmt.Sprint("writer", w, "-", i%500)
				err := f.Update(context.Background(), func(tx *state.Tx) error {
					b := tx.Bucket("more")
					for n := range 100 {
						if err := b.Put(fmt.Append(nil, key, "-", n), nil); err != nil {
							return err
						}
					}
					return put(key, "v")(tx)
				})
				printing.Lock()
				say(key, err)
				printing.Unlock()
			}
		}()
	}
	select {}
}

// killAfter kills the child at one of several moments.
func killAfter(cmd *exec.Cmd, i int) {
	time.AfterFunc(time.Duration(20+i*7%200)*time.Millisecond, func() { _ = cmd.Process.Kill() })
}

func childCompacts(path string) int {
	f, err := state.Open(path, anyKey)
	if err != nil {
		fmt.Println("refused", err)
		return 1
	}
	for i := 0; ; i++ {
		key := fmt.Sprint("key", i)
		say(key, f.Update(context.Background(), put(key, "v")))
		if err := f.Compact(context.Background()); err != nil {
			fmt.Println("failed", err)
		}
	}
}

func child(t *testing.T, does, path string, before ...string) *exec.Cmd {
	t.Helper()
	args := append(before, os.Args[0])
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	cmd.Env = append(os.Environ(), childDoes+"="+does, childFile+"="+path)
	cmd.Stderr = os.Stderr
	return cmd
}

// told returns the complete lines that a child has printed.
func told(out []byte) (lines [][]string) {
	out = out[:bytes.LastIndexByte(out, '\n')+1]
	for scan := bufio.NewScanner(bytes.NewReader(out)); scan.Scan(); {
		lines = append(lines, strings.SplitN(scan.Text(), " ", 2))
	}
	return lines
}

// wantAllDone opens the file and checks that it has every acknowledged change.
func wantAllDone(t *testing.T, path string, lines [][]string) (done int) {
	t.Helper()
	f, err := state.Open(path, anyKey)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	for _, line := range lines {
		if line[0] != "done" {
			continue
		}
		done++
		if get(t, f, line[1]) == "" {
			t.Errorf("%s was acknowledged and is lost", line[1])
		}
	}
	if f.Damage() != "" {
		t.Error(f.Damage())
	}
	return done
}

func mustReadAll(t *testing.T, r io.Reader) []byte {
	t.Helper()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
