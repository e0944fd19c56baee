package main_test

import (
	"encoding/json"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestAuditSearchFindsEntriesBySecretCallerAndTime(t *testing.T) {
	t.Parallel()
	i := mustInit(t)
	p := mustServe(t, i)
	p.want(t, 201, "POST", "/api/secrets", i.sessionHeader(), `{"name":"TOKEN","value":"v-123456"}`)
	p.want(t, 201, "POST", "/api/secrets", i.sessionHeader(), `{"name":"OTHER","value":"v-123456"}`)
	p.want(t, 200, "GET", "/api/settings/secrets/TOKEN", i.sessionHeader(), "")
	key := i.mustIssue(t, "agent-key", "create", "user/default", "TOKEN")
	p.want(t, 200, "GET", "/api/settings/secrets/TOKEN", "X-Session-API-Key: "+key, "")
	p.want(t, 200, "PUT", "/api/secrets/OTHER", i.sessionHeader(), `{"name":"RENAMED","description":""}`)
	for _, tc := range []struct {
		args    string
		actions string
	}{
		{"--secret TOKEN", "create, reveal, agent-key create, reveal"},
		{"--secret TOKEN --action reveal", "reveal, reveal"},
		{"--secret TOKEN --action reveal --until 1h", ""},
		{"--secret TOKEN --action reveal --since 1h", "reveal, reveal"},
		{"--secret RENAMED --owner user/default", "write"},
		{"--secret TOKEN --owner user/else", ""},
		{"--owner user/default --secret TOKEN --outcome denied", ""},
		{"--since 2999-01-01T00:00:00Z", ""},
		{"--subject init", "init"},
	} {
		var actions []string
		for line := range strings.Lines(i.mustAdminister(t, append([]string{"audit", "search"}, strings.Fields(tc.args)...)...)) {
			var entry struct {
				Action string
				Covers []string
			}
			mustDecode(t, line, &entry)
			if entry.Action == "list" {
				continue // from the check whether the agent's secret exists; it may come later
			}
			actions = append(actions, entry.Action)
			if entry.Action == "agent-key create" && strings.Join(entry.Covers, "|") != "user/default TOKEN" {
				t.Errorf("the entry of the new key covers %q", entry.Covers)
			}
		}
		if got := strings.Join(actions, ", "); got != tc.actions {
			t.Errorf("audit search %s finds %q, want %q", tc.args, got, tc.actions)
		}
	}
	wantRefusal(t, i.administer(t, "audit", "search", "--since", "yesterday"), "--since: must be a time such as")
}

func TestAuditTailFollows(t *testing.T) {
	t.Parallel()
	i := mustInit(t)
	p := mustServe(t, i)
	tail := command(t, "audit", "tail", "-f", "-n", "1", "--config", i.config())
	out, err := tail.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := tail.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = tail.Process.Kill(), tail.Wait() }()
	lines := json.NewDecoder(out)
	for _, want := range []string{"init", "delete"} {
		var entry struct{ Action string }
		if err := lines.Decode(&entry); err != nil || entry.Action != want {
			t.Fatalf("got %q, error %v, want %s", entry.Action, err, want)
		}
		p.want(t, 404, "DELETE", app+"/none", i.pskHeader(), "")
	}
}

func TestAccessLogHasNoNames(t *testing.T) {
	t.Parallel()
	for access, lines := range map[string]int{"off": 0, "errors": 4, "all": 5} {
		i := mustInit(t)
		i.mustEdit(t, "strongroom.yaml", "\nlisten:\n", "\nlog: {format: json, access: "+access+"}\nlisten:\n")
		p := mustStartCmd(t, exec.Command(program, "serve", "--config", i.config(), "--listen", "127.0.0.1:0"))
		p.want(t, 200, "POST", app, i.pskHeader(), `{"secret_name":"cAnArY0c0ffee","data":[{"key":"k","value":"v"}]}`)
		p.want(t, 404, "GET", app+"/cAnArY0c0ffee2", i.pskHeader(), "")
		p.want(t, 401, "GET", app+"?cAnArY0c0ffee", "Authorization-PSK: cAnArY0c0ffee", "")
		p.want(t, 401, "GET", "/cAnArY0c0ffee", "", "")
		p.want(t, 422, "GET", "/api/app/cAnArY0c0ffee/secrets", i.pskHeader(), "")
		log := p.mustStop(t)
		mustNotTell(t, i, log)
		requests, failures := 0, 0
		for line := range strings.Lines(log) {
			var entry struct {
				Msg, Request, API, From, Strategy, Reason string
				Status                                    int
				Time                                      time.Time
			}
			mustDecode(t, line, &entry)
			switch entry.Msg {
			case "request":
				requests++
				if entry.Request == "" || entry.API == "" || entry.Status == 0 || entry.From == "" && entry.Status != 401 {
					t.Errorf("a field is missing: %s", line)
				}
			case "authentication failed":
				failures++
				if entry.From != "127.0.0.1" || entry.Reason == "rejected" && entry.Strategy != "psk" {
					t.Errorf("a field is missing: %s", line)
				}
			}
		}
		if requests != lines || failures != min(lines, 2) {
			t.Errorf("access: %s: %d requests and %d failures, want %d and %d:\n%s", access, requests, failures, lines, min(lines, 2), log)
		}
	}
}

func TestFailedAuthenticationsAreLoggedAtABoundedRate(t *testing.T) {
	t.Parallel()
	i := mustInit(t)
	i.mustEdit(t, "strongroom.yaml", "\nlisten:\n", "\nlog: {access: errors}\nlisten:\n")
	p := mustServe(t, i)
	began := time.Now()
	for range 200 {
		p.want(t, 401, "GET", app, "Authorization-PSK: wrong", "")
	}
	most := 10 + int(time.Since(began)/time.Second) + 1
	if n := len(regexp.MustCompile(`msg="authentication failed" from=127.0.0.1 strategy=psk reason=rejected`).FindAllString(p.mustStop(t), -1)); n < 10 || n > most {
		t.Errorf("%d lines, want 10 to %d", n, most)
	}
}
