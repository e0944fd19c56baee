package contracttest

import (
	"strings"
	"testing"
)

// stocked returns a server with secrets that the people of people_test.go may and may not see.
func stocked(t *testing.T) *server {
	s := serve(t)
	for _, name := range []string{"MINE", "PAYROLL"} {
		s.openhands(t, admin).post("/api/secrets", custom(name)).wants(201, created)
		s.nx1(t, admin).post(secrets, secret(name, "K", canary)).wantsStatus(200)
	}
	return s
}

// orInvalid returns the status for an invalid input, given the status for a valid one: a denial
// stays a denial.
func orInvalid(status int) int {
	if status == 200 {
		return 400
	}
	return status
}

// Each row has the statuses for one person. For a caller with rights on the app but not on the
// secret, the answer equals that for a missing secret, byte by byte.
func TestNx1RevealsNothingBeyondTheGrants(t *testing.T) {
	for _, tc := range []struct {
		who    string
		secret string
		list   int
		create int

		get, put, reveal, delete int // of an existing secret
		nothing                  int // get of a missing secret
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

func TestOpenHandsRevealsNothingBeyondTheGrants(t *testing.T) {
	for _, tc := range []struct {
		who    string
		secret string
		list   int
		create int

		put, rename, delete int // of an existing secret
		nothing             int // put of a missing secret
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

// A list has only secrets that the caller may see.
func TestListsOmitHiddenSecrets(t *testing.T) {
	s := stocked(t)
	for who, names := range map[string][]string{admin: {"MINE", "PAYROLL"}, "lister": {"MINE", "PAYROLL"}, "keeper": {"MINE"}, "intern": {"MINE"}} {
		s.openhands(t, who).get("/api/secrets").wants(200, list(names...))
		if got := s.nx1(t, who).get(secrets).body; strings.Count(got, "secret_name") != len(names) || strings.Contains(got, "PAYROLL") != (len(names) == 2) {
			t.Errorf("%s sees %s, want %s", who, got, names)
		}
	}
}

// A caller must not gain access to a secret, or hide it, by giving it another name.
func TestOpenHandsRenamesOnlyWithinTheRightToWrite(t *testing.T) {
	s := stocked(t)
	s.openhands(t, "keeper").put("/api/secrets/PAYROLL", `{"name":"MINE"}`).wants(404, noSecret("PAYROLL"))
	s.openhands(t, "keeper").put("/api/secrets/MINE", `{"name":"PAYROLL"}`).wants(403, openhands.forbidden)
	s.openhands(t, "keeper").put("/api/secrets/MINE", `{"name":"FREE"}`).wants(403, openhands.forbidden)
	s.openhands(t, "intern").put("/api/secrets/MINE", `{"name":"PAYROLL"}`).wants(403, openhands.forbidden)
	s.openhands(t, "intern").delete("/api/secrets/MINE").wants(200, deleted)
	s.openhands(t, "intern").post("/api/secrets", custom("PAYROLL")).wantsStatus(403)
	s.openhands(t, admin).get("/api/secrets").wants(200, list("PAYROLL"))
}

// An expired grant allows nothing.
func TestExpiredGrantsAllowNothing(t *testing.T) {
	c := stocked(t).nx1(t, "expired")
	c.get(secrets).wants(403, nx1.forbidden)
	c.get(secrets+"/MINE").wants(403, nx1.forbidden)
	c.get(secrets+"/MINE/reveal").wants(403, nx1.forbidden)
}
