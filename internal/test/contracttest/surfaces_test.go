package contracttest

import "testing"

// A disabled API's paths are unknown paths, and it has no document.
func TestSurfacesCanBeDisabled(t *testing.T) {
	s := serve(t, set("names: any", "names: any, agent_server: {disabled: true}, sandboxes: {disabled: true}"),
		set("v1: {auth: [session-key, access-token, bearer]}", "v1: {disabled: true}"))
	c := s.openhands(t, admin)
	c.post("/api/secrets", custom("MINE")).wants(201, created)
	for _, path := range []string{settings, settings + "/MINE", search, v1, box, box + "/MINE"} {
		// This bypasses the witness, because the documents have these paths.
		c.exchange(c.write("GET", path, ""), "GET").wants(404, openhands.lost)
		stranger := s.stranger(t)
		stranger.exchange(stranger.write("GET", path, ""), "GET").wants(401, openhands.noKey)
	}
	for _, name := range []string{"agentserver", "openhandsv1", "sandbox"} {
		if a, body := get(t, "GET", "http://"+s.address+"/openapi/"+name+".json"); a.StatusCode != 401 {
			t.Errorf("%s: %d %s", name, a.StatusCode, brief(string(body)))
		}
	}
	c.get("/api/secrets").wants(200, list("MINE"))
}

// Each API can have its own strategies.
func TestSurfacesCanHaveTheirOwnStrategies(t *testing.T) {
	s := serve(t, set("names: any", "names: any, agent_server: {auth: [access-token]}"))
	key := s.printed[sessionKey]
	for header, want := range map[string][3]int{ // of /api/secrets, the agent server and V1
		sessionKey: {200, 401, 200}, "X-Access-Token": {401, 200, 200},
	} {
		for i, path := range []string{"/api/secrets", settings, search} {
			s.stranger(t).with(header, key).raw("GET", path, "").wantsStatus(want[i])
		}
	}
}
