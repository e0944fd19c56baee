package contracttest

import (
	"strings"
	"testing"
)

// Agent profiles: one of the default user, one that shows all of its secrets, one that shows
// none, and one of another user.
const (
	profile      = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
	wideProfile  = "16fd2706-8baf-433b-82eb-8c7fada847da"
	emptyProfile = "886313e1-3b8a-5372-9b90-0c9aee199e5d"
	bobsProfile  = "6fa459ea-ee8a-3ca4-894e-db77e160355e"
	keysProfile  = "a3bb189e-8bf9-3888-9912-ace4e6543002"
)

var noProfile = says("Agent profile not found")

func withProfiles(t *testing.T) *server {
	s := serve(t, set("auth: [session-key]", "auth: [session-key], profiles: {"+
		profile+": {names: [MINE, MISSING]}, "+wideProfile+": {}, "+emptyProfile+": {names: []}, "+
		bobsProfile+": {user: bob}}"))
	for _, name := range []string{"MINE", "PAYROLL"} {
		s.openhands(t, admin).post("/api/secrets", custom(name)).wants(201, created)
	}
	return s
}

func TestAProfileListsItsSecrets(t *testing.T) {
	s := withProfiles(t)
	c := s.openhands(t, admin)
	list := settings + "?agent_profile_id="
	c.get(settings).wants(200, entries(bare("MINE"), bare("PAYROLL")))
	c.get(list+profile).wants(200, entries(bare("MINE")))
	c.get(list+strings.ToUpper(profile)).wants(200, entries(bare("MINE")))
	c.get(list+wideProfile).wants(200, entries(bare("MINE"), bare("PAYROLL")))
	c.get(list+emptyProfile).wants(200, entries())
	for _, unknown := range []string{bobsProfile, keysProfile, "", "x", "%7B" + profile} {
		c.get(list+unknown).wants(404, noProfile)
	}
	c.get(list+"%ff").wants(422, refused(detail("string_unicode", "query.agent_profile_id", notUnicode)))
	s.openhands(t, "bob").get(list + bobsProfile).wantsStatus(200)
	s.openhands(t, "bob").get(list+profile).wants(404, noProfile)
	s.openhands(t, "nobody").get(list+profile).wants(403, agentserver.forbidden)
	s.openhands(t, "nobody").get(list+keysProfile).wants(403, agentserver.forbidden)
}

// A profile shows only secrets that the caller may list.
func TestAProfileWidensNothing(t *testing.T) {
	s := withProfiles(t)
	s.openhands(t, "keeper").get(settings+"?agent_profile_id="+wideProfile).wants(200, entries(bare("MINE")))
	key := s.administer(t, "agent-key", "create", "--sandbox", "box", "--profile", strings.ToUpper(keysProfile), "user/default", "PAYROLL")
	c := s.stranger(t).with(sessionKey, key)
	for _, list := range []string{settings, box} {
		item := bare("PAYROLL")
		if list == box {
			item = entry("PAYROLL", "")
		}
		c.get(list).wants(200, entries(item))
		c.get(list+"?agent_profile_id="+keysProfile).wants(200, entries(item))
		c.get(list+"?agent_profile_id="+wideProfile).wants(200, entries(item))
		c.get(list+"?agent_profile_id="+profile).wants(200, entries())
		c.get(list+"?agent_profile_id="+bobsProfile).wants(404, noProfile)
	}
	s.stranger(t).with(sessionKey, s.boxKey(t, "box", "MINE")).get(box+"?agent_profile_id="+keysProfile).wants(404, noProfile)
	c.get(strings.Replace(box, "/box/", "/other/", 1)+"?agent_profile_id="+keysProfile).
		wants(403, says("Session API key does not match sandbox"))
	c.get(box+"?agent_profile_id=%ff").wants(422, refused(detail("string_unicode", "query.agent_profile_id", notUnicode)))
}
