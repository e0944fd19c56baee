package apikey_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/auth"
	"github.com/strongroom/strongroom/internal/auth/apikey"
)

var (
	hashOfOld   = apikey.HashOf("old").String()
	hashOfOther = apikey.HashOf("other").String()
	soon        = time.Now().Add(time.Hour)
	soonText    = soon.UTC().Format(time.RFC3339)
	earlyText   = soon.Add(-time.Minute).UTC().Format(time.RFC3339)
)

// In a file, OLD is the hash of the old key, OTHER that of another one, ID and HASH are
// those of the new key, and SOON is the time at which the old key ends. EARLY is before it.
func fileOf(text string, r apikey.Rotation) string {
	return strings.NewReplacer("OLD", hashOfOld, "OTHER", hashOfOther, "ID", r.ID, "HASH", apikey.HashOf(r.Key).String(), "SOON", soonText, "EARLY", earlyText).Replace(text)
}

// The files are in the various styles that people use. Everything besides the rotated
// entry stays.
func TestRotationChangesOneEntry(t *testing.T) {
	for _, tc := range []struct{ name, file, replaced, kept string }{
		{
			"as init writes it",
			"# Keys.\nkeys:\n    - id: k1\n      sha256: OLD\n      subject: admin\n      grants:\n        - actions: [list]\n          owner: user/a\n",
			"# Keys.\nkeys:\n    - id: ID\n      sha256: HASH\n      subject: admin\n      grants:\n        - actions: [list]\n          owner: user/a\n",
			"# Keys.\nkeys:\n    - id: ID\n      sha256: HASH\n      subject: admin\n      grants:\n        - actions: [list]\n          owner: user/a\n" +
				"    - id: k1\n      sha256: OLD\n      until: SOON\n      subject: admin\n      grants:\n        - actions: [list]\n          owner: user/a\n",
		},
		{
			"with comments, between others",
			"keys:\n# the first\n- {id: a, sha256: OTHER, subject: a}\n\n# of CI\n- id: 'k1' # in the log\n  sha256: \"OLD\" # a hash\n  subject: ci\n\n# the last\n- {id: z, sha256: 00846704e199eba093cc8d907f2ddb367169922ef174d0d5804379dbddb44d6c, subject: z}\n# the end\n",
			"keys:\n# the first\n- {id: a, sha256: OTHER, subject: a}\n\n# of CI\n- id: ID # in the log\n  sha256: HASH # a hash\n  subject: ci\n\n# the last\n- {id: z, sha256: 00846704e199eba093cc8d907f2ddb367169922ef174d0d5804379dbddb44d6c, subject: z}\n# the end\n",
			"keys:\n# the first\n- {id: a, sha256: OTHER, subject: a}\n\n# of CI\n- id: ID # in the log\n  sha256: HASH # a hash\n  subject: ci\n- id: 'k1' # in the log\n  sha256: \"OLD\" # a hash\n  until: SOON\n  subject: ci\n\n# the last\n- {id: z, sha256: 00846704e199eba093cc8d907f2ddb367169922ef174d0d5804379dbddb44d6c, subject: z}\n# the end\n",
		},
		{
			"in braces, hash first",
			"---\nkeys:\n  - {sha256: OLD, id: k1, subject: é}\n...\n",
			"---\nkeys:\n  - {sha256: HASH, id: ID, subject: é}\n...\n",
			"---\nkeys:\n  - {sha256: HASH, id: ID, subject: é}\n  - {sha256: OLD, until: SOON, id: k1, subject: é}\n...\n",
		},
		{
			"with a later end",
			"keys:\n  - sha256: OLD\n    id: k1\n    subject: ci\n    until: 2999-01-01T00:00:00Z\n",
			"keys:\n  - sha256: HASH\n    id: ID\n    subject: ci\n    until: 2999-01-01T00:00:00Z\n",
			"keys:\n  - sha256: HASH\n    id: ID\n    subject: ci\n    until: 2999-01-01T00:00:00Z\n  - sha256: OLD\n    id: k1\n    subject: ci\n    until: SOON\n",
		},
		{
			"with an earlier end",
			"keys:\n- {id: k1, sha256: OLD, subject: ci, until: EARLY}\n",
			"keys:\n- {id: ID, sha256: HASH, subject: ci, until: EARLY}\n",
			"keys:\n- {id: ID, sha256: HASH, subject: ci, until: EARLY}\n- {id: k1, sha256: OLD, subject: ci, until: EARLY}\n",
		},
	} {
		for _, r := range []struct {
			want string
			ends time.Time
		}{{tc.replaced, time.Time{}}, {tc.kept, soon}} {
			got, err := apikey.Rotate([]byte(fileOf(tc.file, apikey.Rotation{})), "k1", time.Now(), r.ends)
			if want := fileOf(r.want, got); err != nil || string(got.File) != want {
				t.Errorf("%s, until %v: %v, got\n%s\nwant\n%s", tc.name, r.ends, err, got.File, want)
			}
		}
	}
}

func TestRotationItCannotWriteIsRefused(t *testing.T) {
	for _, tc := range []struct{ name, file, id, want string }{
		{"no such id", "keys: [{id: k1, sha256: OLD, subject: ci}]\n", "k2", `no API key with the id "k2"`},
		{"a list in brackets", "keys: [{id: k1, sha256: OLD, subject: ci}]\n", "k1", "by hand"},
		{"a hash on a line of its own", "keys:\n- id: k1\n  sha256:\n    OLD\n  subject: ci\n", "k1", "by hand"},
		{"an id with an escape", `keys:
- {id: "k\u0031", sha256: OLD, subject: ci}
`, "k1", "by hand"},
		{"an ended key", "keys:\n- {id: k1, sha256: OLD, subject: ci, until: 2001-01-01T00:00:00Z}\n", "k1", "has ended: rotate its successor"},
		{"a broken file", "keys: {\n", "k1", "not closed"},
		{"a file with a mistake", "keys:\n- {id: k1, sha256: OLD, subject: ci, usr: a}\n", "k1", "did you mean user?"},
	} {
		r, err := apikey.Rotate([]byte(fileOf(tc.file, apikey.Rotation{})), tc.id, time.Now(), soon)
		if err == nil || !strings.Contains(err.Error(), tc.want) || r.File != nil {
			t.Errorf("%s: got %v and\n%s, want … %s …", tc.name, err, r.File, tc.want)
		}
	}
}

func TestAKeyCannotBeRotatedAtItsEnd(t *testing.T) {
	file := []byte(fileOf("keys:\n- {id: k1, sha256: OLD, subject: ci, until: 2999-01-01T00:00:00Z}\n", apikey.Rotation{}))
	end := time.Date(2999, 1, 1, 0, 0, 0, 0, time.UTC)
	if _, err := apikey.Rotate(file, "k1", end.Add(-1), time.Time{}); err != nil {
		t.Errorf("just before its end: %v", err)
	}
	if _, err := apikey.Rotate(file, "k1", end, time.Time{}); err == nil {
		t.Error("the ended key was rotated")
	}
}

func TestRotatedKeysWorkUntilTheirEnds(t *testing.T) {
	file := []byte(fileOf("keys:\n- {id: k1, sha256: OLD, subject: ci}\n", apikey.Rotation{}))
	for _, tc := range []struct {
		name string
		ends time.Time
		old  error
	}{{"at once", time.Time{}, auth.ErrBadCredential}, {"in an hour", soon, nil}} {
		r, err := apikey.Rotate(file, "k1", time.Now(), tc.ends)
		if err != nil {
			t.Fatal(err)
		}
		s := apikey.New(header, "", mustParse(t, string(r.File)))
		if _, err := s.Authenticate(request("old")); !errors.Is(err, tc.old) {
			t.Errorf("%s, the old key: %v, want %v", tc.name, err, tc.old)
		}
		if caller, err := s.Authenticate(request(r.Key)); err != nil || caller.CredentialID != r.ID || caller.Subject != "ci" {
			t.Errorf("%s, the new key: %+v, %v", tc.name, caller, err)
		}
	}
}

func TestKeyIsRefusedAfterItsEnd(t *testing.T) {
	for _, tc := range []struct {
		until string
		works bool
	}{{"2999-01-01T00:00:00Z", true}, {"2001-01-01T00:00:00Z", false}} {
		s := apikey.New(header, "", mustParse(t, keysFile("k", ", until: "+tc.until)))
		var inForce apikey.InForce
		s.Recheck("psk", &inForce)
		if _, err := s.Authenticate(request("k")); (err == nil) != tc.works {
			t.Errorf("until %s: %v", tc.until, err)
		}
		if n := len(s.Callers()); (n == 1) != tc.works {
			t.Errorf("until %s: %d callers", tc.until, n)
		}
	}
}

// A request that began before the end of its key changes and reveals nothing after it.
func TestKeyThatEndsDuringARequestIsRefused(t *testing.T) {
	s := apikey.New(header, "", mustParse(t, keysFile("k", "")))
	var inForce apikey.InForce
	s.Recheck("psk", &inForce)
	inForce.Put(map[string]*apikey.Strategy{"psk": s})
	caller, err := s.Authenticate(request("k"))
	if err != nil || caller.Credential.Check() != nil {
		t.Fatalf("a valid key: %v", err)
	}
	inForce.Put(map[string]*apikey.Strategy{"psk": apikey.New(header, "", mustParse(t, keysFile("k", ", until: 2001-01-01T00:00:00Z")))})
	if caller.Credential.Check() == nil {
		t.Error("the key still works after its end")
	}
}

// In a file of any form, a rotation changes one entry or nothing.
func FuzzRotate(f *testing.F) {
	f.Add(fileOf("# a\nkeys:\n- id: k1 # b\n  sha256: OLD\n  subject: ci\n\n# c\n", apikey.Rotation{}))
	f.Add(fileOf("keys:\n- {sha256: 'OLD', id: \"k1\", subject: ci, until: 2999-01-01T00:00:00+02:00}\n", apikey.Rotation{}))
	f.Fuzz(func(t *testing.T, file string) {
		keys, err := apikey.ParseKeys("keys.yaml", []byte(file))
		if err != nil {
			return
		}
		r, err := apikey.Rotate([]byte(file), keys[0].ID, time.Now(), soon)
		if err != nil {
			return
		}
		rotated, err := apikey.ParseKeys("keys.yaml", r.File)
		if err != nil || len(rotated) != len(keys)+1 || rotated[0].ID != r.ID || rotated[1].SHA256 != keys[0].SHA256 {
			t.Errorf("%v: %q became %q", err, file, r.File)
		}
	})
}
