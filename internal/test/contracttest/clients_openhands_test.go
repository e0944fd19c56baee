package contracttest

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// Python's HTTP clients: httpx, used by OpenHands, and urllib, used by its automations.
const (
	httpx = `
Host: HOST
Accept: */*
Accept-Encoding: gzip, deflate
Connection: keep-alive
User-Agent: python-httpx/0.28.1
X-Session-API-Key: KEY`

	httpxBody = `
Content-Length: LENGTH
Content-Type: application/json`

	urllib = `
Accept-Encoding: identity
Host: HOST
User-Agent: Python-urllib/3.13
X-Session-Api-Key: KEY
Connection: close`
)

// An outer server pushes each secret to an inner one, and raises an error unless the status is
// 2xx. It sends names of any shape.
func serverPushes(t *testing.T) {
	s := serve(t)
	for _, name := range []string{"API_KEY", "api-key", "with space", "1", "é"} {
		s.sends(t, s.printed[sessionKey], "POST /api/secrets HTTP/1.1"+httpx+httpxBody+"\n\n"+
			`{"name":"`+name+`","description":"","value":"`+canary+`"}`).wants(201, created)
	}
	// 0.53.0's own server accepts these too, although they cannot be in a path.
	for _, name := range []string{"", ".", "..", "a/b", `a\nb`} {
		s.sends(t, s.printed[sessionKey], "POST /api/secrets HTTP/1.1"+httpx+httpxBody+"\n\n"+
			`{"name":"`+name+`","description":"","value":"`+canary+`"}`).wantsStatus(422)
	}
	// Older versions of httpx write spaces after separators, and null for a missing
	// description.
	s.sends(t, s.printed[sessionKey], "POST /api/secrets HTTP/1.1"+httpx+httpxBody+"\n\n"+
		`{"name": "OLD", "description": null, "value": "`+canary+`"}`).wants(201, created)
}

// When a conversation is resumed the secrets exist already: the client ignores a 400 if its
// message says so.
func serverResumes(t *testing.T) {
	s := serve(t)
	push := "POST /api/secrets HTTP/1.1" + httpx + httpxBody + "\n\n" + `{"name":"API_KEY","description":"d","value":"` + canary + `"}`
	s.sends(t, s.printed[sessionKey], push).wants(201, created)
	a := s.sends(t, s.printed[sessionKey], push).wantsStatus(400)
	var body struct{ Message string }
	if err := json.Unmarshal([]byte(a.body), &body); err != nil || !strings.Contains(body.Message, "already exists") {
		t.Errorf("%s, %v", a.body, err)
	}
}

func workspaceLists(t *testing.T) {
	s := serve(t)
	s.openhands(t, admin).put(settings, `{"name":"A","value":"`+canary+`","description":"d"}`)
	a := s.sends(t, s.printed[sessionKey], "GET /api/settings/secrets HTTP/1.1"+httpx+"\n\n").wantsStatus(200)
	var body struct {
		Secrets []struct{ Name, Description string }
	}
	if err := json.Unmarshal([]byte(a.body), &body); err != nil || fmt.Sprint(body.Secrets) != "[{A d}]" {
		t.Errorf("%s, %v", a.body, err)
	}
}

// It treats 404 as no secret, and retries after a 5xx.
func workspaceReads(t *testing.T) {
	s := serve(t)
	s.openhands(t, admin).put(settings, custom("A"))
	s.sends(t, s.printed[sessionKey], "GET /api/settings/secrets/A HTTP/1.1"+httpx+"\n\n").wantsValue(canary)
	s.sends(t, s.printed[sessionKey], "GET /api/settings/secrets/B HTTP/1.1"+httpx+"\n\n").wants(404, agentserver.absent)
}

func cloudWorkspaceLists(t *testing.T) {
	s := stocked(t)
	key := s.boxKey(t, "box", "MINE")
	a := s.sends(t, key, "GET /api/v1/sandboxes/box/settings/secrets HTTP/1.1"+httpx+"\n\n").wantsStatus(200)
	var body struct {
		Secrets []struct{ Name, Description string }
	}
	if err := json.Unmarshal([]byte(a.body), &body); err != nil || fmt.Sprint(body.Secrets) != "[{MINE }]" {
		t.Errorf("%s, %v", a.body, err)
	}
}

func cloudWorkspaceReads(t *testing.T) {
	s := stocked(t)
	key := s.boxKey(t, "box", "MINE", "MISSING")
	read := func(name string) answer {
		return s.sends(t, key, "GET /api/v1/sandboxes/box/settings/secrets/"+name+" HTTP/1.1"+httpx+"\n\n")
	}
	read("MINE").wantsValue(canary)
	read("MISSING").wants(404, says("Secret not found"))
	read("PAYROLL").wants(404, says("Secret not found"))
	s.administer(t, "agent-key", "revoke", "--yes", "--sandbox", "box")
	read("MINE").wants(401, says("Invalid session API key"))
}

// An agent sends one request per command that names the secret, with only the headers of its
// start request. It follows no redirect, accepts any 2xx, and uses the whole text as the value.
func lookupSecret(t *testing.T) {
	s := serve(t)
	s.openhands(t, admin).put(settings, custom("A"))
	for range 3 {
		a := s.sends(t, s.printed[sessionKey], "GET /api/settings/secrets/A HTTP/1.1"+httpx+"\n\n").wantsValue(canary)
		a.wantsHeader("Content-Length", fmt.Sprint(len(canary))).wantsHeader("Location", "").wantsHeader("Content-Encoding", "")
	}
	key := s.boxKey(t, "box", "A")
	s.sends(t, key, "GET /api/v1/sandboxes/box/settings/secrets/A HTTP/1.1"+httpx+"\n\n").wantsValue(canary)
	s.sends(t, key, "GET /api/settings/secrets/A HTTP/1.1"+httpx+"\n\n").wantsValue(canary)
	s.sends(t, canary, "GET /api/settings/secrets/A HTTP/1.1"+httpx+"\n\n").wants(401, agentserver.badKey)
	s.sends(t, keyOf("lister", sessionKey), "GET /api/settings/secrets/A HTTP/1.1"+httpx+"\n\n").wants(403, agentserver.forbidden)
}

// The 2026 web page, of the agent server's own origin or of another: fetch, with a key.
const canvas = `
Host: HOST
Connection: keep-alive
Accept: application/json
User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36
Origin: https://canvas.example
Sec-Fetch-Site: cross-site
Sec-Fetch-Mode: cors
Sec-Fetch-Dest: empty
Accept-Encoding: gzip, deflate, br, zstd`

const (
	canvasLocal = canvas + "\nX-Session-API-Key: KEY"
	canvasCloud = canvas + "\nAuthorization: Bearer KEY"
	canvasBody  = "\nContent-Type: application/json\nContent-Length: LENGTH"
)

func canvasServer(t *testing.T) *server {
	return serve(t, set("auth: [session-key]", "auth: [session-key], origins: ['https://canvas.example']"))
}

// The client retries every call up to three times, so the second and third call must not change
// anything.
func (s *server) thrice(t *testing.T, text string) answer {
	t.Helper()
	var a answer
	for range 3 {
		a = s.sends(t, s.printed[sessionKey], text).wantsHeader("Access-Control-Allow-Origin", "https://canvas.example")
	}
	return a
}

func canvasLocally(t *testing.T) {
	s := canvasServer(t)
	s.sends(t, "", "OPTIONS /api/settings/secrets/A HTTP/1.1"+canvas+
		"\nAccess-Control-Request-Method: DELETE\nAccess-Control-Request-Headers: content-type,x-session-api-key\n\n").
		wantsStatus(204).wantsHeader("Access-Control-Allow-Headers", "content-type,x-session-api-key")
	s.thrice(t, "GET /api/settings/secrets HTTP/1.1"+canvasLocal+"\n\n").wants(200, entries())
	s.thrice(t, "PUT /api/settings/secrets HTTP/1.1"+canvasLocal+canvasBody+"\n\n"+`{"name":"A","value":"`+canary+`","description":"d"}`).wants(200, entry("A", "d"))
	s.thrice(t, "GET /api/settings/secrets/A HTTP/1.1"+canvasLocal+"\n\n").wantsValue(canary)
	s.thrice(t, "GET /api/settings/secrets HTTP/1.1"+canvasLocal+"\n\n").wants(200, entries(entry("A", "d")))
	s.thrice(t, "PUT /api/settings/secrets HTTP/1.1"+canvasLocal+canvasBody+"\n\n"+`{"name":"a-b","value":"v"}`).wantsStatus(422)
	remove := "DELETE /api/settings/secrets/A HTTP/1.1" + canvasLocal + "\n\n"
	s.sends(t, s.printed[sessionKey], remove).wants(200, goneThere)
	s.thrice(t, remove).wants(404, agentserver.absent)
}

// It reads the value, puts it under the new name, and deletes the old one. An older client parses
// by content type; a value that is JSON must survive that.
func canvasRenames(t *testing.T) {
	s := canvasServer(t)
	value := `{"a": [1, "` + canary + `"]}`
	s.openhands(t, admin).put(settings, `{"name":"OLD","value":`+quoted(value)+`,"description":"d"}`)
	read := s.sends(t, s.printed[sessionKey], "GET /api/settings/secrets/OLD HTTP/1.1"+canvasLocal+"\n\n").wantsValue(value)
	s.sends(t, s.printed[sessionKey], "PUT /api/settings/secrets HTTP/1.1"+canvasLocal+canvasBody+"\n\n"+
		`{"name":"NEW","value":`+quoted(read.body)+`,"description":"d"}`).wants(200, entry("NEW", "d"))
	s.sends(t, s.printed[sessionKey], "DELETE /api/settings/secrets/OLD HTTP/1.1"+canvasLocal+"\n\n").wants(200, goneThere)
	s.sends(t, s.printed[sessionKey], "GET /api/settings/secrets/NEW HTTP/1.1"+canvasLocal+"\n\n").wantsValue(value)
	s.openhands(t, admin).get(settings).wants(200, entries(entry("NEW", "d")))
}

func canvasSearches(t *testing.T) {
	s := canvasServer(t)
	var want []string
	for i := range 102 {
		name := fmt.Sprintf("S%03d", i)
		s.openhands(t, admin).post(v1, custom(name)).wants(201, saved)
		want = append(want, entry(name, ""))
	}
	s.thrice(t, "GET /api/v1/secrets/search?limit=100 HTTP/1.1"+canvasCloud+"\n\n").wants(200, page("S099", want[:100]...))
	s.thrice(t, "GET /api/v1/secrets/search?limit=100&page_id=S099 HTTP/1.1"+canvasCloud+"\n\n").wants(200, page("null", want[100:]...))
}

func canvasSaves(t *testing.T) {
	s := canvasServer(t)
	s.thrice(t, "POST /api/v1/secrets HTTP/1.1"+canvasCloud+canvasBody+"\n\n"+`{"name":"A","value":"`+canary+`","description":"d"}`).wants(201, saved)
	s.sends(t, s.printed[sessionKey], "PUT /api/v1/secrets/A HTTP/1.1"+canvasCloud+canvasBody+"\n\n"+`{"name":"B","description":"e"}`).wants(200, updated)
	s.thrice(t, "PUT /api/v1/secrets/A HTTP/1.1"+canvasCloud+canvasBody+"\n\n"+`{"name":"B","description":"e"}`).wants(404, missingV1("A"))
	s.openhands(t, admin).get(search).wants(200, page("null", entry("B", "e")))
	s.sends(t, s.printed[sessionKey], "DELETE /api/v1/secrets/B HTTP/1.1"+canvasCloud+"\n\n").wants(200, deleted)
	s.thrice(t, "DELETE /api/v1/secrets/B HTTP/1.1"+canvasCloud+"\n\n").wants(404, missingV1("B"))
}

// Saving first changes name and description, then the value.
func canvasSavesInTwoSteps(t *testing.T) {
	s := canvasServer(t)
	s.openhands(t, admin).post(v1, `{"name":"OLD","value":"old","description":"d"}`).wants(201, saved)
	s.sends(t, s.printed[sessionKey], "PUT /api/v1/secrets/OLD HTTP/1.1"+canvasCloud+canvasBody+"\n\n"+`{"name":"NEW","description":"new"}`).wants(200, updated)
	s.thrice(t, "POST /api/v1/secrets HTTP/1.1"+canvasCloud+canvasBody+"\n\n"+custom("NEW")).wants(201, saved)
	s.openhands(t, admin).get(search).wants(200, page("null", entry("NEW", "new")))
	s.openhands(t, admin).get(settings + "/NEW").wantsValue(canary)
}

func automationReads(t *testing.T) {
	s := serve(t)
	s.openhands(t, admin).put(settings, custom("A"))
	s.sends(t, s.printed[sessionKey], "GET /api/settings/secrets HTTP/1.1"+urllib+"\n\n").wants(200, entries(bare("A")))
	s.sends(t, s.printed[sessionKey], "GET /api/settings/secrets/A HTTP/1.1"+urllib+"\n\n").wantsValue(canary)
	s.sends(t, s.printed[sessionKey], "GET /api/settings/secrets/B HTTP/1.1"+urllib+"\n\n").wants(404, agentserver.absent)
}

func generatedForV1(t *testing.T) {
	s := serve(t)
	key := s.printed[sessionKey]
	headers := strings.Replace(httpx, sessionKey, "X-Access-Token", 1)
	s.sends(t, key, "POST /api/v1/secrets HTTP/1.1"+headers+httpxBody+"\n\n"+`{"name":"A","description":null,"value":"`+canary+`"}`).wants(201, saved)
	s.sends(t, key, "GET /api/v1/secrets/search?name__contains=a HTTP/1.1"+headers+"\n\n").wants(200, page("null", entry("A", "")))
	s.sends(t, key, "PUT /api/v1/secrets/A HTTP/1.1"+headers+httpxBody+"\n\n"+`{"name":"B"}`).wants(200, updated)
	s.sends(t, key, "DELETE /api/v1/secrets/B HTTP/1.1"+headers+"\n\n").wants(200, deleted)
	s.sends(t, key+"x", "DELETE /api/v1/secrets/B HTTP/1.1"+headers+"\n\n").wants(401, openhandsv1.badKey)
}
