package contracttest

import (
	"strings"
	"testing"
)

// Paths are sent unchanged. None is cleaned, redirected or confused with another, and each API
// answers in its own dialect.
func TestUnknownPaths(t *testing.T) {
	s := serve(t)
	s.undisturbed(t, func() {
		for _, tc := range unknownPaths {
			body := ""
			if tc.method == "PUT" {
				body = `{"name":"` + canary + `"}`
			}
			s.caller(t, spokenAt(tc.path).key, admin).raw(tc.method, tc.path, body).wants(tc.status, tc.want)
		}
	})
}

const noUUID = `{"detail":[{"type":"uuid_parsing","loc":["path","app_id"],"msg":"Input should be a valid UUID"}]}`

// A few of them exist, to show the difference.
var unknownPaths = []struct {
	method, path string
	status       int
	want         string
}{
	{"GET", "/", 404, openhands.lost},
	{"GET", "*", 404, openhands.lost},
	{"GET", "/api", 404, openhands.lost},
	{"GET", "/api/settings", 404, openhands.lost},
	{"GET", "/API/secrets", 404, openhands.lost},
	{"GET", "/api/secrets/", 404, openhands.lost},
	{"PUT", "/api/secrets/", 404, openhands.lost},
	{"GET", "//api/secrets", 404, openhands.lost},
	{"GET", "/api//secrets", 404, openhands.lost},
	{"GET", "/./api/secrets", 404, openhands.lost},
	{"GET", "/api/../api/secrets", 404, openhands.lost},
	{"GET", "/api/secrets%2F", 404, openhands.lost},
	{"PUT", "/api/secrets%2FMINE", 404, openhands.lost},
	{"PUT", "/api%2Fsecrets/MINE", 404, openhands.lost},
	{"GET", "/api/secrets?/../../app", 200, list("MINE")},
	{"PUT", "/api/secrets//", 404, openhands.lost},
	{"PUT", "/api/secrets//MINE", 404, openhands.lost},
	{"GET", "/api/secrets/a/b", 404, openhands.lost},
	{"OPTIONS", "/api/secrets/a/b", 404, openhands.lost},
	{"POST", "/api/secrets/a%2Fb", 404, openhands.lost},
	{"PUT", "/api/secrets/MINE/", 404, openhands.lost},
	{"PUT", "/api/secrets/MINE//", 404, openhands.lost},
	{"PUT", "/api/secrets/x/../MINE", 404, openhands.lost},
	{"PUT", "/api/secrets/./MINE", 404, openhands.lost},
	{"DELETE", "/api/secrets/MINE%2F", 404, openhands.lost},
	{"DELETE", "/api/secrets/%2FMINE", 404, openhands.lost},
	{"DELETE", "/api/secrets/x%2F..%2FMINE", 404, openhands.lost},
	{"DELETE", "/api/secrets/MINE%00", 404, openhands.lost},
	{"DELETE", "/api/secrets/MINE%FF", 404, openhands.lost},
	{"DELETE", "/api/secrets/MINE\xff", 404, openhands.lost},
	{"DELETE", "/api/secrets/%C3", 404, openhands.lost},
	{"DELETE", "/api/secrets/..", 404, noSecret("..")},
	{"DELETE", "/api/secrets/%2e%2e", 404, noSecret("..")},
	{"DELETE", "/api/secrets/.", 404, noSecret(".")},
	{"DELETE", "/api/secrets/MINE%20", 404, noSecret("MINE ")},
	{"DELETE", "/api/secrets/MINE%0a", 404, noSecret(`MINE\n`)},
	{"DELETE", "/api/secrets/MINE;x", 404, noSecret("MINE;x")},
	{"DELETE", "/api/secrets/mine", 404, noSecret("mine")},
	{"DELETE", "/api/secrets/MINE%252F", 404, noSecret("MINE%2F")},
	{"DELETE", "/api/secrets/" + strings.Repeat("M", 4000), 404, noSecret(strings.Repeat("M", 4000))},
	{"GET", "/healthz/", 404, openhands.lost},
	{"GET", "/openapi/", 404, openhands.lost},

	{"GET", "/api/app", 404, nx1.lost},
	{"GET", "/api/app/", 404, nx1.lost},
	{"GET", "/api/app/" + shop, 404, nx1.lost},
	{"GET", "/api/app//secrets", 404, nx1.lost},
	{"GET", "/api/app/../secrets", 422, noUUID},
	{"GET", "/api/app/../../api/secrets", 404, nx1.lost},
	{"GET", secrets + "/", 404, nx1.lost},
	{"GET", secrets + "//", 404, nx1.lost},
	{"GET", secrets + "//MINE", 404, nx1.lost},
	{"GET", secrets + "/MINE/", 404, nx1.lost},
	{"GET", secrets + "/MINE%2F", 404, nx1.lost},
	{"GET", secrets + "/MINE%2Freveal", 404, nx1.lost},
	{"GET", secrets + "/MINE%00", 404, nx1.lost},
	{"GET", secrets + "/%FF", 404, nx1.lost},
	{"GET", secrets + "//reveal", 404, nx1.lost},
	{"GET", secrets + "/MINE/reveal/", 404, nx1.lost},
	{"GET", secrets + "/MINE/REVEAL", 404, nx1.lost},
	{"GET", secrets + "/x/../MINE", 404, nx1.lost},
	{"GET", secrets + "/x/../MINE/reveal", 404, nx1.lost},
	{"GET", secrets + "/../reveal", 404, nx1.absent},
	{"GET", secrets + "/..", 404, nx1.absent},
	{"GET", secrets + "/%2e%2e", 404, nx1.absent},
	{"GET", secrets + "/MINE%20", 404, nx1.absent},
	{"GET", secrets + "/mine", 404, nx1.absent},
	{"DELETE", secrets + "/.", 404, nx1.absent},
	{"GET", "/api/app/%30" + shop[1:] + "/secrets/MINE", 200, shown("MINE", "K", "****")},
	{"GET", "/api/app/%7B" + shop + "/secrets/MINE", 422, noUUID},
	{"GET", "/api/app/%00/secrets/MINE", 422, noUUID},
	{"GET", "/api/app/" + shop + "%20/secrets/MINE", 422, noUUID},
	{"GET", "/api/app/*/secrets/MINE", 422, noUUID},
}

func TestMethodsThatAreNotThere(t *testing.T) {
	s := serve(t)
	s.undisturbed(t, func() {
		for path, allow := range map[string]string{
			openhands.create:     "OPTIONS, GET, POST",
			openhands.path:       "OPTIONS, DELETE, PUT",
			nx1.create:           "OPTIONS, GET, POST",
			nx1.path:             "OPTIONS, DELETE, GET, PUT",
			nx1.path + "/reveal": "OPTIONS, GET",
		} {
			d := spokenAt(path)
			c := s.caller(t, d.key, admin)
			for _, method := range []string{"GET", "POST", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "get", "SECRETS"} {
				if !strings.Contains(allow, method) {
					c.raw(method, path, "").wants(405, d.notSo).wantsHeader("Allow", allow)
				}
			}
			c.raw("HEAD", path, "").wants(405, "").wantsHeader("Allow", allow)
			c.raw("OPTIONS", path, "").wants(204, "").wantsHeader("Allow", allow)
			c.with("X-HTTP-Method-Override", "DELETE").raw("PATCH", path, "").wants(405, d.notSo)
		}
	})
}
