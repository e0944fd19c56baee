package browsertest

import (
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// canary is a value that must not appear anywhere until it is revealed.
const canary = "canary-4c6f-do-not-show"

// fastTimers makes the page's timers a hundred times faster and records their delays.
const fastTimers = `{
	const real = window.setTimeout;
	window.delays = [];
	window.setTimeout = (fn, delay, ...args) => { window.delays.push(delay); return real(fn, delay / 100, ...args); };
}`

func (b *tab) fastTimers() {
	b.t.Helper()
	b.run(command(page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: fastTimers}))
}

// wantHidden fails if the page, its fields or its history have the canary.
func (b *tab) wantHidden(where string) {
	b.t.Helper()
	fields := eval[string](b, `[...document.querySelectorAll('input, textarea')].map(e => e.value).join(' ')`)
	if strings.Contains(b.html()+b.at()+fields, canary) {
		b.t.Errorf("%s: the page has the value", where)
	}
	for _, e := range get(b, chromedp.NavigationEntries()).Entries {
		if strings.Contains(e.URL+e.Title, canary) {
			b.t.Errorf("%s: the history has the value", where)
		}
	}
	if stored := eval[float64](b, `localStorage.length + sessionStorage.length`); stored != 0 {
		b.t.Errorf("%s: the page keeps %v items in the browser's storage", where, stored)
	}
}

func TestAValueIsShownOnlyWhileItIsRevealed(t *testing.T) {
	s := startServer(t)
	b := newTab(t)
	b.fastTimers()
	s.signIn(b, s.psk)

	b.open(s.url + "/console/new?owner=app/" + shop)
	b.fill("#name", "db")
	b.fill("#description", "of the shop")
	b.fill("input[name=key]", "PASSWORD")
	b.fill("textarea[name=value]", canary)
	b.click("main button.primary")
	b.waitFor("h1", "db")
	b.wantHidden("after the creation")
	for _, path := range []string{
		"/console", "/console?q=" + "db", "/console?q=" + canary[:6], "/console/owners?left=app/" + shop, "/console/owners?left=app/" + shop + "&right=user/default", "/console/agents/new?owner=app/" + shop, "/console?owner=app/" + shop, "/console/edit?owner=app/" + shop + "&name=db", "/console/audit", "/console/sessions",
		"/console/secret?owner=app/" + shop + "&name=db",
	} {
		b.open(s.url + path)
		b.wantHidden(path)
		if body := eval[string](b, `fetch(location.href).then(r => r.text())`); strings.Contains(body, canary) {
			t.Errorf("%s: the HTML has the value", path)
		}
	}
	if export := eval[string](b, `fetch('/console/audit/export').then(r => r.text())`); !strings.Contains(export, `"create"`) || strings.Contains(export, canary) {
		t.Errorf("the export of the audit log: %s", export)
	}

	b.click("[data-reveal] button:not([data-copy])")
	b.waitFor("output", canary)
	b.waitFor("output", "••••••••") // after 30 s by the page's timers, which are 0.3 s here
	b.wantHidden("after 30 seconds")
	if delays := eval[string](b, `window.delays.join()`); !strings.Contains(delays, "30000") {
		t.Errorf("the page hides the value after %s ms, want 30000", delays)
	}

	b.click("[data-reveal] button:not([data-copy])")
	b.waitFor("output", canary)
	b.click(".top nav a")
	b.waitFor("h1", "Secrets")
	b.run(chromedp.NavigateBack())
	b.waitFor("h1", "db")
	b.wantHidden("after the back button")
	if log := s.said(); strings.Contains(log, canary) {
		t.Errorf("the log has the value:\n%s", log)
	}
}

func TestASecretIsEditedDeletedAndPutBack(t *testing.T) {
	s := startServer(t)
	s.store(shop, "db", "USER", "app", "PASSWORD", "before-before")
	b := newTab(t)
	s.signIn(b, s.psk)
	b.click("tbody a")
	b.waitFor("h1", "db")

	// Another request changes the secret first.
	b.click(".head a.primary")
	b.waitFor("h1", "Edit")
	s.change(shop, "db", "USER", "app", "PASSWORD", "in-between", "HOST", "db.internal")
	b.fill("#value-0", "from-the-console")
	b.click("form[action='/console/replace'] button.primary")
	b.waitFor("form[action='/console/replace'] .problem", "the new key HOST")
	if got := eval[string](b, `document.querySelector('#value-0').value`); got != "from-the-console" {
		t.Errorf("after a conflict the field has %q, want what was typed", got)
	}
	if got := s.send("GET", "/api/app/"+shop+"/secrets/db/reveal", ""); strings.Contains(got, "from-the-console") {
		t.Errorf("the conflict was stored: %s", got)
	}

	// Saved a second time, the change applies, and keys that are not in the form are
	// removed.
	b.click("form[action='/console/replace'] button.primary")
	b.waitFor("h1", "db")
	b.waitFor("h2", "Versions")
	got := s.send("GET", "/api/app/"+shop+"/secrets/db/reveal", "")
	if !strings.Contains(got, `"from-the-console"`) || !strings.Contains(got, `"app"`) {
		t.Errorf("after the second attempt: %s", got)
	}

	b.click("details.danger summary")
	b.click("details.danger button")
	b.waitFor(".notice", "Deleted db")
	b.click(".notice button")
	b.waitFor("h1", "db")
	b.click("[action='/console/restore'] button")
	b.waitFor(".tag", "current")
	b.waitFor("h1", "db")
}

func TestCompareAndDeletedPages(t *testing.T) {
	s := startServer(t)
	s.store(shop, "db", "USER", "app", "HOST", canary, "PORT", "before-before")
	s.change(shop, "db", "PASSWORD", canary, "HOST", canary, "PORT", "after-after")
	b := newTab(t)
	s.signIn(b, s.psk)
	b.open(s.url + "/console/secret?owner=app/" + shop + "&name=db")
	writers := eval[[]string](b, `[...document.querySelectorAll('[aria-labelledby=versions] tbody td:nth-child(2)')].map(e => e.textContent)`)
	if !slices.Equal(writers, []string{"admin", "admin"}) {
		t.Errorf("the versions were written by %q", writers)
	}
	b.click("td.actions a")
	b.waitFor("h1", "Two versions")
	b.waitFor(".tag", "added")
	b.waitFor(".tag", "removed")
	b.wantHidden("compare")
	b.click(".head button")
	b.waitFor("tbody tr", "same value")
	prints := eval[[]string](b, `[...document.querySelectorAll('tbody td.id')].map(e => e.textContent)`)
	const host, password, port = 0, 2, 4 // the keys in their order, with two cells each; USER is the last
	if prints[host] != prints[host+1] || prints[host] != prints[password+1] || prints[port] == prints[port+1] {
		t.Errorf("the fingerprints are %q", prints)
	}
	b.wantHidden("compare values")
	s.send("DELETE", "/api/app/"+shop+"/secrets/db", "")
	b.open(s.url + "/console?owner=app/" + shop)
	b.click(".head a[href*=deleted]")
	b.waitFor("h1", "Deleted secrets")
	b.click("td.actions button")
	b.waitFor("h1", "db")
}

func TestAnOddValueIsStoredWithAWarning(t *testing.T) {
	s := startServer(t)
	b := newTab(t)
	s.signIn(b, s.session)
	b.open(s.url + "/console/new?owner=user/default")
	b.fill("#name", "TOKEN")
	b.fill("#value", "short")
	b.click("main button.primary")
	b.waitFor(".problem", "is shorter than 6 bytes")
	b.click(".problem a")
	b.waitFor("h1", "TOKEN")
	b.open(s.url + "/console/new?owner=user/default")
	b.fill("#name", "TOKEN")
	b.fill("#value", "long-and-random")
	b.click("main button.primary")
	b.waitFor(".problem", "already a secret of that name")
}

func TestSignOutEndsTheSessionEverywhere(t *testing.T) {
	s := startServer(t)
	one, other := newTab(t), newTab(t)
	s.signIn(one, s.psk)
	s.signIn(other, s.psk)
	one.click(".menu summary")
	one.click(`.pop a[href="/console/sessions"]`)
	one.waitFor("h1", "Sessions")
	if n := eval[float64](one, `document.querySelectorAll('tbody tr').length`); n != 2 {
		t.Errorf("the page lists %v sessions, want 2", n)
	}
	one.click(".menu summary")
	one.click(".pop form:last-child button")
	one.waitFor("h1", "Sign in")
	other.open(s.url + "/console")
	other.waitFor("h1", "Sign in")
	one.run(chromedp.NavigateBack())
	one.waitFor("h1", "Sign in")
}

func TestAWrongKeyIsRefusedAndCounted(t *testing.T) {
	s := startServer(t, "\nstores:", "\nlimits: {failures: {per_second: 0.01, burst: 3}}\nstores:")
	for range 2 {
		if got := request(t, "POST", s.url+"/console/sign-in", "", "key=srk_wrong").StatusCode; got != 401 {
			t.Errorf("a wrong key: %d, want 401", got)
		}
	}
	b := newTab(t)
	b.open(s.url + "/console/sign-in")
	b.fill("#key", "srk_wrong")
	b.click("main form button")
	b.waitFor(".problem", "No API key")
	b.fill("#key", s.psk)
	b.click("main form button")
	b.waitFor("main", "Too many requests")
}

func TestTheConsoleWorksByKeyboard(t *testing.T) {
	s := startServer(t)
	s.store(shop, "db", "PASSWORD", canary)
	b := newTab(t)
	b.open(s.url + "/console")
	b.run(chromedp.Poll[chromedp.Void](`document.activeElement.id === 'key'`), chromedp.KeyEvent(s.psk), chromedp.KeyEvent(kb.Enter))
	b.waitFor("h1", "Secrets")
	b.press(kb.Tab, `document.activeElement.matches('.skip')`)
	b.press(kb.Enter, `location.hash === '#main'`)
	b.press(kb.Tab, `document.activeElement.textContent === 'db'`)
	b.run(chromedp.KeyEvent(kb.Enter))
	b.waitFor("h1", "db")
	b.press(kb.Tab, `document.activeElement.matches('[data-reveal] button')`)
	b.run(chromedp.KeyEvent(kb.Enter))
	b.waitFor("output", canary)
}

// press presses the key until the expression is true.
func (b *tab) press(key, until string) {
	b.t.Helper()
	for range 40 {
		b.run(chromedp.KeyEvent(key))
		if eval[bool](b, until) {
			return
		}
	}
	b.t.Fatalf("after 40 keys it is not true that %s; the focus is on %s", until, eval[string](b, `document.activeElement.outerHTML`))
}

func TestTheDocumentationSendsARequest(t *testing.T) {
	s := startServer(t)
	s.store(shop, "db", "PASSWORD", "long-and-random")
	b := newTab(t)
	b.open(s.url + "/docs")
	b.click(".cards a")
	b.waitFor("h1", "Nx1")
	b.fill("#credential-text", s.psk)
	const list = "#list_secrets_api_app__app_id__secrets_get"
	b.click(list + " .try > summary")
	b.fill(list+" [data-name=app_id]", shop)
	b.waitFor(list+" .curl", `-H "Authorization-PSK: $KEY"`)
	b.waitFor(list+" .curl", "/api/app/"+shop+"/secrets'")
	b.click(list + " button.primary")
	b.waitFor(list+" .answer", "200")
	b.waitFor(list+" .answer", `"secret_name": "db"`)
	if strings.Contains(b.html(), s.psk) {
		t.Error("the key is in the page")
	}
}
