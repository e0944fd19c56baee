package browsertest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestScreenshots writes pictures of the main pages into a directory: make screenshots.
func TestScreenshots(t *testing.T) {
	dir := os.Getenv("STRONGROOM_SCREENSHOTS")
	if dir == "" {
		t.Skip("STRONGROOM_SCREENSHOTS names no directory: see make screenshots")
	}
	s := exampleServer(t)
	b := newTab(t)
	b.open(s.url + "/console")
	shoot(b, dir, "sign-in")
	s.signIn(b, s.psk)
	for _, page := range []struct{ name, path string }{
		{"problem", "/console/nowhere"},
		{"audit-none", "/console/audit?outcome=full"},
		{"list", "/console"},
		{"search", "/console?q=stripe"},
		{"owner", "/console?owner=app/" + shop},
		{"secret", "/console/secret?owner=app/" + shop + "&name=db"},
		{"new", "/console/new?owner=app/" + shop},
		{"compare", "/console/owners?left=app/" + shop + "&right=app/" + billing},
		{"edit", "/console/edit?owner=app/" + shop + "&name=db"},
		{"deleted", "/console/deleted?owner=app/" + shop},
		{"sessions", "/console/sessions"},
		{"server", "/console/server?check=1"},
		{"key", "/console/server/new"},
		{"audit", "/console/audit?verify=1"},
		{"agents", "/console/agents"},
		{"agent", "/console/agents/new?owner=app/" + shop + "&name=db"},
		{"docs", "/docs"},
		{"docs-nx1", "/docs/nx1"},
	} {
		b.open(s.url + page.path)
		if page.name == "secret" {
			b.click(".values button:not([hidden]):last-of-type")
			b.waitFor("output", "db.internal")
		}
		shoot(b, dir, page.name)
	}
}

// shoot takes pictures at three widths, in light and dark.
func shoot(b *tab, dir, name string) {
	b.t.Helper()
	for _, scheme := range []string{"light", "dark"} {
		for _, width := range []int64{360, 768, 1440} {
			b.size(width, 900, scheme)
			picture := get(b, chromedp.FullScreenshot(100))
			path := filepath.Join(dir, fmt.Sprintf("%s-%d-%s.png", name, width, scheme))
			if err := os.WriteFile(path, picture, 0o644); err != nil {
				b.t.Fatal(err)
			}
		}
	}
}

// fill stores secrets as a small team has them.
func (s *server) fill() {
	s.t.Helper()
	s.store(shop, "db", "USER", "app", "PASSWORD", "correct horse", "HOST", "db.internal")
	s.change(shop, "db", "USER", "app", "PASSWORD", "battery staple", "HOST", "db.internal", "SSL_MODE", "verify-full")
	s.store(shop, "stripe", "STRIPE_SECRET_KEY", "sk_test_4eC39HqLyjWDarjtT1zdp7dc", "STRIPE_WEBHOOK_SECRET", "whsec_5WbX5kEWLlfzsGNjH64I8lOO")
	s.store(shop, "smtp", "SMTP_USER", "mailer", "SMTP_PASSWORD", "long-and-random-1")
	s.store(shop, "legacy-ftp", "PASSWORD", "long-and-random-2")
	s.send("DELETE", "/api/app/"+shop+"/secrets/legacy-ftp", "")
	s.store(billing, "db", "PASSWORD", "long-and-random-3")
	s.store(billing, "datev", "CLIENT_ID", "4711-0815", "CLIENT_SECRET", "long-and-random-4")
	s.send("GET", "/api/app/"+shop+"/secrets/db/reveal", "")
	for _, custom := range [][2]string{{"GITHUB_TOKEN", "opens pull requests in the shop repository"}, {"NPM_TOKEN", "publishes @shop/ui"}, {"SENTRY_DSN", ""}} {
		s.send("POST", "/api/secrets", fmt.Sprintf(`{"name": %q, "value": "long-and-random-5", "description": %q}`, custom[0], custom[1]))
	}
	s.command("agent-key", "create", "app/"+shop, "db", "smtp", "--for", "1h", "--reads", "10", "--subject", "deployment agent")
	reader := s.command("apikey", "create", "--subject", "reader", "--grant", "{actions: [list], owner: app/"+shop+"}")
	s.command("apikey", "create", "--subject", "ci", "--for", "30d", "--grant", "{actions: [list, reveal], owner: app/"+billing+", names: [db]}")
	request(s.t, "GET", s.url+"/api/app/"+shop+"/secrets/db/reveal", "", "", "Authorization-PSK", reader)
}

// command runs an administration command and returns its output.
func (s *server) command(args ...string) string {
	s.t.Helper()
	out, err := strongroom(s.t, append(args, "--config", s.config)...).Output()
	if err != nil {
		s.t.Fatalf("%s: %v: %s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}
