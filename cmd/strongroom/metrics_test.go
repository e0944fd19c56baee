package main_test

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/test/pgtest"
)

var servingMetrics = regexp.MustCompile(`msg="serving metrics" address=(\S+)`)

// mustServeMetrics starts the server with metrics, and returns their address.
func mustServeMetrics(t *testing.T, i install) (p *process, metrics string) {
	t.Helper()
	p = mustStart(t, program, "serve", "--config", i.config(), "--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0")
	return p, p.mustSay(t, servingMetrics)[1]
}

// mustScrape returns the lines of a scrape without comments.
func mustScrape(t *testing.T, address string) []string {
	t.Helper()
	resp, err := http.Get("http://" + address + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("scraping: status %d, error %v", resp.StatusCode, err)
	}
	var lines []string
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "#") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// sampleOf returns the value of a series, written as in a scrape.
func sampleOf(t *testing.T, lines []string, series string) float64 {
	t.Helper()
	for _, line := range lines {
		if value, ok := strings.CutPrefix(line, series+" "); ok {
			v, err := strconv.ParseFloat(value, 64)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
	}
	t.Errorf("there is no series %s", series)
	return 0
}

func TestMetricsCountRequests(t *testing.T) {
	t.Parallel()
	i := mustInit(t)
	p, metrics := mustServeMetrics(t, i)
	p.want(t, 200, "POST", app, i.pskHeader(), `{"secret_name":"a","data":[{"key":"k","value":"v"}]}`)
	p.want(t, 200, "GET", app+"/a/reveal", i.pskHeader(), "")
	p.want(t, 200, "GET", app+"/a/reveal", i.pskHeader(), "")
	p.want(t, 404, "GET", app+"/b", i.pskHeader(), "")
	p.want(t, 401, "GET", app, "", "")
	p.want(t, 401, "GET", app, "Authorization-PSK: wrong", "")
	p.want(t, 401, "GET", "/nowhere", "", "")
	i.mustAdminister(t, "backup", "--out", i.path("copy"))
	lines := mustScrape(t, metrics)
	for series, want := range map[string]float64{
		`http_server_request_duration_seconds_count{api="nx1",http_request_method="GET",http_response_status_code="200",operation="reveal_secret_api_app__app_id__secrets__secret_name__reveal_get"}`: 2,
		`http_server_request_duration_seconds_count{api="nx1",http_request_method="GET",http_response_status_code="404",operation="get_secret_api_app__app_id__secrets__secret_name__get"}`:           1,
		`http_server_request_duration_seconds_count{api="openhands",http_request_method="_OTHER",http_response_status_code="401",operation="none"}`:                                                   1,
		`http_server_request_duration_seconds_count{api="strongroom",http_request_method="POST",http_response_status_code="200",operation="backup"}`:                                                  1,
		`strongroom_attempts_total{action="reveal",outcome="done"}`:           2,
		`strongroom_attempts_total{action="create",outcome="done"}`:           1,
		`strongroom_attempts_total{action="list",outcome="not found"}`:        1,
		`strongroom_authentications_total{outcome="accepted",strategy="psk"}`: 4,
		`strongroom_authentications_total{outcome="missing",strategy=""}`:     2,
		`strongroom_authentications_total{outcome="rejected",strategy="psk"}`: 1,
		`strongroom_limited_requests_total{limit="failures"}`:                 0,
		`strongroom_commits_total{outcome="failed"}`:                          0,
		`strongroom_audit_sound`:                                              1,
		`strongroom_disk_reserve`:                                             1,
		`strongroom_config_last_reload_successful`:                            1,
		`strongroom_store_up{store="embedded"}`:                               1,
		`strongroom_file_keys`:                                                2,
		`strongroom_file_keys_expiring`:                                       0,
		`strongroom_journal_bytes`:                                            262144,
		`strongroom_log_lines_dropped_total`:                                  0,
	} {
		if got := sampleOf(t, lines, series); got != want {
			t.Errorf("%s is %v, want %v", series, got, want)
		}
	}
	if at := sampleOf(t, lines, "strongroom_backup_last_success_timestamp_seconds"); time.Since(time.UnixMilli(int64(at*1000))) > patience {
		t.Errorf("the last backup was at %v, want now", at)
	}
	if text := strings.Join(lines, "\n"); strings.Contains(text, "strongroom_database") {
		t.Errorf("a server with a state file has series of a database:\n%s", text)
	}
	for _, series := range []string{"strongroom_audit_head", "strongroom_state_bytes", "strongroom_disk_free_bytes", "strongroom_journal_used_bytes", "strongroom_commit_duration_seconds_count"} {
		if sampleOf(t, lines, series) <= 0 {
			t.Errorf("%s is not positive", series)
		}
	}
}

func TestMetricsOutliveARestart(t *testing.T) {
	t.Parallel()
	i := mustInit(t)
	p := mustServe(t, i)
	i.mustAdminister(t, "backup", "--out", i.path("copy"))
	p.mustStop(t)
	_, metrics := mustServeMetrics(t, i)
	for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		for _, line := range mustScrape(t, metrics) {
			if strings.HasPrefix(line, "strongroom_backup_last_success_timestamp_seconds ") {
				return
			}
		}
		if time.Since(began) > patience {
			t.Fatal("the server has not found the backup in its audit log")
		}
	}
}

func TestMetricsAreServedOnlyWhereNamed(t *testing.T) {
	t.Parallel()
	i := mustInit(t)
	p := mustServe(t, i)
	p.want(t, 401, "GET", "/metrics", "", "")
	wantRefusal(t, run(t, "serve", "--config", i.config(), "--metrics", "9465"), "--metrics", "metrics.address: must be host:port")
	if log := p.mustStop(t); strings.Contains(log, "metrics") {
		t.Errorf("metrics are served without being named:\n%s", log)
	}
	p, metrics := mustServeMetrics(t, i)
	p.want(t, 401, "GET", "/metrics", "", "")
	resp, err := http.Get("http://" + metrics + "/api/secrets")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusNotFound {
		t.Errorf("the listener for metrics answers other paths with %d", resp.StatusCode)
	}
}

func TestMetricsContainNothingThatClientsSend(t *testing.T) {
	t.Parallel()
	i := mustInit(t)
	p, metrics := mustServeMetrics(t, i)
	for _, req := range canaryRequests {
		header := strings.NewReplacer("psk", i.pskHeader(), "session", i.sessionHeader()).Replace(req.header)
		if strings.Contains(req.header, ": ") {
			header = req.header
		}
		p.mustDo(t, req.method, req.path, header, req.body)
	}
	sendNonsense(t, p.address)
	text := strings.Join(mustScrape(t, metrics), "\n")
	for _, told := range []string{canary, "0f8fad5b", "127.0.0.1", i.dir, "default", i.psk, i.sessionKey} {
		if strings.Contains(text, told) {
			t.Errorf("the metrics have %q", told)
		}
	}
}

// ownersEnv is the number of owners; make series uses more.
const ownersEnv = "STRONGROOM_SERIES"

func TestOwnersAndSecretsAddNoSeries(t *testing.T) {
	besideOthers(t, ownersEnv)
	const secretsEach = 10
	owners := mustCount(t, ownersEnv, 30)
	i := mustInit(t)
	p := mustStart(t, mustBuildFast(t), "serve", "--config", i.config(), "--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0")
	metrics := p.mustSay(t, servingMetrics)[1]
	use := func(owner int) {
		path := fmt.Sprintf("/api/app/0f8fad5b-d9cb-469f-a165-%012d/secrets", owner)
		for n := range secretsEach {
			p.want(t, 200, "POST", path, i.pskHeader(), fmt.Sprintf(`{"secret_name":"s%d","data":[{"key":"k","value":"v"}]}`, n))
		}
		p.want(t, 200, "GET", path, i.pskHeader(), "")
		p.want(t, 200, "GET", path+"/s1/reveal", i.pskHeader(), "")
		p.want(t, 404, "GET", path+"/s99", i.pskHeader(), "")
	}
	use(0)
	before := len(mustScrape(t, metrics))
	var next atomic.Int64
	var clients sync.WaitGroup
	for range 16 {
		clients.Go(func() {
			for n := next.Add(1); n < int64(owners); n = next.Add(1) {
				use(int(n))
			}
		})
	}
	clients.Wait()
	var lines []string
	shortest := patience
	for range 10 {
		began := time.Now()
		lines = mustScrape(t, metrics)
		shortest = min(shortest, time.Since(began))
	}
	t.Logf("%d owners with %d secrets each: %d series, scraped in %s", owners, secretsEach, len(lines), shortest)
	if len(lines) != before {
		t.Errorf("%d series, want %d as with one owner", len(lines), before)
	}
	if got, want := sampleOf(t, lines, `strongroom_attempts_total{action="create",outcome="done"}`), float64(owners*secretsEach); got != want {
		t.Errorf("%v secrets were created, want %v", got, want)
	}
}

// mustScrapeUntil scrapes until the condition holds, and returns the lines.
func mustScrapeUntil(t *testing.T, address, event string, holds func(lines []string) bool) (lines []string) {
	t.Helper()
	mustHappen(t, event, func(int) bool {
		lines = mustScrape(t, address)
		return holds(lines)
	}, func() string { return strings.Join(lines, "\n") })
	return lines
}

func TestMetricsOfANodeShowItsDatabase(t *testing.T) {
	t.Parallel()
	const answered, behind, conflicts, repeated = "strongroom_database_last_answer_timestamp_seconds", "strongroom_database_changes_behind",
		"strongroom_database_conflicts_total", "strongroom_database_repeated_appends_total"
	server := pgtest.New(t)
	proxy := pgtest.NewProxy(t, server.Address())
	i := mustInitDatabase(t, pgtest.Via(server.NewDatabase(t), proxy.Address()))
	two := mustServe(t, i.another(t, "two"))
	one, metrics := mustServeMetrics(t, i)
	silence := func(lines []string) time.Duration {
		return time.Since(time.UnixMilli(int64(sampleOf(t, lines, answered) * 1000)))
	}
	write := func(p *process) { // with an answer of any status
		p.mustDo(t, "PUT", app+"/a", i.pskHeader(), `{"data":[{"key":"k","value":"v"}]}`)
	}
	one.want(t, 200, "POST", app, i.pskHeader(), `{"secret_name":"a","data":[{"key":"k","value":"v"}]}`)
	lines := mustScrape(t, metrics)
	if age := silence(lines); age < -time.Second || age > patience {
		t.Errorf("the database answered %s ago, want now", age)
	}
	if sampleOf(t, lines, "strongroom_database_query_duration_seconds_count") == 0 || sampleOf(t, lines, "strongroom_database_query_duration_seconds_sum") == 0 {
		t.Error("the queries have no durations")
	}
	if got := sampleOf(t, lines, repeated); got != 0 {
		t.Errorf("%v appends were repeated before the first fault", got)
	}

	mustScrapeUntil(t, metrics, "nodes conflict", func(lines []string) bool {
		var both sync.WaitGroup
		for _, p := range []*process{one, two} {
			both.Go(func() { write(p) })
		}
		both.Wait()
		return sampleOf(t, lines, conflicts) > 0
	})
	proxy.CutAtRandom(0.02) // more would let no connection begin
	mustScrapeUntil(t, metrics, "an append is repeated", func(lines []string) bool {
		for range 10 {
			write(one)
		}
		return sampleOf(t, lines, repeated) > 0
	})
	proxy.CutAtRandom(0)

	server.Stop(t)
	lines = mustScrapeUntil(t, metrics, "the last answer is old", func(lines []string) bool { return silence(lines) > 3*time.Second })
	last := sampleOf(t, lines, answered)
	one.want(t, 503, "GET", app, i.pskHeader(), "")
	if got := sampleOf(t, mustScrape(t, metrics), answered); got != last {
		t.Errorf("the last answer was at %v, and at %v without the database", last, got)
	}
	server.Restart(t)
	mustScrapeUntil(t, metrics, "the database answers again", func(lines []string) bool {
		return sampleOf(t, lines, answered) > last && sampleOf(t, lines, behind) == 0
	})
}
