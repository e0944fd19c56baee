package contracttest

import (
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// Two apps. Most tests use the first.
const (
	shop  = "0f8fad5b-d9cb-469f-a165-70867728950e"
	other = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
)

// admin has the keys that init printed. All others are in people.
const admin = "admin"

const all = "list, create, write, delete, reveal"

// people have one key for each API, with the same grants.
var people = map[string]struct {
	user   string
	grants []string
}{
	"lister":  {"default", []string{grant("list", "user/default"), grant("list", "app/*")}},
	"clerk":   {"default", []string{grant("list, create, write, delete", "user/default"), grant("list, create, write, delete", "app/*")}},
	"stocker": {"default", []string{grant("create, write", "user/default"), grant("create, write", "app/*")}},

	// Grants on another app only.
	"neighbour": {"default", []string{grant(all, "app/"+other)}},
	"nobody":    {"default", nil},
	"expired":   {"default", []string{until(grant(all, "user/default")), until(grant(all, "app/*"))}},
	"bob":       {"bob", []string{grant(all, "user/bob")}},

	// Only some secrets, of an app with an id in upper case; and all but some.
	"keeper": {"default", []string{named(grant(all, "user/default"), "MINE"), named(grant(all, "app/"+strings.ToUpper(shop)), "MINE")}},
	"intern": {"default", []string{
		grant(all, "user/default"), deny(named(grant(all, "user/default"), "PAYROLL")),
		grant(all, "app/*"), deny(named(grant(all, "app/*"), "PAYROLL")),
	}},
	"reader": {"default", []string{
		grant(all, "user/default"), deny(grant("write, delete, create", "user/default")),
		grant(all, "app/*"), deny(grant("write, delete, create", "app/*")),
	}},
}

func grant(actions, owner string) string {
	return fmt.Sprintf("actions: [%s], owner: %s", actions, owner)
}
func named(grant, name string) string { return grant + ", names: [" + name + "]" }
func deny(grant string) string        { return grant + ", deny: true" }
func until(grant string) string       { return grant + ", until: 2020-01-01T00:00:00Z" }

// addKeys adds the keys of all people to the keys files, after init's own key.
func addKeys(t *testing.T, dir string) {
	t.Helper()
	for file, header := range map[string]string{"session-keys.yaml": sessionKey, "psks.yaml": psk} {
		rewrite(t, filepath.Join(dir, "keys", file), func(text string) string {
			for who, p := range people {
				text += fmt.Sprintf("    - {id: %s, sha256: %x, subject: %s, user: %s, grants: [", who, sha256.Sum256([]byte(keyOf(who, header))), who, p.user)
				for _, g := range p.grants {
					text += "{" + g + "}, "
				}
				text += "]}\n"
			}
			return text
		})
	}
}

// keyOf returns the key of a person.
func keyOf(who, header string) string {
	if header == vaultToken { // it takes the keys of another header
		header = sessionKey
	}
	return canary + "-" + header + "-of-" + who
}

// canary is a part of every value and key, so that a leak is found by searching for it.
const canary = "c4n4ry"

// leaks reports whether a text has a value or a key, including init's keys.
func leaks(text string) bool { return strings.Contains(text, canary) || strings.Contains(text, "srk_") }
