package contracttest

import "testing"

// box is the path of a sandbox's secrets.
const box = "/api/v1/sandboxes/box/settings/secrets"

func TestASandboxIsForKeysThatWereMadeForIt(t *testing.T) {
	s := serve(t)
	s.undisturbed(t, func() {
		for _, who := range []string{admin, "lister", "nobody"} {
			s.openhands(t, who).get(box).wants(403, says("Session API key does not match sandbox"))
			s.openhands(t, who).get(box+"/MINE").wants(403, says("Session API key does not match sandbox"))
		}
		s.openhands(t, admin).raw("HEAD", box+"/MINE", "").wants(405, "")
		s.openhands(t, admin).raw("PUT", box+"/MINE", "").wants(405, sandbox.notSo).wantsHeader("Allow", "OPTIONS, GET")
		s.openhands(t, admin).get(box+"/a/b").wants(404, sandbox.lost)
	})
}

// boxKey returns a key for some secrets of the default user in a sandbox.
func (s *server) boxKey(t *testing.T, sandbox string, names ...string) string {
	t.Helper()
	return s.administer(t, append([]string{"agent-key", "create", "--sandbox", sandbox, "user/default"}, names...)...)
}

func TestASandboxReadsWhatItsKeyWasMadeFor(t *testing.T) {
	s := stocked(t)
	s.openhands(t, admin).post("/api/secrets", `{"name":"EMPTY","value":""}`).wants(201, created)
	key := s.boxKey(t, "box", "MINE", "MISSING", "EMPTY")
	c := s.stranger(t).with(sessionKey, key)
	s.stranger(t).with(sessionKey, "").get(box).wants(401, sandbox.noKey)
	c.get(box+"/EMPTY").wants(404, says("Secret has no value"))
	c.get(box).wants(200, entries(entry("EMPTY", ""), entry("MINE", "")))
	tag := c.get(box + "/MINE").wantsValue(canary).etag()
	c.with("If-None-Match", tag).get(box + "/MINE").wantsValue(canary)
	c.get(box+"/MISSING").wants(404, sandbox.absent)
	c.get(box+"/PAYROLL").wants(404, sandbox.absent)
	for _, path := range []string{"/api/v1/sandboxes/other/settings/secrets", "/api/v1/sandboxes/BOX/settings/secrets/MINE"} {
		c.get(path).wants(403, says("Session API key does not match sandbox"))
	}
	// On the user's other routes it has the same rights.
	c.get(settings + "/MINE").wantsValue(canary)
	c.get(settings+"/PAYROLL").wants(404, agentserver.absent)
	c.get("/api/secrets").wants(200, list("EMPTY", "MINE"))
	c.put("/api/secrets/MINE", `{"name":"MINE"}`).wants(403, openhands.forbidden)

	s.administer(t, "agent-key", "revoke", "--yes", "--sandbox", "box")
	c.get(box).wants(401, says("Invalid session API key"))
	c.get(box+"/MINE").wants(401, says("Invalid session API key"))
}
