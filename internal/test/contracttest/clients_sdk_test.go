package contracttest

import (
	"testing"
)

// Since 1.49 the SDK asks for the names of an agent profile.
func workspaceListsForAProfile(t *testing.T) {
	s := withProfiles(t)
	list := func(id string) answer {
		return s.sends(t, s.printed[sessionKey], "GET /api/settings/secrets?agent_profile_id="+id+" HTTP/1.1"+httpx+"\n\n")
	}
	list(profile).wants(200, entries(bare("MINE")))
	list(keysProfile).wants(404, noProfile)
}

// The Docker runtime lists the names, reads each secret once on the host, and then starts
// the container. A key with that many reads is enough for one start and no more.
func dockerRuntimeReads(t *testing.T) {
	s := stocked(t)
	key := s.administer(t, "agent-key", "create", "--reads", "2", "user/default", "MINE", "PAYROLL")
	read := func(name string) answer {
		return s.sends(t, key, "GET /api/settings/secrets/"+name+" HTTP/1.1"+httpx+"\n\n")
	}
	s.sends(t, key, "GET /api/settings/secrets HTTP/1.1"+httpx+"\n\n").wants(200, entries(bare("MINE"), bare("PAYROLL")))
	read("MINE").wantsValue(canary)
	read("PAYROLL").wantsValue(canary)
	read("MINE").wants(401, agentserver.badKey)
}

// The SDK's HttpVersionedCredentialBinding reads, writes back under the version that it has
// read, and reads again after a lost race.
func credentialIsRenewed(t *testing.T) {
	s := stocked(t)
	key := s.administer(t, "agent-key", "create", "--write-back", "user/default", "MINE", "MISSING")
	load := func() answer { return s.sends(t, key, "GET "+renewed+" HTTP/1.1"+httpx+"\n\n") }
	replace := func(path, version string) answer {
		return s.sends(t, key, "PUT "+path+" HTTP/1.1"+httpx+httpxBody+"\n\n"+writeBack(version, canary+"2"))
	}
	first := load().version()
	second := replace(renewed, first).version()
	replace(renewed, first).wants(409, says("Secret has changed"))
	if now := load().version(); now != second {
		t.Errorf("the version is %s, want %s", now, second)
	}
	replace(settings+"/MISSING/binding", first).wants(404, agentserver.absent)
	s.sends(t, canary, "GET "+renewed+" HTTP/1.1"+httpx+"\n\n").wants(401, agentserver.badKey)
}
