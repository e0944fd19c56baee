package main_test

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"go.etcd.io/bbolt"
)

// After kill -9 the kernel still writes its page cache. So only the system
// calls between a request and its answer show whether a change was on disk
// before it was acknowledged.

func TestChangesAreOnDiskBeforeTheyAreAcknowledged(t *testing.T) {
	t.Parallel()
	i := mustInit(t)
	traced := mustTrace(t, i.path("data/strongroom.db"), nil,
		mustBuildFast(t), "serve", "--config", i.config(), "--listen", "127.0.0.1:0")
	traced.changes = putsToNx1(t, i, traced.process)
	if err := traced.check(t); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d acknowledged changes, each followed to its fdatasync", len(traced.changes))
}

// A compacted copy replaces the file and must be just as durable.
func TestChangesAreOnDiskBeforeTheyAreAcknowledgedAfterACompaction(t *testing.T) {
	t.Parallel()
	i := mustInit(t)
	traced := mustTrace(t, i.path("data/strongroom.db"), nil,
		mustBuildFast(t), "serve", "--config", i.config(), "--listen", "127.0.0.1:0")
	i.mustAdminister(t, "compact")
	traced.changes = putsToNx1(t, i, traced.process)
	if err := traced.check(t); err != nil {
		t.Fatal(err)
	}
	if traced.compacted != 1 {
		t.Errorf("the trace has %d compactions", traced.compacted)
	}
}

// The same server with a kernel that skips the sync: the check must fail.
func TestDiskCheckFailsIfTheKernelDoesNotSync(t *testing.T) {
	t.Parallel()
	i := mustInit(t)
	traced := mustTrace(t, i.path("data/strongroom.db"), []string{"-e", "inject=fdatasync,fsync:retval=0"},
		mustBuildFast(t), "serve", "--config", i.config(), "--listen", "127.0.0.1:0")
	traced.changes = putsToNx1(t, i, traced.process)
	if err := traced.check(t); !errors.Is(err, errUnsynced) {
		t.Errorf("the check returns %v, want %v", err, errUnsynced)
	}
}

// A server with bbolt's sync turned off. It is this test binary, see TestMain.
func TestDiskCheckFailsIfTheServerDoesNotSync(t *testing.T) {
	path := filepath.Join(t.TempDir(), "unsynced.db")
	t.Setenv(unsyncedEnv, path)
	traced := mustTrace(t, path, nil, os.Args[0])
	for n := range changesTraced {
		a := traced.process.want(t, 200, "PUT", fmt.Sprint("/", n), "", "a value")
		traced.changes = append(traced.changes, a.header.Get("X-Request-Id"))
	}
	if err := traced.check(t); !errors.Is(err, errUnsynced) {
		t.Errorf("the check returns %v, want %v", err, errUnsynced)
	}
}

const changesTraced = 20

// putsToNx1 makes changes, one after the other, and returns the request ids of
// the answers.
func putsToNx1(t *testing.T, i install, p *process) (ids []string) {
	t.Helper()
	acknowledged := func(a answer) { ids = append(ids, a.header.Get("X-Request-Id")) }
	acknowledged(p.want(t, 200, "POST", app, i.pskHeader(), `{"secret_name":"a","data":[]}`))
	for n := range changesTraced {
		// From one page to several dozen.
		body := fmt.Sprintf(`{"data":[{"key":"k","value":"%d%s"}]}`, n, strings.Repeat("x", n*n*200))
		acknowledged(p.want(t, 200, "PUT", app+"/a", i.pskHeader(), body))
	}
	acknowledged(p.want(t, 201, "POST", "/api/secrets", i.sessionHeader(), `{"name":"A","value":"v"}`))
	acknowledged(p.want(t, 200, "PUT", "/api/secrets/A", i.sessionHeader(), `{"name":"B"}`))
	acknowledged(p.want(t, 200, "DELETE", "/api/secrets/B", i.sessionHeader(), ""))
	acknowledged(p.want(t, 200, "DELETE", app+"/a", i.pskHeader(), ""))
	return ids
}

// The records of a killed server may only be in the page cache. If they counted before they are
// on disk, a power failure could take back what an anchor or a checkpoint already names.
func TestRecordsOfAKilledServerAreFlushedBeforeTheyCount(t *testing.T) {
	t.Parallel()
	mustHaveStrace(t)
	i := mustInit(t)
	p := mustServe(t, i)
	p.want(t, 201, "POST", "/api/secrets", i.sessionHeader(), `{"name":"A","value":"v"}`)
	p.mustKill(t)
	tr := mustTrace(t, i.path("data/strongroom.db"), nil, program, "serve", "--config", i.config(), "--listen", "127.0.0.1:0")
	tr.process.mustStop(t)
	calls, err := readTrace(tr.log)
	mustWork(t, err)
	for _, c := range calls {
		switch name := tr.fileOf(c.args); {
		case name == "" || !c.begins:
		case strings.Contains(name, ".journal") && c.name == "fdatasync":
			return
		default:
			t.Fatalf("%s(%s) precedes the flush of the journal", c.name, c.args)
		}
	}
	t.Error("the journal is never flushed")
}

// A trace holds the system calls of a server while it made changes.
type trace struct {
	process *process
	log     string   // file with the trace
	state   string   // state file of the server
	changes []string // request ids of the acknowledgements, in order

	compacted int // number of compactions that check has found
}

func mustHaveStrace(t *testing.T) {
	t.Helper()
	if out, err := exec.Command("strace", "-D", "-f", "-y", "-o", os.DevNull, "true").CombinedOutput(); err != nil {
		t.Skipf("NOT TESTED: no system calls can be traced here: %v %s", err, out)
	}
}

func mustTrace(t *testing.T, state string, options []string, command ...string) *trace {
	t.Helper()
	mustHaveStrace(t)
	dir, err := filepath.EvalSymlinks(filepath.Dir(state)) // the path that the kernel reports
	if err != nil {
		t.Fatal(err)
	}
	tr := &trace{state: filepath.Join(dir, filepath.Base(state)), log: filepath.Join(t.TempDir(), "trace")}
	// The tracer is a grandchild (-D), so that the process id is the server's.
	// Descriptors are printed with paths (-y), answers with their first bytes
	// (-s).
	strace := []string{"strace", "-D", "-f", "-y", "-s", "600", "-e", "signal=none", "-o", tr.log}
	strace = append(strace, "-e", "trace=write,writev,pwrite64,pwritev,pwritev2,sendto,sendmsg,fsync,fdatasync,msync,renameat,renameat2,rename")
	strace = append(strace, options...)
	tr.process = mustStart(t, append(strace, command...)...)
	return tr
}

var (
	errUnsynced = errors.New("a change was acknowledged before it was on disk")
	errNoTrace  = errors.New("the trace does not have what it should")
)

// check stops the server and checks every change: it must be written between
// the previous answer and its own, and the file must be synced after the last
// write. A failed sync does not count.
func (tr *trace) check(t *testing.T) error {
	t.Helper()
	tr.process.mustStop(t)
	calls, err := readTrace(tr.log)
	if err != nil {
		return err
	}
	next, acknowledged := 0, 0 // answers, and the writes they acknowledge
	files := map[string]*syncs{}
	written := 0 // to the journal, or to the state file of a server without one
	for _, c := range calls {
		name := tr.fileOf(c.args)
		if files[name] == nil {
			files[name] = &syncs{}
		}
		at := files[name]
		switch {
		case c.begins && strings.HasPrefix(c.name, "rename") && strings.Contains(c.args, tr.state+".compact"):
			if copied := files[tr.state+".compact"]; copied == nil || copied.synced != copied.written {
				return fmt.Errorf("%w: the copy, before it replaced the file", errUnsynced)
			}
			tr.compacted++
		case strings.Contains(name, ".journal") && c.name == "pwrite64" && strings.HasSuffix(c.args, ", 4096, 0"):
			// A change of files, concurrent with the answer. It is synced before the
			// first record in the new file.
		case name != "" && strings.HasPrefix(c.name, "pwrite") && c.begins:
			at.written++
			written++
		case name != "" && c.name == "fdatasync" && c.begins:
			at.syncing = at.written
		case name != "" && c.name == "fdatasync" && c.result == "0": // not "0 (INJECTED)"
			at.synced = at.syncing
		case c.begins && next < len(tr.changes) && strings.Contains(c.args, "X-Request-Id: "+tr.changes[next]):
			if written == acknowledged {
				return fmt.Errorf("%w: change %d was not written before its answer", errNoTrace, next)
			}
			if !tr.allSynced(files) {
				return fmt.Errorf("%w: change %d of %d", errUnsynced, next, len(tr.changes))
			}
			next, acknowledged = next+1, written
		}
	}
	if len(tr.changes) == 0 || next < len(tr.changes) {
		return fmt.Errorf("%w: %d answers, want %d", errNoTrace, next, len(tr.changes))
	}
	return nil
}

// syncs counts the writes to a file: all started ones, those started before the last sync
// started, and those on disk.
type syncs struct{ written, syncing, synced int }

// fileOf returns the state file or journal file that a call names, or "".
func (tr *trace) fileOf(args string) string {
	for _, suffix := range []string{"", ".compact", ".journal0", ".journal1"} {
		if strings.HasPrefix(args, "<"+tr.state+suffix+">") {
			return tr.state + suffix
		}
	}
	return ""
}

// allSynced reports whether everything written to the journal is on disk, or to the
// state file where there is no journal. A checkpoint writes to the state file at any
// time.
func (tr *trace) allSynced(files map[string]*syncs) bool {
	all, journals := true, 0
	for _, suffix := range []string{".journal0", ".journal1"} {
		if at := files[tr.state+suffix]; at != nil {
			journals++
			all = all && at.written == at.synced
		}
	}
	if at := files[tr.state]; journals == 0 && at != nil {
		all = at.written == at.synced
	}
	return all
}

// A call is the start of a system call, or its end with the result. Writes have
// only the start.
type call struct {
	name, args string
	begins     bool
	result     string
}

// Lines of the trace:
//
//	4711 pwrite64(7</data/strongroom.db>, "\0\0"..., 4096, 8192) = 4096
//	4711 fdatasync(7</data/strongroom.db> <unfinished ...>
//	4711 <... fdatasync resumed>) = 0
var (
	wholeCall = regexp.MustCompile(`^(\d+) +(\w+)\((?:\d+|AT_FDCWD)(.*)\) += (.*)$`)
	callBegan = regexp.MustCompile(`^(\d+) +(\w+)\((?:\d+|AT_FDCWD)(.*) <unfinished \.\.\.>$`)
	callEnded = regexp.MustCompile(`^(\d+) +<\.\.\. (\w+) resumed>.*\) += (.*)$`)
)

func readTrace(path string) (calls []call, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	open := map[string]call{} // by thread
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if m := wholeCall.FindStringSubmatch(line); m != nil {
			calls = append(calls, call{name: m[2], args: m[3], begins: true}, call{name: m[2], args: m[3], result: m[4]})
		} else if m := callBegan.FindStringSubmatch(line); m != nil {
			open[m[1]] = call{name: m[2], args: m[3], begins: true}
			calls = append(calls, open[m[1]])
		} else if m := callEnded.FindStringSubmatch(line); m != nil {
			calls = append(calls, call{name: m[2], args: open[m[1]].args, result: m[3]})
		}
	}
	return calls, lines.Err()
}

// unsyncedEnv names the state file of a server that does not sync.
const unsyncedEnv = "STRONGROOM_TEST_UNSYNCED"

// serveUnsynced commits and acknowledges every request without a sync. The
// check must detect this.
func serveUnsynced(path string) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{NoSync: true})
	if err != nil {
		panic(err) // acceptable in the server of a test
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Fprintf(os.Stderr, "msg=listening address=%s\n", l.Addr())
	handler := func(w http.ResponseWriter, r *http.Request) {
		err := db.Update(func(tx *bbolt.Tx) error {
			b, err := tx.CreateBucketIfNotExists([]byte("changes"))
			return errors.Join(err, b.Put([]byte(r.URL.Path), []byte("a value")))
		})
		if err != nil {
			panic(err)
		}
		w.Header().Set("X-Request-Id", "unsynced"+r.URL.Path+".")
	}
	go func() { _ = http.Serve(l, http.HandlerFunc(handler)) }()
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	<-stop
}
