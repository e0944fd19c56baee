package contracttest

import (
	"strings"
	"testing"
)

// stocked is a server with what the people of people_test.go may see and may not.
func stocked(t *testing.T) *server {
	s := serve(t)
	for _, name := range []string{"MINE", "PAYROLL"} {
		s.openhands(t, admin).post("/api/secrets", custom(name)).wants(201, created)
		s.nx1(t, admin).post(secrets, secret(name, "K", canary)).wantsStatus(200)
	}
	return s
}

// orInvalid is the answer to what cannot be done, where the answer to what can is this: who may
// not do it is not told what else is wrong.
func orInvalid(status int) int {
	if status == 200 {
		return 400
	}
	return status
}

// Each row is what a person is answered. Where a caller has rights on the app but not on the
// secret, it looks like one that is missing, to the byte.
func TestNx1SaysNoMoreThanOneMayKnow(t *testing.T) {
	for _, tc := range []struct {
		who    string
		secret string
		list   int
		create int

		get, put, reveal, delete int // on what is there
		nothing                  int // a get of what is not
	}{
		{"nobody", "MINE", 403, 403, 403, 403, 403, 403, 403},
		{"neighbour", "MINE", 404, 404, 404, 404, 404, 404, 404},
		{"bob", "MINE", 403, 403, 403, 403, 403, 403, 403},
		{"lister", "MINE", 200, 403, 200, 403, 403, 403, 404},
		{"clerk", "MINE", 200, 200, 200, 200, 403, 200, 404},
		{"stocker", "MINE", 403, 200, 403, 200, 403, 403, 403},
		{"reader", "MINE", 200, 403, 200, 403, 200, 403, 404},
		{"keeper", "MINE", 200, 404, 200, 200, 200, 200, 404},
		{"keeper", "PAYROLL", 200, 404, 404, 404, 404, 404, 404},
		{"intern", "MINE", 200, 200, 200, 200, 200, 200, 404},
		{"intern", "PAYROLL", 200, 200, 404, 404, 404, 404, 404},
	} {
		t.Run(tc.who+" and "+tc.secret, func(t *testing.T) {
			c := stocked(t).nx1(t, tc.who)
			path := secrets + "/" + tc.secret
			for _, ask := range []struct {
				a    answer
				want int
			}{
				{c.get(secrets), tc.list},
				{c.post(secrets, secret("NEW", "K", canary)), tc.create},
				{c.get(path), tc.get},
				{c.post(secrets, secret("NE W", "K", canary)), orInvalid(tc.create)},
				{c.put(path, data("K", "****")), orInvalid(tc.put)},
				{c.put(path, data("K", canary)), tc.put},
				{c.get(path + "/reveal"), tc.reveal},
				{c.get(secrets + "/MISSING"), tc.nothing},
				{c.with("If-Match", "*").delete(path), tc.delete},
			} {
				switch ask.want {
				case 403:
					ask.a.wants(403, nx1.forbidden)
				case 404:
					ask.a.wants(404, nx1.absent)
				default:
					ask.a.wantsStatus(ask.want)
				}
			}
		})
	}
}

func TestOpenHandsSaysNoMoreThanOneMayKnow(t *testing.T) {
	for _, tc := range []struct {
		who    string
		secret string
		list   int
		create int

		put, rename, delete int // of what is there
		nothing             int // a put of what is not
	}{
		{"nobody", "MINE", 403, 403, 403, 403, 403, 403},
		{"expired", "MINE", 403, 403, 403, 403, 403, 403},
		{"neighbour", "MINE", 403, 403, 403, 403, 403, 403},
		{"bob", "MINE", 200, 201, 404, 404, 404, 404},
		{"lister", "MINE", 200, 403, 403, 403, 403, 403},
		{"clerk", "MINE", 200, 201, 200, 200, 200, 404},
		{"stocker", "MINE", 403, 201, 200, 200, 403, 404},
		{"reader", "MINE", 200, 403, 403, 403, 403, 403},
		{"keeper", "MINE", 200, 403, 200, 403, 200, 404},
		{"keeper", "PAYROLL", 200, 403, 404, 404, 404, 404},
		{"intern", "MINE", 200, 201, 200, 200, 200, 404},
		{"intern", "PAYROLL", 200, 201, 404, 404, 404, 404},
	} {
		t.Run(tc.who+" and "+tc.secret, func(t *testing.T) {
			c := stocked(t).openhands(t, tc.who)
			path := "/api/secrets/" + tc.secret
			wants := func(a answer, status int, id string) {
				t.Helper()
				switch status {
				case 403:
					a.wants(403, openhands.forbidden)
				case 404:
					a.wants(404, noSecret(id))
				default:
					a.wantsStatus(status)
				}
			}
			wants(c.get("/api/secrets"), tc.list, "")
			wants(c.post("/api/secrets", custom("NEW")), tc.create, "")
			wants(c.put(path, `{"name":"`+tc.secret+`"}`), tc.put, tc.secret)
			wants(c.put("/api/secrets/MISSING", `{"name":"MISSING"}`), tc.nothing, "MISSING")
			wants(c.put(path, `{"name":"RENAMED"}`), tc.rename, tc.secret)
			if tc.rename == 200 {
				path = "/api/secrets/RENAMED"
			}
			wants(c.delete(path), tc.delete, tc.secret)
		})
	}
}

// A list has what one may see in it.
func TestListsLeaveOutWhatOneMayNotSee(t *testing.T) {
	s := stocked(t)
	for who, names := range map[string][]string{admin: {"MINE", "PAYROLL"}, "lister": {"MINE", "PAYROLL"}, "keeper": {"MINE"}, "intern": {"MINE"}} {
		s.openhands(t, who).get("/api/secrets").wants(200, list(names...))
		if got := s.nx1(t, who).get(secrets).body; strings.Count(got, "secret_name") != len(names) || strings.Contains(got, "PAYROLL") != (len(names) == 2) {
			t.Errorf("%s sees %s, want %s", who, got, names)
		}
	}
}

// One must not get at a secret, nor hide one, by giving it a name that one has rights on.
func TestOpenHandsRenamesOnlyWithinWhatOneMayWrite(t *testing.T) {
	s := stocked(t)
	s.openhands(t, "keeper").put("/api/secrets/PAYROLL", `{"name":"MINE"}`).wants(404, noSecret("PAYROLL"))
	s.openhands(t, "keeper").put("/api/secrets/MINE", `{"name":"PAYROLL"}`).wants(403, openhands.forbidden)
	s.openhands(t, "keeper").put("/api/secrets/MINE", `{"name":"FREE"}`).wants(403, openhands.forbidden)
	s.openhands(t, "intern").put("/api/secrets/MINE", `{"name":"PAYROLL"}`).wants(403, openhands.forbidden)
	s.openhands(t, "intern").delete("/api/secrets/MINE").wants(200, deleted)
	s.openhands(t, "intern").post("/api/secrets", custom("PAYROLL")).wantsStatus(403)
	s.openhands(t, admin).get("/api/secrets").wants(200, list("PAYROLL"))
}

// Whose right has run out has none.
func TestRightsRunOut(t *testing.T) {
	c := stocked(t).nx1(t, "expired")
	c.get(secrets).wants(403, nx1.forbidden)
	c.get(secrets+"/MINE").wants(403, nx1.forbidden)
	c.get(secrets+"/MINE/reveal").wants(403, nx1.forbidden)
}
