package metrics_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/metrics"
)

func newMetrics(now metrics.Snapshot) *metrics.Metrics {
	return metrics.New(metrics.Build{Version: "v1"}, []string{"list"}, []string{"done"}, func() metrics.Snapshot { return now })
}

func scrape(t *testing.T, m *metrics.Metrics, method, path string) (status int, text string) {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest(method, path, nil))
	return w.Code, w.Body.String()
}

func TestUnknownTimesHaveNoSeries(t *testing.T) {
	_, text := scrape(t, newMetrics(metrics.Snapshot{}), "GET", "/metrics")
	for _, name := range []string{"strongroom_backup_last_success_timestamp_seconds", "strongroom_audit_anchor_up", "strongroom_certificate_expiry_timestamp_seconds"} {
		if strings.Contains(text, "\n"+name+" ") {
			t.Errorf("%s has a value", name)
		}
	}
	at := time.Unix(1_800_000_000, 0)
	_, text = scrape(t, newMetrics(metrics.Snapshot{LastBackup: at, Anchored: true, AnchorWorks: true, Certificate: at}), "GET", "/metrics")
	for _, line := range []string{
		"strongroom_backup_last_success_timestamp_seconds 1.8e+09", "strongroom_audit_anchor_up 1",
		"strongroom_certificate_expiry_timestamp_seconds 1.8e+09",
	} {
		if !strings.Contains(text, "\n"+line+"\n") {
			t.Errorf("the metrics lack %s", line)
		}
	}
}

func TestHandlerServesNothingElse(t *testing.T) {
	m := newMetrics(metrics.Snapshot{})
	for _, tc := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/metrics", http.StatusOK},
		{"HEAD", "/metrics", http.StatusOK},
		{"POST", "/metrics", http.StatusMethodNotAllowed},
		{"GET", "/", http.StatusNotFound},
		{"GET", "/debug/pprof/", http.StatusNotFound},
	} {
		if status, _ := scrape(t, m, tc.method, tc.path); status != tc.status {
			t.Errorf("%s %s: status %d, want %d", tc.method, tc.path, status, tc.status)
		}
	}
}

// A request pays for one of each.
func BenchmarkRequest(b *testing.B) {
	m := newMetrics(metrics.Snapshot{})
	route := m.Route("nx1", "GET", "list")
	b.ReportAllocs()
	for b.Loop() {
		m.Accepted("psk")
		m.Attempted("list", "done")
		route.Answered(200, 300*time.Microsecond)
	}
}
