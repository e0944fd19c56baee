package state_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/state"
)

// later is put for a change that is flushed later.
func later(key, value string) func(*state.Tx) error {
	return func(tx *state.Tx) error {
		defer tx.FlushLater()
		return put(key, value)(tx)
	}
}

// shows waits until a View has the key.
func shows(t *testing.T, f *state.File, key string) {
	t.Helper()
	for get(t, f, key) == "" {
		time.Sleep(time.Millisecond)
		if t.Context().Err() != nil {
			t.Fatalf("%s is never published", key)
		}
	}
}

func TestChangeThatIsFlushedLaterSurvivesACrashOfTheProcess(t *testing.T) {
	path := mustCreate(t)
	f := mustOpen(t, path)
	mustUpdate(t, f, put("first", "v"))
	for n := range 20 {
		mustUpdate(t, f, later(fmt.Sprint("k", n), "v"))
		crashed := mustCopy(t, path, true)
		g := mustOpen(t, crashed)
		if get(t, g, fmt.Sprint("k", n)) != "v" {
			t.Errorf("k%d was acknowledged and is lost", n)
		}
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A flush that takes seconds delays no change that is flushed later, and shows none of
// them to a View.
func TestChangeThatIsFlushedLaterDoesNotWaitForTheDisk(t *testing.T) {
	mustTrace(t)
	const atMost = 2 * time.Second
	times := []time.Duration{changesLater(t, atMost)}
	for len(times) < 4 && times[len(times)-1] > atMost { // a busy machine may delay some
		times = append(times, changesLater(t, atMost))
	}
	if slices.Min(times) > atMost {
		t.Errorf("20 changes took %v while a flush takes 3 s", times)
	}
}

// changesLater returns the time that 20 changes take while each flush takes 3 seconds.
func changesLater(t *testing.T, atMost time.Duration) time.Duration {
	t.Helper()
	path := mustCreateWithJournal(t)
	cmd := child(t, "later", path, "strace", "-f", "-qq", "-o", os.DevNull,
		"-e", "trace=fdatasync", "-e", "inject=fdatasync:delay_exit=3000000")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := told(out)
	if len(lines) != 22 || lines[20][0] != "took" || lines[21][0] != "shown" {
		t.Fatalf("the child says %q", lines)
	}
	took, err := time.ParseDuration(lines[20][1])
	if err != nil {
		t.Fatal(err)
	}
	if shown := lines[21][1]; shown != "0 <nil>" && took < atMost {
		t.Errorf("shown before a flush: %s", shown)
	}
	if done := wantAllDone(t, path, lines); done != 20 {
		t.Errorf("%d changes, want 20", done)
	}
	return took
}

// childChangesLater makes changes that are flushed later, behind a first one that is not.
func childChangesLater(path string) int {
	f, err := state.Open(path, anyKey)
	if err != nil {
		fmt.Println("refused", err)
		return 1
	}
	_ = f.Update(context.Background(), put("first", "v"))
	began, shown := time.Now(), 0
	for i := range 20 {
		say(fmt.Sprint("key", i), f.UpdateReserved(context.Background(), later(fmt.Sprint("key", i), "v")))
	}
	took := time.Since(began)
	err = f.View(func(tx *state.Tx) error {
		b := tx.Bucket("test")
		for range b.Prefix([]byte("key")) {
			shown++
		}
		return nil
	})
	fmt.Println("took", took)
	fmt.Println("shown", shown, err)
	return 0 // without a stop, like a crash
}

// Each flush takes seconds. While a change is being flushed, changes that are flushed later
// are acknowledged, unless they have read what is being flushed or write more.
func TestChangeThatIsFlushedLaterDoesNotWaitForTheFlushOfAnother(t *testing.T) {
	mustTrace(t)
	path := mustCreateWithJournal(t)
	cmd := child(t, "later meanwhile", path, "strace", "-f", "-qq", "-o", os.DevNull,
		"-e", "trace=fdatasync", "-e", "inject=fdatasync:delay_exit=3000000")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	lines, order := told(out), ""
	for _, line := range lines {
		order += strings.Join(line, " ") + "\n"
	}
	before, behind, found := strings.Cut(order, "done slow\n")
	for n := range 20 {
		if !strings.Contains(before, fmt.Sprintf("done key%d\n", n)) {
			t.Errorf("key%d waits for the flush of another change", n)
		}
	}
	for _, want := range []string{"done reader\n", "done scanner\n", "done flushed\n", "read new new\n"} {
		if !strings.Contains(behind, want) {
			t.Errorf("%q does not come behind the flush", want)
		}
	}
	if !found || t.Failed() {
		t.Errorf("the child says\n%s", order)
	}
	wantAllDone(t, path, lines)
}

func childChangesLaterMeanwhile(path string) int {
	f, err := state.Open(path, anyKey)
	if err != nil {
		fmt.Println("refused", err)
		return 1
	}
	ctx := context.Background()
	_ = f.Update(ctx, put("slow", "old"))
	_ = f.UpdateReserved(ctx, later("first", "v"))
	var all sync.WaitGroup
	all.Go(func() { say("slow", f.Update(ctx, put("slow", "new"))) })
	for !f.Flushing() {
		time.Sleep(time.Millisecond)
	}
	got, scanned := "", ""
	all.Go(func() {
		say("reader", f.UpdateReserved(ctx, func(tx *state.Tx) error {
			b := tx.Bucket("test")
			got = string(b.Get([]byte("slow")))
			return later("reader", "v")(tx)
		}))
	})
	all.Go(func() {
		say("scanner", f.UpdateReserved(ctx, func(tx *state.Tx) error {
			b := tx.Bucket("test")
			for _, value := range b.Prefix([]byte("slow")) {
				scanned = string(value)
			}
			return later("scanner", "v")(tx)
		}))
	})
	all.Go(func() { say("flushed", f.UpdateReserved(ctx, put("flushed", "v"))) })
	for i := range 20 {
		say(fmt.Sprint("key", i), f.UpdateReserved(ctx, later(fmt.Sprint("key", i), "v")))
	}
	all.Wait()
	fmt.Println("read", got, scanned)
	return 0
}

func TestKilledProcessLosesNoChangeThatIsFlushedLater(t *testing.T) {
	done := 0
	for i := 0; i < sized(5, 60) || done == 0 && i < 100; i++ { // on a busy machine no child may get far enough
		path := mustCreateWithJournal(t)
		cmd := child(t, "later for ever", path)
		var out bytes.Buffer
		cmd.Stdout = &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(time.Duration(200+i*37%300)*time.Millisecond, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		done += wantAllDone(t, path, told(out.Bytes()))
	}
	t.Logf("%d changes acknowledged, 0 lost", done)
	if done == 0 {
		t.Error("no change was acknowledged")
	}
}

func childChangesLaterForEver(path string) int {
	f, err := state.Open(path, anyKey)
	if err != nil {
		fmt.Println("refused", err)
		return 1
	}
	for i := 0; ; i++ {
		change := later
		if i%10 == 9 {
			change = put
		}
		say(fmt.Sprint("key", i), f.Update(context.Background(), change(fmt.Sprint("key", i), "v")))
	}
}

func TestFailedFlushBreaksTheFile(t *testing.T) {
	for range 20 {
		f := mustOpen(t, mustCreate(t))
		mustUpdate(t, f, put("first", "v"))
		mustUpdate(t, f, later("key", "v"))
		if !f.FailFlush() { // it has been flushed already
			continue
		}
		select {
		case <-f.Broken(): // by the flush in the background
		case <-time.After(2 * time.Second): // the flush was in progress
			continue
		}
		if err := f.Update(t.Context(), later("later", "v")); !errors.Is(err, state.ErrBroken) {
			t.Errorf("a change afterwards: %v, want ErrBroken", err)
		}
		if get(t, f, "key") != "" {
			t.Error("the change is shown")
		}
		return
	}
	t.Error("no failure of a flush breaks the file")
}

func TestChangeIsFlushedWithTheNextOneAndByAStop(t *testing.T) {
	path := mustCreate(t)
	f := mustOpen(t, path)
	mustUpdate(t, f, later("a", "1"))
	mustUpdate(t, f, func(tx *state.Tx) error {
		b := tx.Bucket("test")
		if got := string(b.Get([]byte("a"))); got != "1" {
			t.Errorf("the next transaction reads %q", got)
		}
		return b.Put([]byte("b"), []byte("2"))
	})
	if get(t, f, "a") != "1" || get(t, f, "b") != "2" {
		t.Error("they are not published together")
	}
	mustUpdate(t, f, later("c", "3"))
	shows(t, f, "c")
	mustUpdate(t, f, later("d", "4"))
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	alone := mustOpen(t, mustCopy(t, path, false))
	for key, want := range map[string]string{"a": "1", "b": "2", "c": "3", "d": "4"} {
		if got := get(t, alone, key); got != want {
			t.Errorf("%s is %q after a stop, want %q", key, got, want)
		}
	}
}

// Only a call that writes nothing else can be flushed later.
func TestFurtherWritesAreFlushed(t *testing.T) {
	f := mustOpen(t, mustCreate(t))
	for what, fn := range map[string]func(tx *state.Tx) error{
		"a write after FlushLater": func(tx *state.Tx) error {
			tx.FlushLater()
			return put("after", "v")(tx)
		},
		"a write before and after": func(tx *state.Tx) error {
			return errors.Join(put("before", "v")(tx), later("between", "v")(tx), put("after", "w")(tx))
		},
	} {
		mustUpdate(t, f, fn)
		if get(t, f, "after") == "" {
			t.Errorf("%s is not flushed", what)
		}
		mustUpdate(t, f, func(tx *state.Tx) error {
			b := tx.Bucket("test")
			return b.Delete([]byte("after"))
		})
	}
}

func TestBackupHasChangesThatAreNotFlushed(t *testing.T) {
	f := mustOpen(t, mustCreate(t))
	for n := range 10 {
		mustUpdate(t, f, put("first", "v"))
		mustUpdate(t, f, later(fmt.Sprint("k", n), "v"))
		var backup bytes.Buffer
		if _, err := f.WriteTo(&backup); err != nil {
			t.Fatal(err)
		}
		restored := filepath.Join(t.TempDir(), "state.db")
		if err := state.Restore(restored, &backup, anyKey); err != nil {
			t.Fatal(err)
		}
		if get(t, mustOpen(t, restored), fmt.Sprint("k", n)) != "v" {
			t.Errorf("k%d is not in the backup", n)
		}
	}
}

func TestScanDoesNotVisitWhatIsWrittenMeanwhile(t *testing.T) {
	f := mustOpen(t, mustCreate(t))
	mustUpdate(t, f, func(tx *state.Tx) error {
		b := tx.Bucket("test")
		for n := range 200 {
			if err := b.Put(fmt.Appendf(nil, "k%03d", n), []byte("v")); err != nil {
				return err
			}
		}
		visited := 0
		for key := range b.From([]byte{0}) {
			visited++
			if err := errors.Join(b.Put(append(key, "-new"...), []byte("w")), b.Delete([]byte("k199")), b.Put([]byte("k150"), []byte("x"))); err != nil {
				return err
			}
		}
		if visited != 200 || string(b.Get([]byte("k150"))) != "x" || b.Get([]byte("k199")) != nil || b.Get([]byte("k000-new")) == nil {
			t.Errorf("the scan visits %d rows, want 200 and the writes afterwards", visited)
		}
		return nil
	})
}
