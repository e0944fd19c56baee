package contracttest

import "testing"

// box are the routes of a sandbox.
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
