package contracttest

import (
	"encoding/json"
	"strings"
	"testing"
)

// The page of OpenHands 0.53.0 is served from this machine, sends no key, and uses axios: its
// bodies are those of JSON.stringify, and its calls come from the page's own origin.
const pageHeaders = `
Host: HOST
Connection: keep-alive
Accept: application/json, text/plain, */*
User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36
Sec-Fetch-Site: same-origin
Sec-Fetch-Mode: cors
Sec-Fetch-Dest: empty
Referer: http://HOST/settings/secrets
Accept-Encoding: gzip, deflate, br, zstd
Accept-Language: en-US,en;q=0.9`

const pageBody = `
Content-Type: application/json
Content-Length: LENGTH
Origin: http://HOST`

// pageServer returns a server that the page can use without a key.
func pageServer(t *testing.T) *server {
	return serve(t, set("auth:\n", "auth:\n  here: {anonymous: {}}\n"), set("auth: [session-key]", "auth: [session-key, here]"))
}

// wantsToast checks the text that the page shows for an error, from error or message.
func (a answer) wantsToast(status int, want string) {
	a.t.Helper()
	var body struct{ Error, Message *string }
	if err := json.Unmarshal([]byte(a.body), &body); err != nil {
		a.t.Errorf("%s: %v", a.call, err)
	}
	shown := body.Error
	if shown == nil {
		shown = body.Message
	}
	if a.status != status || shown == nil || *shown != want {
		a.t.Errorf("%s: %d %s, want %d and %q to be shown", a.call, a.status, a.body, status, want)
	}
}

func pageLists(t *testing.T) {
	s := pageServer(t)
	list := func() (names []string) {
		a := s.sends(t, "", "GET /api/secrets HTTP/1.1"+pageHeaders+"\n\n").wantsStatus(200)
		var data struct {
			CustomSecrets *[]struct {
				Name        string
				Description *string
			} `json:"custom_secrets"`
		}
		if err := json.Unmarshal([]byte(a.body), &data); err != nil || data.CustomSecrets == nil {
			t.Fatalf("%s: it has no custom_secrets: %v", a.body, err)
		}
		for _, item := range *data.CustomSecrets {
			names = append(names, item.Name)
		}
		return names
	}
	if got := list(); len(got) != 0 {
		t.Errorf("at first there is %q", got)
	}
	s.openhands(t, admin).post("/api/secrets", custom("A"))
	if got := list(); len(got) != 1 || got[0] != "A" {
		t.Errorf("got %q, want A", got)
	}
}

func pageCreates(t *testing.T) {
	s := pageServer(t)
	create := "POST /api/secrets HTTP/1.1" + pageHeaders + pageBody + "\n\n" + `{"name":"API_KEY","value":"` + canary + `","description":"prod"}`
	s.sends(t, "", create).wants(201, created)
	s.sends(t, "", create).wantsToast(400, "Secret API_KEY already exists")
	// It omits an empty description.
	s.sends(t, "", "POST /api/secrets HTTP/1.1"+pageHeaders+pageBody+"\n\n"+custom("OTHER")).wants(201, created)
	s.openhands(t, admin).get("/api/secrets").wants(200, `{"custom_secrets":[{"name":"API_KEY","description":"prod"},{"name":"OTHER","description":""}]}`)
}

func pageUpdates(t *testing.T) {
	s := pageServer(t)
	s.openhands(t, admin).post("/api/secrets", `{"name":"A-1","value":"`+canary+`","description":"old"}`)
	s.openhands(t, admin).post("/api/secrets", custom("TAKEN"))
	put := func(id, body string) answer {
		return s.sends(t, "", "PUT /api/secrets/"+id+" HTTP/1.1"+pageHeaders+pageBody+"\n\n"+body)
	}
	put("A-1", `{"name":"A-1"}`).wants(200, updated) // clears the description
	put("A-1", `{"name":"TAKEN"}`).wantsToast(400, "Secret TAKEN already exists")
	put("NONE", `{"name":"B"}`).wantsToast(404, "Secret with ID NONE not found")
	put("A-1", `{"name":"NEW","description":"new"}`).wants(200, updated)
	s.openhands(t, admin).get("/api/secrets").wants(200, `{"custom_secrets":[{"name":"NEW","description":"new"},{"name":"TAKEN","description":""}]}`)
}

func pageDeletes(t *testing.T) {
	s := pageServer(t)
	s.openhands(t, admin).post("/api/secrets", custom("A"))
	remove := "DELETE /api/secrets/A HTTP/1.1" + pageHeaders + "\nOrigin: http://HOST\n\n"
	s.sends(t, "", remove).wants(200, deleted)
	s.sends(t, "", remove).wantsToast(404, "Secret with ID A not found")
}

// The proxy forwards the page's requests and adds the key and forwarding headers.
func pageBehindAProxy(t *testing.T) {
	s := serve(t)
	headers := strings.Replace(pageHeaders, "Host: HOST", "Host: openhands.example\nX-Forwarded-For: 192.0.2.7\nX-Forwarded-Proto: https\nX-Session-API-Key: KEY", 1)
	body := strings.Replace(pageBody, "http://HOST", "https://openhands.example", 1)
	key := s.printed[sessionKey]
	s.sends(t, key, "POST /api/secrets HTTP/1.1"+headers+body+"\n\n"+custom("A")).wants(201, created)
	s.sends(t, key, "PUT /api/secrets/A HTTP/1.1"+headers+body+"\n\n"+`{"name":"B"}`).wants(200, updated)
	s.sends(t, key, "GET /api/secrets HTTP/1.1"+headers+"\n\n").wants(200, list("B"))
	s.sends(t, key, "DELETE /api/secrets/B HTTP/1.1"+headers+"\n\n").wants(200, deleted)
	// A request that bypasses the proxy gets a 401 and nothing else.
	s.sends(t, "", "GET /api/secrets HTTP/1.1"+strings.Replace(headers, "\nX-Session-API-Key: KEY", "", 1)+"\n\n").wants(401, openhands.noKey)
}

// If the page comes from another port, such as its development server, the browser sends a
// preflight without a credential, and needs a header that lets the page read the answer.
func pageFromAnotherOrigin(t *testing.T) {
	const origin = "http://localhost:3001"
	s := serve(t, set("auth:\n", "auth:\n  here: {anonymous: {}}\n"),
		set("auth: [session-key]", "auth: [session-key, here], origins: ['"+origin+"']"))
	headers := strings.NewReplacer("same-origin", "same-site", "http://HOST/settings", origin+"/settings").Replace(pageHeaders) + "\nOrigin: " + origin
	for _, path := range []string{"/api/secrets", "/api/secrets/A", settings, settings + "/A", v1, search, "/api/nothing"} {
		s.sends(t, "", "OPTIONS "+path+" HTTP/1.1"+headers+"\nAccess-Control-Request-Method: PUT\nAccess-Control-Request-Headers: content-type\n\n").
			wantsStatus(204).
			wantsHeader("Access-Control-Allow-Origin", origin).
			wantsHeader("Access-Control-Allow-Methods", "GET, POST, PUT, DELETE").
			wantsHeader("Access-Control-Allow-Headers", "content-type")
	}
	body := "\nContent-Type: application/json\nContent-Length: LENGTH\n\n"
	s.sends(t, "", "POST /api/secrets HTTP/1.1"+headers+body+custom("A")).wants(201, created).wantsHeader("Access-Control-Allow-Origin", origin)
	s.sends(t, "", "PUT /api/secrets/A HTTP/1.1"+headers+body+`{"name":"B"}`).wants(200, updated).wantsHeader("Access-Control-Allow-Origin", origin)
	s.sends(t, "", "GET /api/secrets HTTP/1.1"+headers+"\n\n").wants(200, list("B")).wantsHeader("Access-Control-Allow-Origin", origin)
	s.sends(t, "", "DELETE /api/secrets/NONE HTTP/1.1"+headers+"\n\n").wants(404, noSecret("NONE")).wantsHeader("Access-Control-Allow-Origin", origin)
	// Origins that are not in the config are refused, anonymous or not.
	other := strings.ReplaceAll(headers, origin, "https://evil.example")
	s.sends(t, "", "OPTIONS /api/secrets HTTP/1.1"+other+"\nAccess-Control-Request-Method: PUT\n\n").
		wantsStatus(403).wantsHeader("Access-Control-Allow-Origin", "")
	s.sends(t, "", "GET /api/secrets HTTP/1.1"+other+"\n\n").wants(403, openhands.forbidden).wantsHeader("Access-Control-Allow-Origin", "")
}
