package contracttest

import "testing"

// undisturbed checks that a function changes no secret on a server, in particular not
// MINE, which each API has.
func (s *server) undisturbed(t *testing.T, by func()) {
	t.Helper()
	custom := s.openhands(t, admin)
	tag := custom.post("/api/secrets", openhands.draft("MINE")).wants(201, created).etag()
	s.nx1(t, admin).post(secrets, nx1.draft("MINE")).wantsStatus(200)
	before := s.snapshot(t)
	by()
	if after := s.snapshot(t); after != before {
		t.Errorf("after all that there is\n%s\nand before there was\n%s", after, before)
	}
	custom.with("If-Match", tag).put(openhands.path, openhands.update).wants(200, updated)
}

// snapshot returns everything visible of the default user's and the shop's secrets.
func (s *server) snapshot(t *testing.T) string {
	t.Helper()
	text := s.openhands(t, admin).get("/api/secrets").wantsStatus(200).body
	for _, path := range []string{secrets, secrets + "/MINE", secrets + "/MINE/reveal"} {
		a := s.nx1(t, admin).get(path).wantsStatus(200)
		text += "\n" + a.header.Get("ETag") + " " + a.body
	}
	return text
}
