package browsertest

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A person does tasks, and every click and every field to type into counts.
type person struct {
	*tab
	clicks int
}

// click clicks the first element when it is visible. Its events are the page's own: on a
// busy machine a click of the mouse can come before the page has been drawn.
func (p *person) click(selector string) {
	p.t.Helper()
	p.clicks++
	p.waitFor(selector, "")
	p.run(evaluate(fmt.Sprintf(`document.querySelector(%q).click()`, selector)))
}

func (p *person) fill(selector, text string) {
	p.t.Helper()
	p.clicks++
	p.tab.fill(selector, text)
}

// choose clicks the link or button of this text.
func (p *person) choose(text string) {
	p.t.Helper()
	const mark = `(() => { const e = [...document.querySelectorAll('a, button, summary')].find(e => e.checkVisibility() && e.textContent.trim().startsWith(%q)); e?.setAttribute('data-chosen', ''); return Boolean(e); })()`
	for end := time.Now().Add(patience); !eval[bool](p.tab, fmt.Sprintf(mark, text)); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			p.t.Fatalf("nothing to click begins with %q", text)
		}
	}
	p.click("[data-chosen]")
}

// mostClicks is the limit for each task.
const mostClicks = 5

// tasks begin at the first page, as an administrator sees it after signing in.
var tasks = []struct {
	name string
	do   func(*person)
}{
	{"find who read a secret", func(p *person) {
		p.choose("stripe")
		p.waitFor("h1", "stripe")
		p.choose("Audit entries")
		p.waitFor("#entries tr", "reveal")
		p.waitFor("#entries tr", "admin")
	}},
	{"give an agent an hour of two secrets", func(p *person) {
		p.choose("app/" + shop)
		p.waitFor("h1", "app/"+shop)
		p.choose("Agent key")
		p.click("input[value=db]")
		p.click("input[value=smtp]")
		p.choose("Create")
		p.waitFor("[data-key-shown] output", "srk_")
	}},
	{"revoke the key of an agent", func(p *person) {
		p.choose("Agents")
		p.waitFor("h1", "Agent keys")
		p.choose("Revoke")
		p.waitFor(".tag", "ended")
	}},
	{"undo a deletion", func(p *person) {
		p.choose("app/" + shop)
		p.waitFor("h1", "app/"+shop)
		p.choose("Deleted")
		p.waitFor("h1", "Deleted")
		p.choose("Put back")
		p.waitFor("h1", "legacy-ftp")
	}},
	{"see why a caller was refused", func(p *person) {
		p.choose("Audit")
		p.waitFor("h1", "Audit log")
		p.click("#entries a.tag.bad")
		p.waitFor("#why", "denied")
		p.waitFor("main", "No grant of reader")
	}},
	{"read a value", func(p *person) {
		p.choose("stripe")
		p.waitFor("h1", "stripe")
		p.choose("Reveal")
		p.waitFor("output", "sk_test_")
	}},
	{"change a value", func(p *person) {
		p.choose("stripe")
		p.waitFor("h1", "stripe")
		p.choose("Edit")
		p.waitFor("h1", "Edit")
		p.fill("#value-0", "sk_test_changed")
		p.choose("Save values")
		p.waitFor("h2", "Versions")
	}},
	{"see what a change has changed", func(p *person) {
		p.choose("stripe")
		p.waitFor("h1", "stripe")
		p.choose("Compare")
		p.waitFor("h1", "Two versions")
		p.choose("Compare the values")
		p.waitFor("tbody", "same value")
		p.waitFor("tbody .tag", "changed")
	}},
	{"go back to an earlier version", func(p *person) {
		p.choose("stripe")
		p.waitFor("h1", "stripe")
		p.choose("Restore")
		p.waitFor("tbody tr:nth-child(3)", "Restore")
	}},
	{"compare two apps", func(p *person) {
		p.choose("app/" + shop)
		p.waitFor("h1", "app/"+shop)
		p.choose("Compare")
		p.waitFor("main", "With which owner")
		p.choose("app/" + billing)
		p.waitFor("h1", "Compare two owners")
		p.choose("Compare the values")
		p.waitFor("tbody", "only left")
	}},
	{"sign out everywhere", func(p *person) {
		p.click(".menu summary")
		p.choose("Sign out everywhere")
		p.waitFor("h1", "Sign in")
	}},
}

func TestTasksTakeFewClicks(t *testing.T) {
	s := startServer(t)
	s.fill()
	s.send("GET", "/api/app/"+shop+"/secrets/stripe/reveal", "")
	page, err := os.ReadFile("../../console/README.md")
	if err != nil {
		t.Fatal(err)
	}
	b := newTab(t)
	s.signIn(b, s.psk)
	for _, task := range tasks {
		b.open(s.url + "/console")
		p := &person{tab: b}
		task.do(p)
		line := fmt.Sprintf("| %s | %d |", task.name, p.clicks)
		t.Log(line)
		if p.clicks > mostClicks {
			t.Errorf("%s: more than %d clicks", task.name, mostClicks)
		}
		if !strings.Contains(string(page), line+"\n") {
			t.Errorf("internal/console/README.md lacks the line %s", line)
		}
	}
}

func TestAdministratorsCreateAPIKeysAndTakeBackups(t *testing.T) {
	s := startServer(t)
	s.store(shop, "db", "PASSWORD", canary)
	s.store(shop, "smtp", "PASSWORD", "long-and-random")
	b := newTab(t)
	s.signIn(b, s.psk)
	b.open(s.url + "/console/server/new")
	b.fill("#subject", "ci")
	b.fill(".grant [name=owner]", "app/"+shop)
	b.fill(".grant [name=names]", "db")
	b.click("[data-add]")
	b.fill(".grant:nth-of-type(2) [name=owner]", "app/nowhere")
	b.click("main button.primary")
	b.waitFor(".problem", "owner: must be")
	b.click(".grant:nth-of-type(2) [data-drop]")
	b.click("main button.primary")
	b.waitFor("[data-key-shown] output", "srk_")
	key := eval[string](b, `document.querySelector('[data-key-shown] output').textContent`)
	for name, want := range map[string]int{"db": 200, "smtp": 404} {
		if got := request(t, "GET", s.url+"/api/app/"+shop+"/secrets/"+name+"/reveal", "", "", "Authorization-PSK", key).StatusCode; got != want {
			t.Errorf("the new key reveals %s: %d, want %d", name, got, want)
		}
	}
	b.click("[data-key-shown] a")
	b.waitFor("tbody", "list, reveal on app/"+shop+": db")
	if strings.Contains(b.html(), key) {
		t.Error("the list has the key")
	}
	b.open(s.url + "/console/server")
	b.waitFor(".facts", "complete") // the rotation
	b.waitFor(".facts", "not known")
	download := eval[string](b, `fetch('/console/server/backup', {method: 'POST', body: new URLSearchParams()}).then(r => r.bytes()).then(b => b.toBase64())`)
	backup, err := base64.StdEncoding.DecodeString(download)
	if err != nil || len(backup) < 1000 || strings.Contains(string(backup), canary) {
		t.Fatalf("a backup of %d bytes, %v", len(backup), err)
	}
	s.write("downloaded.backup", string(backup))
	if out, err := strongroom(t, "backup", "verify", "--config", s.config, filepath.Join(filepath.Dir(s.config), "downloaded.backup")).CombinedOutput(); err != nil {
		t.Errorf("the backup: %v: %s", err, out)
	}
	b.open(s.url + "/console/server")
	if strings.Contains(eval[string](b, `document.querySelector('.facts').textContent`), "not known") {
		t.Error("the page does not know of the backup")
	}
}

func TestTwoAppsAreComparedByFingerprints(t *testing.T) {
	s := startServer(t)
	s.store(shop, "db", "HOST", canary, "PASSWORD", "one-password")
	s.store(shop, "smtp", "PASSWORD", "long-and-random")
	s.store(billing, "db", "HOST", canary, "PASSWORD", "another-one", "PORT", "54321-54321")
	b := newTab(t)
	s.signIn(b, s.psk)
	b.open(s.url + "/console/owners?left=app/" + shop + "&right=app/" + billing)
	b.waitFor(".lead", "2 of 2 differ in their keys")
	b.wantHidden("compare")
	b.click(".head button")
	b.waitFor("tbody", "same value")
	got := strings.Join(eval[[]string](b, `[...document.querySelectorAll('tbody tr')].map(r => [...r.children].filter((c, i) => i !== 2 && i !== 3).map(c => c.textContent).join(' '))`), "; ")
	if want := "db HOST same value; db PASSWORD different; db PORT only right; smtp 1 key only left"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	b.wantHidden("compare values")
	b.open(s.url + "/console/audit?action=reveal")
	if n := eval[float64](b, `document.querySelectorAll('#entries tr').length`); n != 2 {
		t.Errorf("%v reveals are in the audit log, want 2", n)
	}
}
