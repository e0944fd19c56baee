package main_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/strongroom/strongroom/internal/test/pgtest"
)

const monitoring = "../../configs/monitoring"

// mustHave returns the path of a program of Debian's package prometheus.
func mustHave(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Skipf("THE ALERTS AND THE DASHBOARD ARE NOT TESTED: %v", err)
	}
	return path
}

// alertNames returns the alerts of rules.yaml.
func alertNames(t *testing.T) (names []string) {
	t.Helper()
	var file struct {
		Groups []struct {
			Rules []struct {
				Alert string `yaml:"alert"`
			} `yaml:"rules"`
		} `yaml:"groups"`
	}
	if err := yaml.Unmarshal([]byte(mustRead(t, filepath.Join(monitoring, "rules.yaml"))), &file); err != nil {
		t.Fatal(err)
	}
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			names = append(names, r.Alert)
		}
	}
	if len(names) < 15 {
		t.Fatalf("found only the alerts %q", names)
	}
	return names
}

func TestEachAlertIsTestedAndExplained(t *testing.T) {
	var file struct {
		Tests []struct {
			Rules []struct {
				Alert string `yaml:"alertname"`
				Want  []any  `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
		} `yaml:"tests"`
	}
	if err := yaml.Unmarshal([]byte(mustRead(t, filepath.Join(monitoring, "rules_test.yaml"))), &file); err != nil {
		t.Fatal(err)
	}
	fires, silent := map[string]bool{}, map[string]bool{}
	for _, test := range file.Tests {
		for _, r := range test.Rules {
			if len(r.Want) > 0 {
				fires[r.Alert] = true
			} else {
				silent[r.Alert] = true
			}
		}
	}
	readme := mustRead(t, filepath.Join(monitoring, "README.md"))
	for _, name := range alertNames(t) {
		if !fires[name] || !silent[name] {
			t.Errorf("rules_test.yaml does not test when %s fires and when it is silent", name)
		}
		if !strings.Contains(readme, "\n| "+name+" | ") {
			t.Errorf("README.md has no row for %s", name)
		}
	}
}

func TestAlertsFireInPromtool(t *testing.T) {
	t.Parallel()
	promtool := mustHave(t, "promtool")
	for _, args := range [][]string{{"check", "rules", "rules.yaml"}, {"test", "rules", "rules_test.yaml"}} {
		cmd := exec.CommandContext(t.Context(), promtool, args...)
		cmd.Dir = monitoring
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

// prometheus is a running Prometheus.
type prometheus struct{ address string }

// mustScrapeWith starts Prometheus, which scrapes the targets every second, with the
// shipped rules but without their waits.
func mustScrapeWith(t *testing.T, targets ...string) prometheus {
	t.Helper()
	program := mustHave(t, "prometheus")
	dir := mustTempDir(t)
	rules := mustRead(t, filepath.Join(monitoring, "rules.yaml"))
	mustWrite(t, filepath.Join(dir, "rules.yaml"), regexp.MustCompile(`(?m)^( +for:) .*$`).ReplaceAllString(rules, "$1 0s"))
	mustWrite(t, filepath.Join(dir, "prometheus.yaml"), fmt.Sprintf(`
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [rules.yaml]
scrape_configs:
  - job_name: strongroom
    static_configs: [{targets: ["%s"]}]
`, strings.Join(targets, `", "`)))
	p := prometheus{mustFindAddress(t)}
	cmd := exec.Command(program, "--config.file="+filepath.Join(dir, "prometheus.yaml"),
		"--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+p.address)
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = log.Close()
		if t.Failed() {
			t.Logf("Prometheus says:\n%s", mustRead(t, log.Name()))
		}
	})
	return p
}

// ask returns the data of an answer of Prometheus, or an error while it starts.
func (p prometheus) ask(path string, data any) error {
	resp, err := http.Get("http://" + p.address + path)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	answer := struct {
		Status, Error string
		Data          any
	}{Data: data}
	if err := json.Unmarshal(text, &answer); err != nil {
		return fmt.Errorf("%w: %s", err, text)
	}
	if answer.Status != "success" {
		return fmt.Errorf("%s", answer.Error)
	}
	return nil
}

// firing returns the names of the alerts that fire.
func (p prometheus) firing() (names []string) {
	var data struct {
		Alerts []struct {
			State  string
			Labels map[string]string
		}
	}
	_ = p.ask("/api/v1/alerts", &data) // asked again
	for _, a := range data.Alerts {
		if a.State == "firing" && !slices.Contains(names, a.Labels["alertname"]) {
			names = append(names, a.Labels["alertname"])
		}
	}
	return names
}

// hasData returns nil if a query has a value.
func (p prometheus) hasData(expr string) error {
	var data struct{ Result []any }
	if err := p.ask("/api/v1/query?query="+url.QueryEscape(expr), &data); err != nil {
		return err
	}
	if len(data.Result) == 0 {
		return fmt.Errorf("no data")
	}
	return nil
}

// queries returns the queries of the dashboard, with its variables filled in.
func queries(t *testing.T) (all []string) {
	t.Helper()
	var dashboard struct {
		Panels []struct {
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(mustRead(t, filepath.Join(monitoring, "dashboard.json"))), &dashboard); err != nil {
		t.Fatal(err)
	}
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			all = append(all, strings.NewReplacer("$instance", ".+", "$__rate_interval", "1m").Replace(target.Expr))
		}
	}
	if len(all) < 20 {
		t.Fatalf("found only the queries %q", all)
	}
	return all
}

// withoutData returns the queries that have no value yet, among those that match or do not
// match.
func (p prometheus) withoutData(t *testing.T, pattern string, match bool) []string {
	t.Helper()
	return slices.DeleteFunc(queries(t), func(expr string) bool { return strings.Contains(expr, pattern) != match || p.hasData(expr) == nil })
}

// ofNodes is in the names of the series that only nodes have.
const ofNodes = "strongroom_database_"

func TestPrometheusShowsANodeWithoutItsDatabase(t *testing.T) {
	t.Parallel()
	mustHave(t, "prometheus")
	server := pgtest.New(t)
	i := mustInitDatabase(t, server.NewDatabase(t))
	p, metrics := mustServeMetrics(t, i)
	prom := mustScrapeWith(t, metrics)
	var without []string
	mustHappen(t, "every query about the database has data", func(int) bool {
		p.want(t, 200, "GET", app, i.pskHeader(), "")
		without = prom.withoutData(t, ofNodes, true)
		return len(without) == 0
	}, func() string { return strings.Join(without, "\n") })
	server.Stop(t)
	var firing []string
	mustHappen(t, "the alert fires", func(int) bool {
		firing = prom.firing()
		return slices.Contains(firing, "StrongroomDatabaseDown")
	}, func() string { return "firing: " + strings.Join(firing, ", ") })
	server.Restart(t)
	mustHappen(t, "the alert ends", func(int) bool {
		firing = prom.firing()
		return !slices.Contains(firing, "StrongroomDatabaseDown")
	}, func() string { return "firing: " + strings.Join(firing, ", ") })
}

// Prometheus scrapes two servers. One is under load, has a certificate that expires soon,
// a full disk and an invalid config. The other is down.
func TestPrometheusShowsDataAndFiresAlerts(t *testing.T) {
	t.Parallel()
	mustHave(t, "prometheus")
	i := mustInitOnASmallDisk(t)
	i.mustEdit(t, "strongroom.yaml", "journal_bytes: 8388608", "journal_bytes: 1048576") // soon full
	id := newIdentityUntil(t, time.Now().Add(72*time.Hour))
	id.mustWrite(t, i)
	i.mustEdit(t, "strongroom.yaml", "\nlisten:\n", "\naudit: {anchor: {file: anchor}, stream: {file: audit.jsonl}}\nlisten:\n  tls: {certificate: tls.crt, key: tls.key}\n")
	p := mustStart(t, program, "serve", "--config", i.config(), "--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0")
	p.client, p.scheme = id.client(t, 0), "https"
	key := i.mustIssue(t, "apikey", "create", "--subject", "ci", "--for", "1d", "--grant", "{actions: [list], owner: "+theApp+"}")
	i.mustAdminister(t, "backup", "--out", i.path("copy"))
	prom := mustScrapeWith(t, p.mustSay(t, servingMetrics)[1], mustFindAddress(t))

	secretOf := func(n, size int) string {
		return fmt.Sprintf(`{"secret_name":"s%d","data":[{"key":"k","value":"%s"}]}`, n, strings.Repeat("v", size))
	}
	use := func(n int) {
		for _, req := range []struct{ method, path, header, body string }{
			{"POST", app, i.pskHeader(), secretOf(n, 40_000)},
			{"GET", app + "/s1/reveal", i.pskHeader(), ""},
			{"GET", app, i.pskHeader(), ""},
			{"GET", app + "/s1/reveal", "Authorization-PSK: " + key, ""},
			{"GET", app, "Authorization-PSK: wrong", ""},
		} {
			_, err := p.try(t, req.method, req.path, req.header, req.body)
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	var without []string
	mustHappen(t, "every query of the dashboard has data", func(n int) bool {
		use(n)
		without = prom.withoutData(t, ofNodes, false)
		return len(without) == 0
	}, func() string { return strings.Join(without, "\n") })

	mustFillUp(t, i.path("data/ballast"))
	for n := 1000; p.mustDo(t, "POST", app, i.pskHeader(), secretOf(n, 500_000)).status != 507; n++ {
		if n > 2000 {
			t.Fatal("the disk does not become full")
		}
	}
	i.mustEdit(t, "strongroom.yaml", "\napis:\n", "\nunknown: 1\napis:\n")
	wanted := []string{
		"StrongroomDown", "StrongroomDiskNearlyFull", "StrongroomReloadFailed", "StrongroomCertificateExpires", "StrongroomKeysExpire",
		"StrongroomCommitsFail", "StrongroomErrors",
	}
	var missing []string
	mustHappen(t, "the alerts fire", func(n int) bool {
		for more := range 10 {
			use(1_000_000 + 10*n + more)
		}
		firing := prom.firing()
		missing = slices.DeleteFunc(slices.Clone(wanted), func(name string) bool { return slices.Contains(firing, name) })
		return len(missing) == 0
	}, func() string { return strings.Join(missing, ", ") })
	p.mustKill(t) // a stop would fail: the disk is too small for the content of the journal
	if err := os.Remove(i.path("data/ballast")); err != nil {
		t.Error(err)
	}
}

// mustHappen repeats try until it returns true.
func mustHappen(t *testing.T, event string, try func(n int) bool, lacking func() string) {
	t.Helper()
	for n, began := 1, time.Now(); !try(n); n++ {
		if time.Since(began) > patience {
			t.Fatalf("not so within %s: %s; still missing:\n%s", patience, event, lacking())
		}
		time.Sleep(200 * time.Millisecond)
	}
}
