package stream_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/internal/audit/stream"
)

// A real syslog server splits and parses the messages.
func TestRsyslogReadsTheMessages(t *testing.T) {
	program, err := exec.LookPath("rsyslogd")
	if err != nil {
		t.Skipf("NO REAL SYSLOG SERVER IS TESTED: %v", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	dir := t.TempDir()
	out := filepath.Join(dir, "out")
	_, port, _ := net.SplitHostPort(address)
	config := mustFile(t, "rsyslog.conf", fmt.Sprintf(`
global(workDirectory="%s" maxMessageSize="256k")
module(load="imtcp")
template(name="line" type="string" string="%%syslogfacility-text%% %%syslogseverity-text%% %%app-name%% %%msgid%% %%structured-data%% %%msg%%\n")
ruleset(name="all") { action(type="omfile" file="%s" template="line") }
input(type="imtcp" address="127.0.0.1" port="%s" ruleset="all")
`, dir, out, port))
	cmd := exec.Command(program, "-n", "-f", config, "-i", filepath.Join(dir, "pid"))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	sink, err := stream.Syslog(stream.SyslogOptions{Address: address, Plain: true})
	if err != nil {
		t.Fatal(err)
	}
	entries := mustEntries(t, 300)
	mustHappen(t, "rsyslog takes the messages", func() bool { return sink.Send(t.Context(), entries) == nil })
	var seqs []uint64
	mustHappen(t, "rsyslog writes the messages", func() bool {
		text, _ := os.ReadFile(out)
		if strings.Count(string(text), "\n") < len(entries) {
			return false
		}
		for line := range strings.Lines(string(text)) {
			entry, ok := strings.CutPrefix(line, "audit notice strongroom audit - ")
			if !ok {
				t.Fatalf("rsyslog has read %s", line)
			}
			seqs = append(seqs, seqOf(t, []byte(entry)))
		}
		return true
	})
	if !slices.Equal(seqs, numbers(1, 300)) {
		t.Errorf("got %v", seqs)
	}
	if err := sink.Close(); err != nil {
		t.Error(err)
	}
}
