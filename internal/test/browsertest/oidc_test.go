package browsertest

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// An issuer is the real OpenID provider of test/oidctest, in a separate process.
type issuer struct {
	t    *testing.T
	url  string
	stop func()
}

func startIssuer(t *testing.T) *issuer {
	t.Helper()
	i := runIssuer(t)
	t.Cleanup(i.stop)
	return i
}

func runIssuer(t *testing.T) *issuer {
	t.Helper()
	path, err := provider()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path)
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	stdin, inErr := cmd.StdinPipe()
	stdout, outErr := cmd.StdoutPipe()
	if inErr != nil || outErr != nil || cmd.Start() != nil {
		t.Fatal("the provider does not start", inErr, outErr)
	}
	stop := func() {
		_ = stdin.Close()
		_ = cmd.Wait() // a second time it is an error
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("the provider does not say where it is: %v", err)
	}
	return &issuer{t, strings.TrimSpace(line), stop}
}

// tell changes the provider's clients, users or keys.
func (i *issuer) tell(what string, form url.Values) {
	i.t.Helper()
	at, _, _ := strings.Cut(i.url, "/realms")
	resp, err := http.PostForm(at+"/"+what, form)
	if err != nil {
		i.t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK {
		i.t.Fatalf("%s: %s %s", what, resp.Status, text)
	}
}

// startWithIssuer starts a server whose people sign in at the issuer, by the public client
// console, and by the confidential client brief, whose access tokens end after 5 seconds
// (with the 30 seconds by which clocks may differ).
func startWithIssuer(t *testing.T, edits ...string) (*server, *issuer) {
	t.Helper()
	i := startIssuer(t)
	s := newServer(t, append(withIssuer(i), edits...)...)
	t.Cleanup(func() { _ = os.RemoveAll(filepath.Dir(s.config)) })
	s.write("keys/brief.secret", "brief-secret\n")
	s.serve()
	i.tell("register", url.Values{"id": {"console"}, "redirect": {s.site() + "/console/signed-in/sso"}})
	i.tell("register", url.Values{"id": {"brief"}, "redirect": {s.site() + "/console/signed-in/brief"}, "secret": {"brief-secret"}, "lifespan": {"-25s"}})
	return s, i
}

// withIssuer returns the edits of a config for the issuer's people.
func withIssuer(i *issuer) []string {
	return []string{"\nauth:\n", fmt.Sprintf(`
auth:
  sso:
    oidc:
      issuer: %[1]s
      audience: strongroom
      roles:
        nx1_app_manager: [{actions: [list, create, write, delete, reveal, admin], owner: app/*}]
        offline_access: [{actions: [list, create, write, delete], owner: self}]
  brief:
    oidc:
      issuer: %[1]s
      audience: strongroom
      roles:
        nx1_app_manager: [{actions: [list, create, write, delete, reveal, admin], owner: app/*}]
`, i.url), "console: {}", `console:
  oidc:
    sso: {client_id: console, scopes: [offline_access], label: Sign in with Example}
    brief: {client_id: brief, client_secret_file: keys/brief.secret, scopes: [offline_access]}`}
}

// site is the server's address as another site than the issuer, which is 127.0.0.1.
func (s *server) site() string { return strings.Replace(s.url, "127.0.0.1", "localhost", 1) }

// signInAs signs in at the issuer, from its form as a person would.
func (s *server) signInAs(b *tab, label, user string) {
	s.t.Helper()
	b.waitFor("h1", "Sign in")
	b.run(chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`[...document.querySelectorAll('main a')].find(a => a.textContent.includes(%q)).click()`, label)))
	b.waitFor("h1", "Who are you?")
	b.click("button[value=" + user + "]")
}

func TestPeopleSignInAtAnIssuer(t *testing.T) {
	s, _ := startWithIssuer(t)
	s.store(shop, "db", "PASSWORD", canary)
	b := newTab(t)
	b.open(s.site() + "/console/secret?owner=app/" + shop + "&name=db")
	s.signInAs(b, "Example", "alice")
	b.waitFor("h1", "db") // the page that was wanted, with the cookie of SameSite=Strict
	b.waitFor(".menu", "id-of-alice")
	for _, e := range get(b, chromedp.NavigationEntries()).Entries {
		if strings.Contains(e.URL, "/signed-in/") || strings.Contains(e.URL, "code=") && strings.Contains(e.URL, "localhost") {
			t.Errorf("the history has the answer of the issuer: %s", e.URL)
		}
	}
	if got := eval[string](b, `document.cookie`); got != "" {
		t.Errorf("scripts can read a cookie: %s", got)
	}
	b.click("[data-reveal] button:not([data-copy])")
	b.waitFor("output", canary)
	b.open(s.site() + "/console/audit?action=reveal")
	b.waitFor("#entries", "id-of-alice")
	b.open(s.site() + "/console/sessions")
	b.waitFor("tbody", "this one")

	other := newTab(t)
	other.open(s.site() + "/console")
	s.signInAs(other, "Example", "bob")
	other.waitFor("h1", "Secrets")
	other.open(s.site() + "/console/secret?owner=app/" + shop + "&name=db")
	other.waitFor("main", "You are not allowed to do that")

	refused := newTab(t)
	refused.open(s.site() + "/console")
	s.signInAs(refused, "Example", "nobody")
	refused.waitFor(".problem", "did not work")
	b.open(s.site() + "/console")
	b.click(".menu summary")
	b.click(".pop form:last-child button")
	b.waitFor("h1", "Sign in")
	for line := range strings.Lines(s.said()) {
		if strings.Contains(line, "eyJ") || strings.Contains(line, "code=") || strings.Contains(line, "state=") {
			t.Errorf("the log has a part of a sign-in: %s", line)
		}
	}
}

// With tokens that live for seconds, each of these would otherwise take five minutes.
func TestASessionFollowsTheRolesAtTheIssuer(t *testing.T) {
	s, i := startWithIssuer(t)
	s.store(shop, "db", "PASSWORD", "long-and-random")
	b := newTab(t)
	b.open(s.site() + "/console")
	s.signInAs(b, "brief", "alice")
	b.waitFor("h1", "Secrets")
	page := s.site() + "/console/secret?owner=app/" + shop + "&name=db"
	opens := func(what, selector, text string) {
		t.Helper()
		for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(500 * time.Millisecond) {
			b.open(page)
			if strings.Contains(eval[string](b, `document.querySelector('`+selector+`')?.textContent ?? ''`), text) {
				return
			}
		}
		t.Fatalf("%s: no %s has %q\n%s", what, selector, text, b.html())
	}
	opens("with the role", "h1", "db")
	i.tell("roles", url.Values{"user": {"alice"}, "role": {"other"}})
	opens("without the role", "main", "You are not allowed")
	i.tell("roles", url.Values{"user": {"alice"}, "role": {"nx1_app_manager"}})
	opens("with the role again", "h1", "db")
	i.tell("roles", url.Values{"user": {"alice"}}) // she is removed
	opens("without the account", "h1", "Sign in")
	if got := s.send("GET", "/api/app/"+shop+"/secrets", ""); !strings.Contains(got, "db") {
		t.Errorf("the API: %s", got)
	}
}

func TestASessionOutlivesAnIssuerThatIsAway(t *testing.T) {
	s, i := startWithIssuer(t)
	b, other := newTab(t), newTab(t)
	b.open(s.site() + "/console")
	s.signInAs(b, "brief", "alice")
	b.waitFor("h1", "Secrets")
	i.stop()
	for end := time.Now().Add(patience); !strings.Contains(b.html(), "identity provider cannot be reached"); time.Sleep(500 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("long after the end of the access token: %s", b.html())
		}
		b.open(s.site() + "/console")
	}
	s.signIn(other, s.psk)
	other.open(s.url + "/console/sessions")
	other.waitFor("tbody", "id-of-alice")
}

func TestASessionEndsWithItsStrategy(t *testing.T) {
	s, _ := startWithIssuer(t)
	b := newTab(t)
	b.open(s.site() + "/console")
	s.signInAs(b, "Example", "alice")
	b.waitFor("h1", "Secrets")
	s.edit("    sso: {client_id", "    # sso: {client_id")
	s.reload()
	for end := time.Now().Add(patience); !strings.Contains(b.html(), "<h1>Sign in"); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the session works without its strategy")
		}
		b.open(s.site() + "/console")
	}
	if strings.Contains(b.html(), "Example") {
		t.Error("the page still offers the issuer")
	}
}

// An answer has the parameters with which the issuer redirects a browser back.
type answer struct {
	cookie string // of the browser that asked
	back   *url.URL
}

// with returns the answer with other parameters; an empty value removes the parameter.
func (a answer) with(pairs ...string) answer {
	u := *a.back
	query := u.Query()
	for i := 0; i < len(pairs); i += 2 {
		if query.Set(pairs[i], pairs[i+1]); pairs[i+1] == "" {
			query.Del(pairs[i])
		}
	}
	u.RawQuery = query.Encode()
	return answer{a.cookie, &u}
}

// ask starts a sign-in without a browser, and returns its cookie and the issuer's address.
func (s *server) ask(strategy, next string) (cookie string, to *url.URL) {
	s.t.Helper()
	resp := request(s.t, "GET", s.site()+"/console/sign-in/"+strategy+"?next="+url.QueryEscape(next), "", "")
	to, err := resp.Location()
	if err != nil || len(resp.Cookies()) != 1 {
		s.t.Fatalf("%s: %v", resp.Status, err)
	}
	return resp.Cookies()[0].Value, to
}

// answerTo signs alice in at the issuer's address with other parameters.
func (s *server) answerTo(cookie string, to *url.URL, pairs ...string) answer {
	s.t.Helper()
	at := answer{back: to}.with(append(pairs, "login", "alice")...).back
	resp := request(s.t, "GET", at.String(), "", "")
	back, err := resp.Location()
	if err != nil || back.Query().Get("code") == "" {
		s.t.Fatalf("the issuer: %s, %v", resp.Status, back)
	}
	return answer{cookie, back}
}

// come comes back with the answer, and returns the response and whether it has a session.
func (s *server) come(a answer) (resp *http.Response, signedIn bool) {
	s.t.Helper()
	headers := []string{}
	if a.cookie != "" {
		headers = []string{"Cookie", "__Host-strongroom-sign-in=" + a.cookie}
	}
	resp = request(s.t, "GET", a.back.String(), "", "", headers...)
	for _, c := range resp.Cookies() {
		signedIn = signedIn || c.Name == "__Host-strongroom"
	}
	return resp, signedIn
}

func TestAnswersThatDoNotBelongToTheBrowserAreRefused(t *testing.T) {
	s, _ := startWithIssuer(t)
	cookie, to := s.ask("sso", "/console/sessions")
	good := s.answerTo(cookie, to)
	victim, victimTo := s.ask("sso", "")
	stolen := s.answerTo(s.ask("sso", ""))
	brief, briefTo := s.ask("brief", "")
	otherPath := s.answerTo(brief, briefTo)
	otherPath.back.Path = "/console/signed-in/sso"
	fresh := func(pairs ...string) answer { // because an attempt takes one answer
		c, at := s.ask("sso", "")
		return s.answerTo(c, at, pairs...)
	}
	for name, a := range map[string]answer{
		"no state":                              good.with("state", ""),
		"another state":                         good.with("state", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
		"the state of another sign-in":          good.with("state", victimTo.Query().Get("state")),
		"no cookie (login CSRF)":                {"", good.back},
		"the cookie of another browser":         {victim, good.back},
		"a changed cookie":                      {cookie[:len(cookie)-2] + "AA", good.back},
		"the code of another browser":           {victim, stolen.with("state", victimTo.Query().Get("state")).back},
		"the answer for another strategy":       otherPath,
		"the name of another issuer":            good.with("iss", "https://evil.example"),
		"a code that was never issued":          fresh().with("code", "ory_ac_wrong.wrong"),
		"no code":                               fresh().with("code", ""),
		"an error with markup":                  fresh().with("code", "", "error", "<script>alert(1)</script>"),
		"tokens without a nonce":                fresh("nonce", ""),
		"tokens with the nonce of another time": fresh("nonce", to.Query().Get("nonce")),
	} {
		resp, signedIn := s.come(a)
		body, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != http.StatusUnauthorized || signedIn || strings.Contains(string(body), "<script>alert") {
			t.Errorf("%s: %s, signed in: %t", name, resp.Status, signedIn)
		}
	}
	resp, signedIn := s.come(good)
	if to := resp.Header.Get("Location"); !signedIn || to != "/console/continue?next=%2Fconsole%2Fsessions" {
		t.Errorf("the right answer: %s to %s, signed in: %t", resp.Status, to, signedIn)
	}
	if resp, signedIn := s.come(good); signedIn || resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("the same answer again: %s", resp.Status)
	}
}

func TestSignInAtAnIssuerLeadsNowhereElse(t *testing.T) {
	s, _ := startWithIssuer(t)
	for next, want := range map[string]string{
		"/console?q=a&owner=user/b": "/console?q=a&amp;owner=user/b", "https://evil.example/": "/console", "//evil.example": "/console", "/\\evil.example": "/console",
		"javascript:alert(1)": "/console", "/console/../evil": "/console", "/console;url=https://evil.example": "/console", "/console/a;url=https://evil.example": "/console/a;url=https://evil.example",
		"/console?q=" + strings.Repeat("a", 5000): "/console",
	} {
		cookie, to := s.ask("sso", next)
		resp, signedIn := s.come(s.answerTo(cookie, to))
		if !signedIn || !strings.HasPrefix(resp.Header.Get("Location"), "/console/continue?next=%2Fconsole") {
			t.Errorf("%.40s: %s to %.80s", next, resp.Status, resp.Header.Get("Location"))
		}
		page := request(t, "GET", s.url+"/console/continue?next="+url.QueryEscape(next), "", "")
		body, _ := io.ReadAll(page.Body)
		if strings.Count(string(body), "http-equiv") != 1 || len(next) < 1000 && !strings.Contains(string(body), `content="0;url=`+want+`"`) {
			t.Errorf("%.40s: the page goes on to %s", next, body)
		}
	}
}

func TestFailuresToSignInAtAnIssuerAreCounted(t *testing.T) {
	s, _ := startWithIssuer(t, "\nstores:", "\nlimits: {failures: {per_second: 0.01, burst: 3}}\nstores:")
	statuses := ""
	for range 5 {
		resp := request(t, "GET", s.site()+"/console/signed-in/sso?code=a&state=b", "", "")
		statuses += fmt.Sprint(resp.StatusCode, " ")
	}
	if statuses != "401 401 401 429 429 " {
		t.Errorf("got %s", statuses)
	}
}
