package browsertest

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// evil serves a page of an attacker, on another port of the same host.
func evil(t *testing.T, html string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, html)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func TestAnotherPortCannotFrameTheConsole(t *testing.T) {
	s := startServer(t)
	b := newTab(t)
	s.signIn(b, s.psk)
	b.open(evil(t, fmt.Sprintf(`<h1>evil</h1><iframe src="%s/console" onload="document.title='loaded'"></iframe>`, s.url)))
	b.waitFor("h1", "evil")
	b.run(chromedp.Poll[chromedp.Void](`document.title === 'loaded'`)) // with an error page
	if !strings.Contains(b.said(), "frame-ancestors") {
		t.Errorf("the browser did not refuse the frame because of frame-ancestors: %s", b.said())
	}
}

func TestAnotherPortCannotSendForms(t *testing.T) {
	s := startServer(t)
	s.store(shop, "db", "PASSWORD", "long-and-random")
	b := newTab(t)
	s.signIn(b, s.psk)
	for name, script := range map[string]string{
		"form":  `document.forms[0].submit()`,
		"fetch": `fetch(document.forms[0].action, {method: 'POST', mode: 'no-cors', credentials: 'include', body: new URLSearchParams(new FormData(document.forms[0]))}).catch(() => {}).finally(() => { document.title = 'sent' })`,
	} {
		b.open(evil(t, fmt.Sprintf(`<form method="post" action="%s/console/delete"><input name="owner" value="app/%s"><input name="name" value="db"></form>`, s.url, shop)))
		b.run(chromedp.Evaluate[chromedp.Void](script))
		if name == "form" {
			b.waitFor("body", "came from a page of another site")
		} else {
			b.run(chromedp.Poll[chromedp.Void](`document.title === 'sent'`))
		}
		if got := s.send("GET", "/api/app/"+shop+"/secrets", ""); !strings.Contains(got, `"db"`) {
			t.Fatalf("%s: the secret is gone: %s", name, got)
		}
	}
}

// request sends a request without a browser.
func request(t *testing.T, method, address, host, body string, headers ...string) *http.Response {
	t.Helper()
	req, err := http.NewRequest(method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if host != "" {
		req.Host = host
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

func TestOnlyOurOwnNamesAreAnswered(t *testing.T) {
	s := startServer(t, "console: {}", "console: {hosts: [secrets.example.org]}")
	for host, want := range map[string]int{
		"evil.example": 421, "evil.example:80": 421, "127.0.0.1.evil.example": 421, "localhost.evil.example": 421, "secrets.example.org.": 421, "": 200,
		"localhost": 200, "LOCALHOST:3000": 200, "127.0.0.1": 200, "[::1]:3000": 200, "secrets.example.org": 200, "secrets.example.org:8443": 200,
	} {
		for _, path := range []string{"/console/sign-in", "/docs"} {
			if got := request(t, "GET", s.url+path, host, "").StatusCode; got != want {
				t.Errorf("%s of %q: %d, want %d", path, host, got, want)
			}
		}
	}
}

func TestASessionCannotBeFixed(t *testing.T) {
	s := startServer(t)
	b := newTab(t)
	const planted = "aaaaaaaa_planted"
	b.run(command(network.SetCookie, network.SetCookieParams{Name: "__Host-strongroom", Value: planted, URL: s.url, Path: "/", Secure: ptr(true)}))
	s.signIn(b, s.psk)
	if got := request(t, "GET", s.url+"/console", "", "", "Cookie", "__Host-strongroom="+planted).StatusCode; got != http.StatusSeeOther {
		t.Errorf("the planted token: %d, want 303", got)
	}
	if got := eval[string](b, `document.cookie`); got != "" {
		t.Errorf("scripts can read the cookie: %s", got)
	}
}

func ptr[T any](value T) *T { return &value }

func TestSignInLeadsNowhereElse(t *testing.T) {
	s := startServer(t)
	for next, want := range map[string]string{
		"":                            "/console",
		"/console/sessions":           "/console/sessions",
		"/console?q=a&owner=user/b":   "/console?q=a&owner=user/b",
		"https://evil.example/":       "/console",
		"//evil.example/console":      "/console",
		"/\\evil.example":             "/console",
		"/console\\@evil.example":     "/console",
		"/console/../../evil":         "/console",
		"/console/%2e%2e/%2e%2e/evil": "/console",
		"/consolevil":                 "/console",
		"javascript:alert(1)":         "/console",
		"/console\nSet-Cookie: a=b":   "/console",
		"/api/secrets":                "/console",
	} {
		form := url.Values{"key": {s.psk}, "next": {next}}.Encode()
		resp := request(t, "POST", s.url+"/console/sign-in", "", form)
		if got := resp.Header.Get("Location"); resp.StatusCode != http.StatusSeeOther || got != want {
			t.Errorf("next %q: %d to %q, want %q", next, resp.StatusCode, got, want)
		}
	}
}

func TestStoredHTMLIsShownAsText(t *testing.T) {
	s := startServer(t)
	const html = `<img src=x onerror=document.title='owned'><script>document.title='owned'</script>"'>&lt;b&gt;{{.}}`
	s.send("POST", "/api/secrets", fmt.Sprintf(`{"name": %q, "value": "long-and-random", "description": %q}`, strings.ReplaceAll(html, "/", ""), html))
	b := newTab(t)
	s.signIn(b, s.session)
	b.waitFor("td", html)
	b.click("tbody a")
	b.waitFor("h1", "onerror")
	b.click(".head a.primary")
	b.waitFor("h1", "Edit")
	if got := eval[string](b, `document.querySelector('#description').value`); got != html {
		t.Errorf("the form has %q, want %q", got, html)
	}
	b.open(s.url + "/console?q=" + url.QueryEscape("<script>"))
	b.waitFor("td", html)
	if n := eval[float64](b, `document.querySelectorAll('main img, main script').length`); n != 0 || strings.Contains(eval[string](b, `document.title`), "owned") {
		t.Errorf("%v elements were made of stored text", n)
	}
}

func TestTheBrowserRefusesAnInlineScript(t *testing.T) {
	s := exampleServer(t)
	b := newTab(t)
	s.signIn(b, s.psk)
	for _, path := range []string{"/console", "/console/new", "/console/sessions", "/console/sign-in", "/docs", "/docs/nx1", "/console/nowhere"} {
		b.open(s.url + path)
		const planted = `new Promise(done => {
			addEventListener('securitypolicyviolation', e => done(e.effectiveDirective));
			const script = document.createElement('script');
			try { script.textContent = "document.title = 'owned'"; } catch { done('trusted types'); }
			document.head.append(script);
			setTimeout(() => done('nothing'), 5000);
		})`
		if got := eval[string](b, planted); got != "script-src-elem" && got != "require-trusted-types-for" && got != "trusted types" {
			t.Errorf("%s: a planted script: %s", path, got)
		}
		if got := eval[string](b, `(() => { try { document.body.innerHTML = '<b>'; return 'made'; } catch (e) { return e.name; } })()`); got != "TypeError" {
			t.Errorf("%s: HTML from a text: %s, want a TypeError", path, got)
		}
		if title := eval[string](b, `document.title`); title == "owned" {
			t.Errorf("%s: the planted script ran", path)
		}
		if got := eval[string](b, `document.referrer`); got != "" {
			t.Errorf("%s: the referrer is %q", path, got)
		}
	}
}

func TestEveryAnswerHasTheHeaders(t *testing.T) {
	s := exampleServer(t)
	for _, tc := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/console", 303},
		{"GET", "/console/sign-in", 200},
		{"POST", "/console/sign-in", 401},
		{"POST", "/console/delete", 303},
		{"PUT", "/console", 404},
		{"GET", "/console/nowhere", 404},
		{"GET", "/console/sign-in/sso", 303},
		{"GET", "/console/sign-in/nowhere", 404},
		{"GET", "/console/signed-in/sso", 401},
		{"GET", "/console/continue", 200},
		{"GET", "/docs", 200},
		{"GET", "/docs/nx1", 200},
		{"GET", "/docs/nowhere", 404},
	} {
		resp := request(t, tc.method, s.url+tc.path, "", "")
		if resp.StatusCode != tc.status {
			t.Errorf("%s %s: %d, want %d", tc.method, tc.path, resp.StatusCode, tc.status)
		}
		for header, want := range map[string]string{
			"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff",
			"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
		} {
			if got := resp.Header.Get(header); got != want {
				t.Errorf("%s %s: %s is %q, want %q", tc.method, tc.path, header, got, want)
			}
		}
		if policy := resp.Header.Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s %s: the policy is %q", tc.method, tc.path, policy)
		}
	}
}

// Other paths need a credential, as they do without a console.
func TestTheConsoleAnswersOnlyItsOwnPaths(t *testing.T) {
	s := startServer(t)
	for _, path := range []string{"/", "/consoles", "/docsx", "/favicon.ico", "/api/app/x"} {
		if got := request(t, "GET", s.url+path, "", "").StatusCode; got != http.StatusUnauthorized {
			t.Errorf("%s: %d, want 401", path, got)
		}
	}
	off := startServer(t, "\nconsole: {}\n", "\n")
	for _, path := range []string{"/console", "/console/sign-in", "/docs"} {
		if got := request(t, "GET", off.url+path, "", "").StatusCode; got != http.StatusUnauthorized {
			t.Errorf("%s without a console in the config: %d, want 401", path, got)
		}
	}
}

func TestAListenerOfItsOwnHasTheConsoleToItself(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	_ = free.Close()
	s := startServer(t, "console: {}", "console: {address: \""+address+"\"}")
	want := func(what, at, path string, status int) {
		t.Helper()
		if got := request(t, "GET", at+path, "", "", "Authorization-PSK", s.psk).StatusCode; got != status {
			t.Errorf("%s, %s: %d, want %d", what, path, got, status)
		}
	}
	own := "http://" + address
	for _, path := range []string{"/console", "/console/sign-in", "/docs"} {
		if got := request(t, "GET", s.url+path, "", "").StatusCode; got != http.StatusUnauthorized {
			t.Errorf("listen.address, %s: %d, want 401", path, got)
		}
	}
	want("console.address", own, "/console/sign-in", 200)
	want("console.address", own, "/docs/nx1", 200)
	for _, at := range []string{own, s.url} {
		want(at, at, "/api/app/"+shop+"/secrets", 200)
		want(at, at, "/openapi/nx1.json", 200)
		want(at, at, "/healthz", 200)
	}
	s.edit("console: {address: \""+address+"\"}", "")
	s.reload()
	for end := time.Now().Add(patience); request(t, "GET", own+"/docs", "", "").StatusCode == 200; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the console is served after it was switched off")
		}
	}
	want("console.address without a console", own, "/api/app/"+shop+"/secrets", 200)
}

// Browsers must neither keep nor fill in values and keys.
func TestNoFieldIsFilledIn(t *testing.T) {
	s := exampleServer(t)
	b := newTab(t)
	b.open(s.url + "/console/sign-in")
	b.wantNoAutofill("sign-in")
	s.signIn(b, s.psk)
	for _, path := range []string{"/console/new?owner=app/" + shop, "/console/new", "/console/edit?owner=app/" + shop + "&name=db", "/console/server", "/console/server/new", "/docs/nx1"} {
		b.open(s.url + path)
		b.wantNoAutofill(path)
	}
}

func (b *tab) wantNoAutofill(page string) {
	b.t.Helper()
	const open = `[...document.querySelectorAll('input:not([type=hidden], [type=checkbox]), textarea')].filter(e => e.autocomplete !== 'off' || (e.name === 'value' && e.spellcheck)).map(e => e.outerHTML).join()`
	if got := eval[string](b, open); got != "" {
		b.t.Errorf("%s: a browser may fill in or send away %s", page, got)
	}
}
