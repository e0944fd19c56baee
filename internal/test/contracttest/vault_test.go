package contracttest

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// Paths of Vault's API, for the secrets MINE of the default user and the shop.
const (
	vaultMine = "/v1/secret/data/user/me/MINE"
	vaultShop = "/v1/secret/data/app/" + shop + "/MINE"
)

var (
	requestID = regexp.MustCompile(`"request_id":"[A-Z2-7]{26}"`)
	vaultTime = regexp.MustCompile(`"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"`)
)

// wantsData checks the data of Vault's answer. NOW stands for a time.
func (a answer) wantsData(data string) {
	a.t.Helper()
	got := vaultTime.ReplaceAllString(requestID.ReplaceAllString(a.body, `"request_id":"ID"`), "NOW")
	want := `{"request_id":"ID","lease_id":"","renewable":false,"lease_duration":0,"data":` + data +
		`,"wrap_info":null,"warnings":null,"auth":null,"mount_type":"kv"}`
	if a.status != 200 || got != want {
		a.t.Errorf("%s:\n got %d %s\nwant 200 %s", a.call, a.status, got, want)
	}
	if id := a.header.Get("X-Request-ID"); !strings.Contains(a.body, `"request_id":"`+id+`"`) {
		a.t.Errorf("%s: the body has another id than the header, %s", a.call, id)
	}
}

// vaultRow returns Vault's data of a secret, with pairs in JSON.
func vaultRow(pairs string, version int) string {
	return fmt.Sprintf(`{"data":{%s},"metadata":{"created_time":NOW,"custom_metadata":null,"deletion_time":"","destroyed":false,"version":%d}}`, pairs, version)
}

func TestVaultReadsTheSecretsOfTheOtherAPIs(t *testing.T) {
	s := stocked(t)
	c := s.vault(t, admin)
	c.get(vaultMine).wantsData(vaultRow(`"value":"`+canary+`"`, 1))
	c.get("/v1/secret/data/user/default/MINE").wantsData(vaultRow(`"value":"`+canary+`"`, 1))
	c.get(vaultShop).wantsData(vaultRow(`"K":"`+canary+`"`, 1))
	s.nx1(t, admin).put(nx1.path, data("B", canary+"2", "A", canary+`é\"🔑`)).wantsStatus(200)
	c.get(vaultShop).wantsData(vaultRow(`"A":"`+canary+`é\"🔑","B":"`+canary+`2"`, 2))
	c.get(vaultShop + "?version=0").wantsData(vaultRow(`"A":"`+canary+`é\"🔑","B":"`+canary+`2"`, 2))
	c.get(vaultShop + "?version=2").wantsData(vaultRow(`"A":"`+canary+`é\"🔑","B":"`+canary+`2"`, 2))
	c.get(vaultShop + "?version=1").wantsData(vaultRow(`"K":"`+canary+`"`, 1))
	c.get(vaultShop+"?version=3").wants(404, vault.absent)
	c.get("/v1/secret/metadata/app/" + shop + "/MINE").wantsData(`{"cas_required":false,"created_time":NOW,"current_version":2,"custom_metadata":null,` +
		`"delete_version_after":"0s","max_versions":0,"oldest_version":1,"updated_time":NOW,` +
		`"versions":{"1":{"created_time":NOW,"deletion_time":"","destroyed":false},"2":{"created_time":NOW,"deletion_time":"","destroyed":false}}}`)
	c.get("/v1/secret/metadata/app/" + shop + "?list=true").wantsData(`{"keys":["MINE","PAYROLL"]}`)
	c.raw("LIST", "/v1/secret/metadata/user/me", "").wantsData(`{"keys":["MINE","PAYROLL"]}`)
	c.get("/v1/secret/metadata/app?list=true").wantsData(`{"keys":["` + shop + `/"]}`)
	c.get("/v1/secret/metadata?list=true").wantsData(`{"keys":["app/","user/"]}`)
	c.get("/v1/sys/internal/ui/mounts/secret").wantsData(`{"path":"secret/","type":"kv","description":"","options":{"version":"2"}}`)
	if a := c.get("/v1/auth/token/lookup-self").wantsStatus(200); strings.Contains(a.body, "srk_") || !strings.Contains(a.body, `"display_name":"admin"`) {
		t.Errorf("lookup-self: %s", a.body)
	}
	s.openhands(t, admin).put("/api/secrets/MINE", `{"name":"MINE","description":"é"}`).wants(200, updated)
	if a := c.get(vaultMine).wantsStatus(200); !strings.Contains(a.body, `"custom_metadata":{"description":"é"}`) {
		t.Errorf("got %s", a.body)
	}
}

func TestVaultAnswersForMissingSecretsAndPaths(t *testing.T) {
	s := serve(t)
	c := s.vault(t, admin)
	s.undisturbed(t, func() {
		for _, path := range []string{
			"/v1/secret/data/user/me/NONE", "/v1/secret/metadata/user/me/NONE", "/v1/secret/metadata/user/me/MINE?list=true",
			"/v1/secret/metadata/app/" + other + "?list=true", "/v1/secret/metadata/user/me", "/v1/secret/metadata/app", "/v1/secret/metadata",
		} {
			c.get(path).wants(404, vault.absent)
		}
		for _, path := range []string{"/v1/sys/internal/ui/mounts/kv", "/v1/kv/data/user/me/MINE", "/v1/kv/metadata", "/v1/secret/MINE", "/v1/sys/seal-status"} {
			c.get(path).wants(404, vault.lost)
		}
		wrongKind := errorsOf("path: must be app/<uuid>/<name>, user/<id>/<name> or user/me/<name>")
		for _, path := range []string{
			"/v1/secret/data/team/me/MINE", "/v1/secret/metadata/team/me/MINE", "/v1/secret/metadata/team/me?list=true", "/v1/secret/metadata/team?list=true",
			"/v1/secret/data/user/*/MINE",
		} {
			c.get(path).wants(400, wrongKind)
		}
		c.get("/v1/secret/data/app/MINE/MINE").wants(400, errorsOf("path: must have the UUID of the app, with hyphens, behind app/"))
		c.with("X-Vault-Wrap-TTL", "60s").get(vaultMine).wants(400, errorsOf("answers cannot be wrapped: leave out X-Vault-Wrap-TTL"))
		c.get(vaultMine+"?version=x").wants(400, errorsOf("query.version: Input should be a valid integer, unable to parse string as an integer"))
	})
}

func TestVaultChangesNothing(t *testing.T) {
	s := serve(t)
	s.undisturbed(t, func() {
		c := s.vault(t, admin)
		for _, path := range []string{vaultMine, vaultShop, "/v1/secret/metadata/user/me/MINE", "/v1/secret/metadata/user/me", "/v1/auth/token/lookup-self"} {
			for _, method := range []string{"POST", "PUT", "PATCH", "DELETE"} {
				c.raw(method, path, `{"data":{"value":"`+canary+`"}}`).wants(405, vault.notSo).wantsHeader("Allow", "OPTIONS, GET")
			}
			c.raw("HEAD", path, "").wants(405, "")
		}
		for _, path := range []string{"/v1/secret/delete/user/me/MINE", "/v1/secret/destroy/user/me/MINE", "/v1/secret/undelete/user/me/MINE", "/v1/auth/token/revoke-self"} {
			c.raw("PUT", path, `{"versions":[1]}`).wants(404, vault.lost)
		}
		c.raw("LIST", vaultMine, "").wants(405, vault.notSo)
	})
}

// The answers are those for the same caller on the other APIs.
func TestVaultRevealsNothingBeyondTheGrants(t *testing.T) {
	s := stocked(t)
	for _, tc := range []struct {
		who           string
		mine, payroll int // of the app's secrets
		nothing, list int
		version       int // of MINE, the current one
		metadata      int
		custom        int // the user's own secret MINE
	}{
		{"nobody", 403, 403, 403, 403, 403, 403, 403},
		{"expired", 403, 403, 403, 403, 403, 403, 403},
		{"neighbour", 404, 404, 404, 404, 404, 404, 403},
		{"bob", 403, 403, 403, 403, 403, 403, 404},
		{"lister", 403, 403, 403, 200, 403, 200, 403},
		{"clerk", 403, 403, 403, 200, 403, 200, 403},
		{"stocker", 403, 403, 403, 403, 403, 403, 403},
		{"reader", 200, 200, 404, 200, 200, 200, 200},
		{"keeper", 200, 404, 404, 200, 200, 200, 200},
		{"intern", 200, 404, 404, 200, 200, 200, 200},
	} {
		c := s.vault(t, tc.who)
		for path, status := range map[string]int{
			vaultShop: tc.mine, strings.Replace(vaultShop, "MINE", "PAYROLL", 1): tc.payroll, strings.Replace(vaultShop, "MINE", "NONE", 1): tc.nothing,
			"/v1/secret/metadata/app/" + shop + "?list=true": tc.list, vaultShop + "?version=1": tc.version,
			"/v1/secret/metadata/app/" + shop + "/MINE": tc.metadata, vaultMine: tc.custom,
		} {
			switch a := c.get(path); status {
			case 403:
				a.wants(403, vault.forbidden)
			case 404:
				a.wants(404, vault.absent)
			default:
				a.wantsStatus(status)
			}
		}
	}
	// An earlier version needs more than the right to reveal, whether it is kept or not.
	s.nx1(t, admin).put(nx1.path, data("K", canary+"2")).wantsStatus(200)
	for _, version := range []string{"1", "3"} {
		s.vault(t, "reader").get(vaultShop+"?version="+version).wants(403, vault.forbidden)
	}
	s.vault(t, "keeper").get("/v1/secret/metadata/app/" + shop + "?list=true").wantsData(`{"keys":["MINE"]}`)
	s.vault(t, "bob").get("/v1/secret/data/user/default/MINE").wants(403, vault.forbidden)
}

// Each API looks for credentials in the headers of its own strategies only.
func TestTheHeaderOfVaultIsForItsAPIOnly(t *testing.T) {
	s := serve(t)
	s.undisturbed(t, func() {
		for path, want := range map[string]string{"/api/secrets": openhands.noKey, settings: agentserver.noKey, secrets: nx1.noKey, box: sandbox.noKey} {
			s.stranger(t).with(vaultToken, s.printed[vaultToken]).get(path).wants(401, want)
		}
		for _, header := range []string{sessionKey, "X-Access-Token"} {
			s.stranger(t).with(header, s.printed[sessionKey]).get(vaultMine).wants(403, vault.noKey)
		}
		s.stranger(t).with("Authorization", "Bearer "+s.printed[sessionKey]).get(vaultMine).wants(403, vault.badKey)
		s.stranger(t).with("Cookie", vaultToken+"="+s.printed[sessionKey]).get(vaultMine).wants(403, vault.noKey)
	})
}

// Vault accepts its token as a bearer token, too, and so does this API with such a strategy.
func TestVaultTakesABearerToken(t *testing.T) {
	s := serve(t, set("vault: {auth: [vault-token]}", "vault: {auth: [vault-token, bearer]}"))
	s.openhands(t, admin).post("/api/secrets", custom("MINE")).wants(201, created)
	key := s.printed[sessionKey]
	c := s.stranger(t).with("Authorization", "Bearer "+key)
	c.get(vaultMine).wantsStatus(200)
	c.with(vaultToken, key).get(vaultMine).wants(400, vault.twoKeys)
	s.stranger(t).with("Authorization", "Bearer "+canary).get(vaultMine).wants(403, vault.badKey)
}

func TestVaultCanHaveAnotherMount(t *testing.T) {
	s := serve(t, set("vault: {auth: [vault-token]}", "vault: {auth: [vault-token], mount: kv}"))
	s.openhands(t, admin).post("/api/secrets", custom("MINE")).wants(201, created)
	c := s.vault(t, admin)
	c.get(vaultMine).wants(404, vault.lost)
	c.raw("LIST", "/v1/kv/metadata/user/me", "").wantsData(`{"keys":["MINE"]}`)
}

// By default there is no such API.
func TestVaultIsOffUnlessTheConfigNamesIt(t *testing.T) {
	s := serve(t, set("  vault: {auth: [vault-token]}\n", ""))
	for _, path := range []string{vaultMine, "/v1/sys/health", "/openapi/vault.json"} {
		a, body := get(t, "GET", "http://"+s.address+path)
		if a.StatusCode != 401 || string(body) != openhands.noKey {
			t.Errorf("%s: %d %s", path, a.StatusCode, body)
		}
	}
}

// An agent key works in this header, too, and each answer with values counts as one of its reads.
func TestVaultCountsTheReadsOfAnAgentKey(t *testing.T) {
	s := stocked(t)
	key := s.administer(t, "agent-key", "create", "--reads", "2", "user/default", "MINE")
	c := s.stranger(t).with(vaultToken, key)
	c.get("/v1/auth/token/lookup-self").wantsStatus(200)
	c.get("/v1/secret/metadata/user/me?list=true").wantsData(`{"keys":["MINE"]}`)
	c.get("/v1/secret/data/user/me/PAYROLL").wants(404, vault.absent)
	c.get(vaultMine+"?version=2").wants(403, vault.forbidden)
	c.get(vaultShop).wants(403, vault.forbidden)
	c.get(vaultMine).wantsStatus(200)
	c.get(vaultMine + "?version=1").wantsStatus(200)
	c.get(vaultMine).wants(403, vault.badKey)
}

// The audit log has each read with the owner, the secret and the caller, and no value.
func TestVaultReadsAreInTheAuditLog(t *testing.T) {
	s := stocked(t)
	s.vault(t, "reader").get(vaultShop).wantsStatus(200)
	s.vault(t, "lister").get(vaultShop).wants(403, vault.forbidden)
	log := s.administer(t, "audit", "search", "--action", "reveal")
	for _, want := range []string{`"reader"`, `"lister"`, `"owner":"` + shop + `"`, `"denied"`, `"done"`} {
		if !strings.Contains(log, want) {
			t.Errorf("the audit log lacks %s:\n%s", want, log)
		}
	}
	if leaks(log) {
		t.Errorf("something secret is in the audit log:\n%s", log)
	}
}
