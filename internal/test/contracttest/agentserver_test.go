package contracttest

import (
	"strings"
	"testing"
)

// The routes of the agent server, and their texts.
const (
	settings  = "/api/settings/secrets"
	badName   = "Invalid secret name format. Must start with a letter, contain only letters, numbers, and underscores, and be 1-64 characters long."
	nameRule  = "must begin with a letter and have only letters, digits and underscores, 64 characters at most"
	goneThere = `{"deleted":true}`
)

// entry returns a secret in the agent server's form, and entries a list of them.
func entry(name, description string) string {
	return `{"name":"` + name + `","description":"` + description + `"}`
}

// bare returns a secret without a description in the agent server's form.
func bare(name string) string { return `{"name":"` + name + `","description":null}` }

func entries(items ...string) string { return `{"secrets":[` + strings.Join(items, ",") + `]}` }

// wantsValue checks that the body is exactly the value.
func (a answer) wantsValue(value string) answer {
	a.t.Helper()
	if a.status != 200 || a.body != value {
		a.t.Errorf("%s:\n got %d %q\nwant 200 %q", a.call, a.status, brief(a.body), brief(value))
	}
	a.wantsHeader("Content-Type", "text/plain; charset=utf-8").etag()
	return a
}

func TestAgentServerFromPutToDelete(t *testing.T) {
	s := serve(t)
	c := s.openhands(t, admin)
	c.get(settings).wants(200, entries())
	c.get(settings+"/A").wants(404, agentserver.absent)
	first := c.put(settings, `{"name":"A","value":"`+canary+` 1","description":"d"}`).wants(200, entry("A", "d")).etag()
	c.get(settings).wants(200, entries(entry("A", "d")))
	if tag := c.get(settings + "/A").wantsValue(canary + " 1").etag(); tag != first {
		t.Errorf("the value has tag %s, want %s", tag, first)
	}
	if tag := c.put(settings, `{"name":"A","value":"`+canary+` 2"}`).wants(200, bare("A")).etag(); tag == first {
		t.Errorf("the tag is still %s", tag)
	}
	c.get(settings + "/A").wantsValue(canary + " 2")
	c.put(settings, `{"name":"B","value":"`+canary+`","description":null}`).wants(200, bare("B"))
	c.get(settings + "/B").wantsValue(canary)
	c.get("/api/secrets").wants(200, list("A", "B"))
	c.delete(settings+"/A").wants(200, goneThere)
	c.delete(settings+"/A").wants(404, agentserver.absent)
	c.get(settings).wants(200, entries(bare("B")))
}

// The rows of the agent server's own test suite, and some more names.
func TestAgentServerNames(t *testing.T) {
	s := serve(t)
	c := s.openhands(t, admin)
	for name, legal := range map[string]bool{
		"VALID_NAME_123": true, "a": true, "Z9_": true, strings.Repeat("x", 64): true,
		"123_invalid": false, "invalid-name": false, "_A": false, "A B": false, "é": false, "A.B": false, "..": false, strings.Repeat("x", 65): false, "": false, `A\n`: false,
	} {
		path := settings + "/" + strings.NewReplacer(" ", "%20", `\n`, "%0A").Replace(name)
		if legal {
			c.put(settings, custom(name)).wants(200, bare(name))
			c.get(path).wantsValue(canary)
			c.delete(path).wants(200, goneThere)
			continue
		}
		c.put(settings, custom(name)).wants(422, refused(noValue("name", nameRule)))
		if name != "" {
			c.get(path).wants(422, says(badName))
			c.delete(path).wants(422, says(badName))
		}
	}
	// Secrets of other APIs with such names are neither listed nor changed.
	for _, name := range []string{"API-KEY", "_A", "OK"} {
		c.post("/api/secrets", custom(name)).wants(201, created)
	}
	c.get(settings).wants(200, entries(bare("OK")))
	c.delete(settings+"/API-KEY").wants(422, says(badName))
	c.get("/api/secrets").wants(200, list("API-KEY", "OK", "_A"))
}

func TestAgentServerConditions(t *testing.T) {
	s := serve(t)
	c := s.openhands(t, admin)
	tag := c.put(settings, custom("A")).wants(200, bare("A")).etag()
	c.put(settings, custom("A")).wants(200, bare("A"))
	late := c.with("If-Match", tag)
	late.put(settings, custom("A")).wants(412, agentserver.stale)
	late.delete(settings+"/A").wants(412, agentserver.stale)
	c.with("If-Match", "*").put(settings, custom("B")).wants(404, agentserver.absent)
	c.with("If-Match", "*").put(settings, custom("A")).wants(200, bare("A"))
	c.with("If-Match", "x").put(settings, custom("A")).wants(400, agentserver.malformed)
	c.with("If-Match", "x").delete(settings+"/A").wants(400, agentserver.malformed)
	c.with("If-Match", tag).with("If-Match", tag).delete(settings+"/A").wants(400, agentserver.repeated)
	now := c.get(settings + "/A").wantsValue(canary).etag()
	c.with("If-None-Match", now).get(settings+"/A").wants(304, "").wantsHeader("ETag", now)
	c.with("If-None-Match", tag).get(settings + "/A").wantsValue(canary)
	c.get(settings).wants(200, entries(bare("A")))
}

func TestAgentServerSaysNoMoreThanOneMayKnow(t *testing.T) {
	for _, tc := range []struct {
		who, secret                        string
		list, value, put, fresh, gone, del int // fresh: put of a missing secret; gone: value of a missing secret
	}{
		{"nobody", "MINE", 403, 403, 403, 403, 403, 403},
		{"expired", "MINE", 403, 403, 403, 403, 403, 403},
		{"bob", "MINE", 200, 404, 200, 200, 404, 200},
		{"lister", "MINE", 200, 403, 403, 403, 403, 403},
		{"clerk", "MINE", 200, 403, 200, 200, 403, 200},
		{"stocker", "MINE", 403, 403, 200, 200, 403, 403},
		{"reader", "MINE", 200, 200, 403, 403, 404, 403},
		{"keeper", "MINE", 200, 200, 200, 403, 404, 200},
		{"keeper", "PAYROLL", 200, 404, 403, 403, 404, 404},
		{"intern", "MINE", 200, 200, 200, 200, 404, 200},
		{"intern", "PAYROLL", 200, 404, 403, 200, 404, 404},
	} {
		t.Run(tc.who+" and "+tc.secret, func(t *testing.T) {
			c := stocked(t).openhands(t, tc.who)
			for _, ask := range []struct {
				a    answer
				want int
			}{
				{c.get(settings), tc.list},
				{c.get(settings + "/" + tc.secret), tc.value},
				{c.get(settings + "/MISSING"), tc.gone},
				{c.put(settings, custom(tc.secret)), tc.put},
				{c.put(settings, custom("NEW")), tc.fresh},
				{c.delete(settings + "/" + tc.secret), tc.del},
			} {
				switch ask.want {
				case 403:
					ask.a.wants(403, agentserver.forbidden)
				case 404:
					ask.a.wants(404, agentserver.absent)
				default:
					ask.a.wantsStatus(ask.want)
				}
			}
		})
	}
}

func TestAgentServerRefusesWhatItCannotRead(t *testing.T) {
	s := serve(t)
	c := s.openhands(t, admin)
	s.undisturbed(t, func() {
		c.put(settings, `{"value":5}`).wants(422, refused(missing("body.name"), notText("body.value")))
		c.put(settings, canary).wants(422, refused(notJSON(0)))
		c.put(settings, "{\"name\":\"\xff\"}").wants(400, agentserver.unreadable)
		c.put(settings, strings.Repeat(" ", 10*mebibyte)).wants(413, agentserver.tooLarge)
		c.put(settings, `{"name":"V","value":"`+strings.Repeat("x", mebibyte+1)+`"}`).
			wants(422, refused(noValue("value", "must not have more than 1 MiB of values")))
		c.get(settings+"/a/b").wants(404, agentserver.lost)
		c.raw("HEAD", settings+"/MINE", "").wants(405, "")
		c.raw("PATCH", settings+"/MINE", "").wants(405, agentserver.notSo).wantsHeader("Allow", "OPTIONS, DELETE, GET")
		c.raw("POST", settings, "").wants(405, agentserver.notSo).wantsHeader("Allow", "OPTIONS, GET, PUT")
	})
}
