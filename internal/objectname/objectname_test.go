package objectname_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/internal/objectname"
	"github.com/strongroom/strongroom/internal/secret"
)

const appID = "0f8fad5b-d9cb-469f-a165-70867728950e"

// Clusters contain objects with these names, so they must never change.
func TestNamesNeverChange(t *testing.T) {
	for _, tc := range []struct {
		ref  secret.Ref
		want string
	}{
		{secret.Ref{Owner: secret.App(appID), Name: "db-password"}, "nx1-0f8fad5b-d9cb-469f-a165-70867728950e-db-password-6bxy6iv2f2cpipy27q6f5ouyvn"},
		{secret.Ref{Owner: secret.App(strings.ToUpper(appID)), Name: "DB_Password"}, "nx1-0f8fad5b-d9cb-469f-a165-70867728950e-db-password-zfoews3zrqyjwexvgqs4o6q35t"},
		{secret.Ref{Owner: secret.App(appID), Name: "日本語"}, "nx1-0f8fad5b-d9cb-469f-a165-70867728950e-x-w6d63v2b3txq7gh2urtwjwdbyk"},
		{secret.Ref{Owner: secret.App(appID), Name: "-- a --  b --"}, "nx1-0f8fad5b-d9cb-469f-a165-70867728950e-a-b-sjsckrlaa3wpfd23dlbfoaghay"},
		{secret.Ref{Owner: secret.App(appID), Name: strings.Repeat("a", 39) + "-b"}, "nx1-0f8fad5b-d9cb-469f-a165-70867728950e-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-rwlxy7lqxvwi5bmqlfzs5p5wnw"},
		{secret.Ref{Owner: secret.User("default"), Name: "GITHUB_TOKEN"}, "openhands-default-github-token-pge6ectnzc5wgnyzdop3l2keno"},
		{secret.Ref{Owner: secret.User("alice@example.com"), Name: "🔑"}, "openhands-alice-example-com-x-wtn35moaah64j4vslanunmnc4o"},
	} {
		if got := objectname.Of(tc.ref); got != tc.want {
			t.Errorf("Of(%q) = %q, want %q", tc.ref, got, tc.want)
		}
	}
}

// similar returns refs of different secrets with similar slugs.
func similar() []secret.Ref {
	var refs []secret.Ref
	for _, owner := range []secret.Owner{
		secret.App(appID), secret.App("0f8fad5b-d9cb-469f-a165-70867728950f"),
		secret.User(appID), secret.User(strings.ToUpper(appID)), secret.User("default"), secret.User("a"), secret.User("a-b"),
		secret.User("a@b"), secret.User("a b"), secret.User("ab"), secret.User("é"), secret.User(""), secret.User("\xff"),
		secret.User(strings.Repeat("u", 1000)), secret.User(strings.Repeat("u", 1001)),
	} {
		for _, name := range []string{
			"a", "A", "-a", "a-", "a--b", "a-b", "a_b", "a.b", "a b", "b", "b-c", "ab", "bc", "🔑", "日本語", "-", "--", "x", "%",
			"e\u0301", "\u00e9", "\u212a", "k", strings.Repeat("a", 256), strings.Repeat("a", 255), strings.Repeat("a", 255) + "b",
			strings.Repeat("🔑", 64), strings.Repeat("-", 256), strings.Repeat("a", 39) + "-b", strings.Repeat("a", 40),
		} {
			refs = append(refs, secret.Ref{Owner: owner, Name: name})
		}
	}
	return refs
}

func TestNamesAreDNSSubdomains(t *testing.T) {
	// A DNS subdomain of RFC 1123, as Kubernetes validates it.
	subdomain := regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)
	for _, ref := range similar() {
		if got := objectname.Of(ref); !subdomain.MatchString(got) || len(got) > 253 {
			t.Errorf("Of(%q) = %q, of %d bytes", ref, got, len(got))
		}
	}
}

func TestNamesOfAnyTwoSecretsDiffer(t *testing.T) {
	by := map[string]secret.Ref{}
	for _, ref := range similar() {
		name := objectname.Of(ref)
		if other, again := by[name]; again {
			t.Errorf("%q and %q both have the name %q", other, ref, name)
		}
		by[name] = ref
	}
}

func TestCaseOfAnAppIDDoesNotMatter(t *testing.T) {
	upper := secret.Ref{Owner: secret.App(strings.ToUpper(appID)), Name: "DB"}
	lower := secret.Ref{Owner: secret.App(appID), Name: "DB"}
	if objectname.Of(upper) != objectname.Of(lower) {
		t.Errorf("got %q and %q, want the same", objectname.Of(upper), objectname.Of(lower))
	}
}
