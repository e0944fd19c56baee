package contracttest

import (
	"encoding/json"
	"strings"
	"testing"
)

const renewed = settings + "/MINE/binding"

// version returns the version in a binding's answer.
func (a answer) version() string {
	a.t.Helper()
	a.wantsStatus(200)
	var body struct{ Value, Version string }
	if err := json.Unmarshal([]byte(a.body), &body); err != nil || body.Version == "" {
		a.t.Fatalf("%s: %v", a.call, err)
	}
	return body.Version
}

func writeBack(version, value string) string {
	return `{"expected_version":"` + version + `","value":"` + value + `"}`
}

func TestABindingIsReadAndWrittenBack(t *testing.T) {
	s := stocked(t)
	c := s.openhands(t, admin)
	c.put(settings, `{"name":"MINE","value":"`+canary+`","description":"d"}`).wantsStatus(200)
	first := c.get(renewed).version()
	c.get(renewed).wants(200, `{"value":"`+canary+`","version":"`+first+`"}`)
	second := c.put(renewed, writeBack(first, canary+"2")).version()
	if second == first {
		t.Errorf("the version is still %s", first)
	}
	c.get(renewed).wants(200, `{"value":"`+canary+`2","version":"`+second+`"}`)
	c.put(renewed, writeBack(first, canary+"3")).wants(409, says("Secret has changed"))
	c.get(settings + "/MINE").wantsValue(canary + "2")
	c.get(settings).wants(200, entries(entry("MINE", "d"), bare("PAYROLL")))
	c.put(renewed, writeBack(second, "true")).wantsHeader("X-Strongroom-Warning", "value: is shorter than 6 bytes: agents will mask it in everything they print").version()

	missing := settings + "/MISSING/binding"
	c.get(missing).wants(404, agentserver.absent)
	c.put(missing, writeBack(second, canary)).wants(404, agentserver.absent)
	c.get(settings+"/a-b/binding").wants(422, says(badName))
	c.put(settings+"/a-b/binding", writeBack(second, canary)).wants(422, says(badName))
}

func TestABindingRefusesAVersionWithoutACondition(t *testing.T) {
	s := serve(t)
	c := s.openhands(t, admin)
	s.undisturbed(t, func() {
		version := c.get(renewed).version()
		for _, none := range []string{"", "*"} {
			c.put(renewed, writeBack(none, canary)).wants(422, refused(noValue("expected_version", "must be the version that was read")))
		}
		c.put(renewed, writeBack(version, " ")).wants(422, says(redacted))
		c.put(renewed, `{"value":5}`).wants(422, refused(missing("body.expected_version"), notText("body.value")))
		c.put(renewed, writeBack(version, strings.Repeat("x", mebibyte+1))).
			wants(422, refused(noValue("value", "must not have more than 1 MiB of values")))
		c.put(renewed, strings.Repeat(" ", 10*mebibyte)).wants(413, agentserver.tooLarge)
		c.put(renewed, "{\"value\":\"\xff\"}").wants(400, agentserver.unreadable)
		c.with(sessionKey, "x").get(renewed).wantsStatus(400)
		c.with(sessionKey, "x").put(renewed, writeBack(version, canary)).wantsStatus(400)
		s.stranger(t).get(renewed).wants(401, agentserver.noKey)
		s.stranger(t).put(renewed, writeBack(version, canary)).wants(401, agentserver.noKey)
	})
}

func TestABindingRevealsNothingBeyondTheGrants(t *testing.T) {
	for _, tc := range []struct {
		who, secret string
		read, write int
	}{
		{"nobody", "MINE", 403, 403},
		{"bob", "MINE", 404, 404},
		{"lister", "MINE", 403, 403},
		{"clerk", "MINE", 403, 409},
		{"reader", "MINE", 200, 403},
		{"keeper", "MINE", 200, 409},
		{"keeper", "PAYROLL", 404, 404},
	} {
		c := stocked(t).openhands(t, tc.who)
		path := settings + "/" + tc.secret + "/binding"
		c.get(path).wantsStatus(tc.read)
		c.put(path, writeBack("0", canary)).wantsStatus(tc.write)
	}
}

// An agent key writes back only if it was created for that, only its own secrets, and
// only on this route.
func TestAnAgentKeyWritesBackOnlyItsOwnSecrets(t *testing.T) {
	s := stocked(t)
	plain := s.stranger(t).with(sessionKey, s.boxKey(t, "box", "MINE"))
	version := plain.get(renewed).version()
	plain.put(renewed, writeBack(version, canary+"2")).wants(403, agentserver.forbidden)

	key := s.administer(t, "agent-key", "create", "--write-back", "--reads", "3", "user/default", "MINE")
	c := s.stranger(t).with(sessionKey, key)
	c.put(settings, custom("MINE")).wants(403, agentserver.forbidden)
	c.post(v1, custom("MINE")).wants(403, openhandsv1.forbidden)
	c.put(v1+"/MINE", `{"name":"MINE"}`).wants(403, openhandsv1.forbidden)
	c.put("/api/secrets/MINE", `{"name":"MINE","description":"d"}`).wants(403, openhands.forbidden)
	c.delete(settings+"/MINE").wants(403, agentserver.forbidden)
	c.put(settings+"/PAYROLL/binding", writeBack(version, canary)).wants(404, agentserver.absent)
	c.get(settings + "/MINE").wantsValue(canary)
	next := c.put(renewed, writeBack(c.get(renewed).version(), canary+"2")).version()
	s.openhands(t, admin).get(settings + "/MINE").wantsValue(canary + "2")
	c.get(renewed).version()
	// It has no reads left, so the key is no longer valid.
	c.put(renewed, writeBack(next, canary+"3")).wants(401, agentserver.badKey)
	list := s.administer(t, "agent-key", "list")
	if !strings.Contains(list, "writes back") {
		t.Errorf("the list does not say which key writes back:\n%s", list)
	}
}
