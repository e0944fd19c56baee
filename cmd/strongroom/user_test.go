package main_test

import (
	"strings"
	"testing"
)

// The server of user/<id> and me is that of the chosen profile.
func TestChosenProfileDecidesTheServerOfAUser(t *testing.T) {
	t.Parallel()
	p := mustLogIn(t)
	other := mustInit(t)
	server := mustServe(t, other)
	for _, profile := range []string{"one", "two"} {
		address, key := p.server.address, p.in.sessionKey
		if profile == "two" {
			address, key = server.address, other.sessionKey
		}
		if r := p.feed(t, key, "login", "http://"+address, "--stdin", "--profile", profile, "--user", "alice"); r.code != 0 {
			t.Fatal(r.stderr)
		}
		p.mustSet(t, "on-"+profile, "TOKEN", "--profile", profile)
	}
	for _, tc := range []struct{ want, args string }{
		{"on-two", "get TOKEN"}, // the last login
		{"on-two", "get user/alice TOKEN"},
		{"on-one", "get me TOKEN --profile one"},
		{"on-one", "get user/alice TOKEN --profile one"},
		{"on-two", "get user/alice TOKEN --profile two"},
		{"on-one", "get one:user/alice TOKEN"},
		{"on-one", "get one:me TOKEN --profile two"},
	} {
		p.want(t, tc.want, strings.Fields(tc.args)...)
	}
	wantRefusal(t, p.run(t, "get", "user/alice", "TOKEN", "--profile", "default"), "the profile default is not of user/alice")
	wantRefusal(t, p.run(t, "get", "default:user/alice", "TOKEN"), "the profile default is not of user/alice")
	chosen := p
	chosen.env = []string{"STRONGROOM_PROFILE=one"}
	chosen.want(t, "on-one", "get", "user/alice", "TOKEN")
	chosen.env = []string{"STRONGROOM_URL=http://" + server.address, "STRONGROOM_API_KEY=" + other.sessionKey}
	chosen.want(t, "on-two", "get", "me", "TOKEN")
	wantRefusal(t, chosen.run(t, "get", "user/alice", "TOKEN"), "user/alice: the server of STRONGROOM_URL knows its user by the credential only: use me")
}
