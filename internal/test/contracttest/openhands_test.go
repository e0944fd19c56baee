package contracttest

import (
	"strings"
	"testing"
)

func TestOpenHandsFromCreateToDelete(t *testing.T) {
	c := serve(t).openhands(t, admin)
	c.get("/api/secrets").wants(200, `{"custom_secrets":[]}`)
	c.post("/api/secrets", `{"name":"API_KEY","value":"`+canary+`","description":"prod"}`).wants(201, created)
	c.get("/api/secrets").wants(200, `{"custom_secrets":[{"name":"API_KEY","description":"prod"}]}`)
	c.post("/api/secrets", custom("API_KEY")).wants(400, `{"message":"Secret API_KEY already exists"}`)
	c.get("/api/secrets").wants(200, `{"custom_secrets":[{"name":"API_KEY","description":"prod"}]}`)
	c.delete("/api/secrets/API_KEY").wants(200, deleted)
	c.delete("/api/secrets/API_KEY").wants(404, noSecret("API_KEY"))
	c.get("/api/secrets").wants(200, `{"custom_secrets":[]}`)
}

// Upstream's single-user server answers 200 and does nothing; all other servers answer 404.
func TestOpenHandsWithNothingStored(t *testing.T) {
	c := serve(t).openhands(t, admin)
	c.put("/api/secrets/A", `{"name":"A"}`).wants(404, noSecret("A"))
	c.delete("/api/secrets/A").wants(404, noSecret("A"))
}

// This API never returns a value, so the suite for stores tests that a rename keeps it.
func TestOpenHandsUpdate(t *testing.T) {
	c := serve(t).openhands(t, admin)
	c.post("/api/secrets", `{"name":"A","value":"`+canary+`","description":"old"}`)
	c.post("/api/secrets", custom("TAKEN"))
	for _, tc := range []struct {
		name, path, body string
		status           int
		answer, list     string
	}{
		{"describes", "A", `{"name":"A","description":"new"}`, 200, updated, `{"name":"A","description":"new"}`},
		{"null clears the description", "A", `{"name":"A","description":null}`, 200, updated, `{"name":"A","description":""}`},
		{"describes again", "A", `{"name":"A","description":"new"}`, 200, updated, `{"name":"A","description":"new"}`},
		{"nothing clears the description, too", "A", `{"name":"A"}`, 200, updated, `{"name":"A","description":""}`},
		{"a value is not for updates", "A", `{"name":"A","value":5}`, 200, updated, `{"name":"A","description":""}`},
		{"not to a name that is taken", "A", `{"name":"TAKEN","description":"x"}`, 400, `{"message":"Secret TAKEN already exists"}`, `{"name":"A","description":""}`},
		{"what is not there comes before what is taken", "B", `{"name":"TAKEN"}`, 404, noSecret("B"), `{"name":"A","description":""}`},
		{"not to a name that nothing can have", "A", `{"name":""}`, 422, refused(noValue("name", "must not be empty")), `{"name":"A","description":""}`},
		{"renames and describes", "A", `{"name":"B","description":"was A"}`, 200, updated, `{"name":"B","description":"was A"}`},
		{"the old name is gone", "A", `{"name":"A"}`, 404, noSecret("A"), `{"name":"B","description":"was A"}`},
		{"and can be taken", "TAKEN", `{"name":"A"}`, 200, updated, `{"name":"A","description":""},{"name":"B","description":"was A"}`},
		{"which frees the other", "B", `{"name":"TAKEN"}`, 200, updated, `{"name":"A","description":""}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := c.on(t)
			c.put("/api/secrets/"+tc.path, tc.body).wants(tc.status, tc.answer)
			if got := c.get("/api/secrets").body; !strings.Contains(got, "["+tc.list+",") && !strings.Contains(got, "["+tc.list+"]") {
				t.Errorf("the list is %s, want it to begin with %s", got, tc.list)
			}
		})
	}
}

// The rows of upstream's own suite that are about custom secrets.
func TestOpenHandsUpstreamSuite(t *testing.T) {
	for _, tc := range []struct {
		name, given string
		call, body  string
		status      int
		left        string
	}{
		{"test_load_custom_secrets_names", "API_KEY DB_PASSWORD", "GET /api/secrets", "", 200, list("API_KEY", "DB_PASSWORD")},
		{"test_load_custom_secrets_names_empty", "", "GET /api/secrets", "", 200, list()},
		{"test_add_custom_secret", "", "POST /api/secrets", `{"name":"API_KEY","value":"` + canary + `","description":null}`, 201, list("API_KEY")},
		{
			"test_create_custom_secret_with_no_existing_secrets", "", "POST /api/secrets",
			`{"name":"NEW","value":"` + canary + `","description":"d"}`, 201, `{"custom_secrets":[{"name":"NEW","description":"d"}]}`,
		},
		{"test_update_existing_custom_secret", "API_KEY", "PUT /api/secrets/API_KEY", `{"name":"API_KEY","description":null}`, 200, list("API_KEY")},
		{"test_add_multiple_custom_secrets", "EXISTING_SECRET FIRST", "POST /api/secrets", custom("SECOND"), 201, list("EXISTING_SECRET", "FIRST", "SECOND")},
		{"test_delete_custom_secret", "API_KEY DB_PASSWORD", "DELETE /api/secrets/API_KEY", "", 200, list("DB_PASSWORD")},
		{"test_delete_nonexistent_custom_secret", "API_KEY", "DELETE /api/secrets/NONEXISTENT_KEY", "", 404, list("API_KEY")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := serve(t).openhands(t, admin)
			for _, name := range strings.Fields(tc.given) {
				c.post("/api/secrets", custom(name)).wants(201, created)
			}
			method, path, _ := strings.Cut(tc.call, " ")
			if got := c.do(method, path, tc.body); got.status != tc.status {
				t.Errorf("got %d %s, want %d", got.status, got.body, tc.status)
			}
			c.get("/api/secrets").wants(200, tc.left)
		})
	}
}

func TestOpenHandsListsInOrderOfName(t *testing.T) {
	c := serve(t).openhands(t, admin)
	for _, name := range []string{"b", "B", "é", "a", "🔑", "a1", "_", "A", "z"} {
		c.post("/api/secrets", custom(name)).wants(201, created)
	}
	c.put("/api/secrets/a", `{"name":"a"}`) // upstream moves it to the end of the list
	c.get("/api/secrets").wants(200, list("A", "B", "_", "a", "a1", "b", "z", "é", "🔑"))
}

func TestOpenHandsUsersDoNotSeeEachOther(t *testing.T) {
	s := serve(t)
	s.openhands(t, admin).post("/api/secrets", custom("A")).wants(201, created)
	bob := s.openhands(t, "bob")
	bob.get("/api/secrets").wants(200, list())
	bob.put("/api/secrets/A", `{"name":"B"}`).wants(404, noSecret("A"))
	bob.delete("/api/secrets/A").wants(404, noSecret("A"))
	bob.post("/api/secrets", custom("A")).wants(201, created)
	bob.delete("/api/secrets/A").wants(200, deleted)
	s.openhands(t, "clerk").get("/api/secrets").wants(200, list("A"))
}
