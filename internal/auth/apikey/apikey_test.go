package apikey_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/auth"
	"github.com/strongroom/strongroom/internal/auth/apikey"
	"github.com/strongroom/strongroom/internal/secret"
)

const header = "X-Session-API-Key"

func mustParse(t *testing.T, file string) []apikey.Key {
	t.Helper()
	keys, err := apikey.ParseKeys("keys.yaml", []byte(file))
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func keysFile(key, more string) string {
	return "keys:\n  - {id: k1, sha256: " + apikey.HashOf(key).String() + ", subject: alice" + more + "}\n"
}

func request(values ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	for _, v := range values {
		r.Header.Add(header, v)
	}
	return r
}

func TestGeneratedKeysAreInTheirFormat(t *testing.T) {
	format := regexp.MustCompile(`^srk_[a-z2-7]{8}_[a-z2-7]{59}$`)
	seen := map[string]bool{}
	for range 1000 {
		key, id := apikey.Generate()
		if !format.MatchString(key) || !strings.HasPrefix(key, "srk_"+id+"_") || seen[key] || seen[id] {
			t.Fatalf("a key of %d characters with id %s is malformed or not new", len(key), id)
		}
		seen[key], seen[id] = true, true
	}
}

func TestKeyAuthenticatesItsCaller(t *testing.T) {
	key, _ := apikey.Generate()
	s := apikey.New("x-session-api-key", "", mustParse(t, keysFile(key, ", user: al, grants: [{actions: [list], owner: app/*}]")))
	caller, err := s.Authenticate(request(key))
	if err != nil {
		t.Fatal(err)
	}
	if caller.Subject != "alice" || caller.CredentialID != "k1" || caller.User != "al" {
		t.Errorf("got %+v", caller)
	}
	ref := secret.Ref{Owner: secret.App("0f8fad5b-d9cb-469f-a165-70867728950e")}
	if !caller.May(secret.List, ref) || caller.May(secret.Reveal, ref) {
		t.Errorf("got grants %+v", caller.Grants)
	}
}

func TestKeyWithoutUserIsTheDefaultUsers(t *testing.T) {
	s := apikey.New(header, "", mustParse(t, keysFile("k", "")))
	if caller, err := s.Authenticate(request("k")); err != nil || caller.User != apikey.DefaultUser {
		t.Errorf("got user %q, %v", caller.User, err)
	}
}

func TestOtherKeysAreRefused(t *testing.T) {
	key, _ := apikey.Generate()
	s := apikey.New(header, "", mustParse(t, keysFile(key, "")))
	for _, tc := range []struct {
		what string
		sent []string
		want error
	}{
		{"none", nil, auth.ErrNoCredential},
		{"an empty one", []string{""}, auth.ErrNoCredential},
		{"the last character changed", []string{key[:len(key)-1] + "!"}, auth.ErrBadCredential},
		{"one more character", []string{key + "a"}, auth.ErrBadCredential},
		{"in upper case", []string{strings.ToUpper(key)}, auth.ErrBadCredential},
		{"its hash", []string{apikey.HashOf(key).String()}, auth.ErrBadCredential},
		{"twice", []string{key, key}, auth.ErrBadCredential},
		{"behind another", []string{"x", key}, auth.ErrBadCredential},
	} {
		if caller, err := s.Authenticate(request(tc.sent...)); !errors.Is(err, tc.want) || caller.Subject != "" {
			t.Errorf("%s: %q, %v, want %v", tc.what, caller.Subject, err, tc.want)
		}
	}
}

func TestACredentialWithoutThePrefixIsLeftToOtherStrategies(t *testing.T) {
	key, _ := apikey.Generate()
	s := apikey.New(header, "Bearer ", mustParse(t, keysFile(key, "")))
	for _, tc := range []struct {
		what, sent string
		want       error
	}{
		{"the key", "Bearer " + key, nil},
		{"the scheme in lower case", "bearer " + key, nil},
		{"a wrong key", "Bearer " + key + "a", auth.ErrBadCredential},
		{"no key", "Bearer ", auth.ErrNoCredential},
		{"two spaces", "Bearer  " + key, auth.ErrBadCredential},
		{"the key alone", key, auth.ErrNoCredential},
		{"another scheme", "Basic " + key, auth.ErrNoCredential},
		{"the scheme alone", "Bearer", auth.ErrNoCredential},
		{"a token", "Bearer e30.e30.c2ln", auth.ErrNoCredential},
		{"with one dot", "Bearer e30.e30", auth.ErrBadCredential},
	} {
		if caller, err := s.Authenticate(request(tc.sent)); !errors.Is(err, tc.want) || (err == nil) != (caller.Subject != "") {
			t.Errorf("%s: %q, %v, want %v", tc.what, caller.Subject, err, tc.want)
		}
	}
}

// testdata has a broken file for each error, with the expected message in its first line.
func TestErrorsInAKeysFileAreNamed(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		first, _, _ := strings.Cut(string(text), "\n")
		_, err = apikey.ParseKeys(file, text)
		for want := range strings.SplitSeq(strings.TrimPrefix(first, "# "), " | ") {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want … %s …", file, err, want)
			}
		}
	}
}

func TestFileWithoutKeysIsRefused(t *testing.T) {
	for file, want := range map[string]string{
		"": "the file is empty", "# nothing\n": "the file is empty",
		"keys:\n": "keys: has no value: give it one, or leave it out (line 1)", "keys: []\n": "keys: must hold at least one key",
		"- id: a\n": "the file does not hold fields, as in name: value", "a\n": "the file does not hold fields, as in name: value",
	} {
		if _, err := apikey.ParseKeys("keys.yaml", []byte(file)); err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", file, err, want)
		}
	}
}

func FuzzParseKeys(f *testing.F) {
	f.Add(keysFile("k", ", grants: [{actions: [list], owner: user/a, until: 2027-01-01T00:00:00Z}]"))
	f.Fuzz(func(t *testing.T, file string) {
		keys, err := apikey.ParseKeys("keys.yaml", []byte(file))
		for _, k := range keys {
			if err == nil && (k.ID == "" || k.Subject == "" || k.User == "" || k.SHA256 == apikey.HashOf("")) {
				t.Errorf("accepted a key with %q, %q, %q", k.ID, k.Subject, k.User)
			}
		}
	})
}

func TestAGrantSaysWhereItIsWritten(t *testing.T) {
	file := keysFile("k", ", grants: [{actions: [list], owner: app/*}]") +
		"  - id: k2\n    sha256: " + apikey.HashOf("k2").String() + "\n    subject: bob\n    grants:\n" +
		"      - {actions: [list], owner: user/bob}\n      - actions: [reveal]\n        owner: user/*\n"
	s := apikey.New(header, "", mustParse(t, file))
	for key, want := range map[string][]string{"k": {"keys.yaml:2"}, "k2": {"keys.yaml:7", "keys.yaml:8"}} {
		caller, err := s.Authenticate(request(key))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, g := range caller.Grants {
			got = append(got, g.Source)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
	}
}

func TestAKeyStopsWorkingDuringARequestWhenItIsRemovedFromItsFile(t *testing.T) {
	var inForce apikey.InForce
	use := func(name, file string) *apikey.Strategy {
		s := apikey.New(header, "", mustParse(t, file))
		s.Recheck(name, &inForce)
		inForce.Put(map[string]*apikey.Strategy{name: s})
		return s
	}
	both := keysFile("k", "") + strings.TrimPrefix(strings.ReplaceAll(keysFile("k2", ""), "id: ", "id: x"), "keys:\n")
	s := use("psk", both)
	var callers []secret.Caller
	for _, key := range []string{"k", "k2"} {
		caller, err := s.Authenticate(request(key))
		if err != nil {
			t.Fatal(err)
		}
		callers = append(callers, caller)
	}
	for _, tc := range []struct {
		what, strategy, file string
		works                []error
	}{
		{"the same keys", "psk", both, []error{nil, nil}},
		{"the first alone, with other grants", "psk", keysFile("k", ", grants: [{actions: [list], owner: app/*}]"), []error{nil, secret.ErrForbidden}},
		{"another key with the same id", "psk", keysFile("k3", ""), []error{secret.ErrForbidden, secret.ErrForbidden}},
		{"in another strategy", "other", both, []error{secret.ErrForbidden, secret.ErrForbidden}},
	} {
		use(tc.strategy, tc.file)
		for n, caller := range callers {
			if err := caller.Credential.Check(); !errors.Is(err, tc.works[n]) {
				t.Errorf("%s: key %d: %v, want %v", tc.what, n+1, err, tc.works[n])
			}
		}
	}
}

func TestCountLeavesOutEndedKeysAndRepetitions(t *testing.T) {
	key := func(text string, until time.Time) apikey.Key {
		return apikey.Key{SHA256: apikey.HashOf(text), Until: until}
	}
	now := time.Now()
	forever, soon := key("forever", time.Time{}), key("soon", now.Add(time.Hour))
	ended, late := key("ended", now.Add(-time.Hour)), key("late", now.Add(48*time.Hour))
	var inForce apikey.InForce
	if live, ending := inForce.Count(time.Hour); live != 0 || ending != 0 {
		t.Errorf("without strategies: %d, %d", live, ending)
	}
	inForce.Put(map[string]*apikey.Strategy{
		"a": apikey.New("A", "", []apikey.Key{forever, soon, ended}), "b": apikey.New("B", "", []apikey.Key{soon, late}),
	})
	if live, ending := inForce.Count(24 * time.Hour); live != 3 || ending != 1 {
		t.Errorf("%d keys work and %d end soon, want 3 and 1", live, ending)
	}
}
