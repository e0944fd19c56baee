package grant_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/strongroom/strongroom/internal/grant"
	"github.com/strongroom/strongroom/internal/secret"
)

const appID = "0f8fad5b-d9cb-469f-a165-70867728950e"

var list = []secret.Action{secret.List}

func TestALineStandsForItsGrant(t *testing.T) {
	end := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, tc := range []struct {
		line grant.Line
		want secret.Grant
	}{
		{grant.Line{Actions: list, Owner: "user/alice"}, secret.Grant{Actions: list, Owner: secret.User("alice")}},
		{grant.Line{Actions: list, Owner: "user/*"}, secret.Grant{Actions: list, Owner: secret.User(secret.AnyID)}},
		{grant.Line{Actions: list, Owner: "app/0F8FAD5B-d9cb-469f-a165-70867728950e"}, secret.Grant{Actions: list, Owner: secret.App(appID)}},
		{grant.Line{Actions: list, Owner: "self"}, secret.Grant{Actions: list}},
		{
			grant.Line{Actions: secret.Actions(), Owner: "app/*", Names: []string{"a", "*"}, Deny: true, Until: end},
			secret.Grant{Actions: secret.Actions(), Owner: secret.App(secret.AnyID), Names: []string{"a", "*"}, Deny: true, Until: end},
		},
	} {
		got, err := grant.Parse([]grant.Line{tc.line}, "grants", nil)
		tc.want.Source = "grants[0]"
		if diff := cmp.Diff([]secret.Grant{tc.want}, got); err != nil || diff != "" {
			t.Errorf("%+v: %v\n%s", tc.line, err, diff)
		}
	}
}

func TestAllErrorsAreReportedWithTheirPaths(t *testing.T) {
	const owner = "owner: must be user/<id>, user/*, app/<uuid>, app/* or self"
	for _, tc := range []struct {
		lines []grant.Line
		want  string
	}{
		{[]grant.Line{{Owner: "user/a"}}, "g[0].actions: must name at least one"},
		{[]grant.Line{{Actions: []secret.Action{"read"}, Owner: "user/a"}}, "g[0].actions: must be some of list, create, write, delete, reveal, admin"},
		{[]grant.Line{{Actions: []secret.Action{secret.Undelete}, Owner: "user/a"}}, "g[0].actions: must be some of list, create, write, delete, reveal, admin"},
		{[]grant.Line{{Actions: list}}, "g[0]." + owner},
		{[]grant.Line{{Actions: list, Owner: "user/"}}, "g[0]." + owner},
		{[]grant.Line{{Actions: list, Owner: "user/al*"}}, "g[0]." + owner},
		{[]grant.Line{{Actions: list, Owner: "app/web"}}, "g[0]." + owner},
		{[]grant.Line{{Actions: list, Owner: "app/0f8fad5b*"}}, "g[0]." + owner},
		{[]grant.Line{{Actions: list, Owner: "*"}}, "g[0]." + owner},
		{[]grant.Line{{Actions: list, Owner: "group/a"}}, "g[0]." + owner},
		{[]grant.Line{{Actions: list, Owner: "user/a", Names: []string{"a/b"}}}, "g[0].names: name: must not contain slashes or control characters"},
		{[]grant.Line{{Actions: list, Owner: "user/a", Names: []string{}}}, "g[0].names: must name at least one secret, or be left out for all secrets of the owner"},
		{[]grant.Line{{Actions: list, Owner: "user/a"}, {Owner: "x"}}, "g[1].actions: must name at least one\ng[1]." + owner},
	} {
		_, err := grant.Parse(tc.lines, "g", nil)
		if err == nil || err.Error() != tc.want {
			t.Errorf("%+v: %v, want %s", tc.lines, err, tc.want)
		}
	}
}

// Records of issued keys contain lines as JSON.
func TestALineSurvivesJSON(t *testing.T) {
	for _, line := range []grant.Line{
		{Actions: list, Owner: "user/a"},
		{Actions: list, Owner: "user/a", Names: []string{"b"}, Deny: true, Until: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)},
	} {
		text, err := json.Marshal(line)
		if err != nil {
			t.Fatal(err)
		}
		var back grant.Line
		if err := json.Unmarshal(text, &back); err != nil || cmp.Diff(line, back) != "" {
			t.Errorf("%s: %v %s", text, err, cmp.Diff(line, back))
		}
	}
}

func TestSelfIsTheUserWithTheGrant(t *testing.T) {
	grants := []secret.Grant{{Actions: list}, {Actions: list, Owner: secret.User("bob"), Deny: true}}
	want := []secret.Grant{{Actions: list, Owner: secret.User("alice")}, grants[1]}
	if diff := cmp.Diff(want, grant.For("alice", grants)); diff != "" {
		t.Error(diff)
	}
	for _, user := range []string{"", "*"} {
		if diff := cmp.Diff(want[1:], grant.For(user, grants)); diff != "" {
			t.Errorf("for %q: %s", user, diff)
		}
	}
	ref := secret.Ref{Owner: secret.User("")}
	if (secret.Caller{Grants: grants}).May(secret.List, ref) {
		t.Error("a grant on nobody yet is one on somebody")
	}
}
