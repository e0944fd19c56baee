package contracttest

import (
	"fmt"
	"strings"
	"testing"
)

// A dialect is an API's form of the operations that both APIs have.
type dialect struct {
	name        string
	key         string                   // the header for it
	create      string                   // the path to post to
	path        string                   // of the secret MINE
	draft       func(name string) string // a body that makes a secret, or updates one
	update      string                   // a body for MINE
	made, taken int                      // statuses of a creation

	noKey, badKey, twoKeys     string // answers from here on
	forbidden                  string
	lost, notSo                string // for an unknown path or method
	absent                     string // for an unknown secret
	malformed, repeated, stale string // for If-Match
	unreadable, tooLarge       string
}

var openhands = dialect{
	name: "openhands", key: sessionKey, create: "/api/secrets", path: "/api/secrets/MINE",
	draft: custom, update: `{"name":"MINE","description":"d"}`, made: 201, taken: 400,

	noKey: `{"detail":"Unauthorized"}`, badKey: `{"detail":"Unauthorized"}`, twoKeys: `{"message":"Send one credential only"}`,
	forbidden: `{"error":"Forbidden"}`,
	lost:      `{"detail":"Not Found"}`, notSo: `{"detail":"Method Not Allowed"}`,
	absent:    `{"error":"Secret with ID MINE not found"}`,
	malformed: `{"message":"If-Match must be one strong entity tag or *"}`, repeated: `{"message":"Send every header once"}`,
	stale:      `{"error":"Secret with ID MINE has changed"}`,
	unreadable: `{"detail":"There was an error parsing the body"}`, tooLarge: `{"error":"Request body is too large"}`,
}

var nx1 = dialect{
	name: "nx1", key: psk, create: secrets, path: secrets + "/MINE",
	draft:  func(name string) string { return secret(name, "K", canary) },
	update: data("K", canary), made: 200, taken: 409,

	noKey:  problem(401, "Send a key in the header Authorization-PSK."),
	badKey: problem(401, "The credential is not valid."), twoKeys: problem(400, "Send one credential only."),
	forbidden: problem(403, "Forbidden."),
	lost:      problem(404, "Not Found."), notSo: problem(405, "Method Not Allowed."),
	absent:    problem(404, "Secret not found."),
	malformed: problem(400, "If-Match must be one strong entity tag or *."), repeated: problem(400, "Send every header once."),
	stale:      problem(412, "Secret has changed."),
	unreadable: problem(400, "The request body cannot be read."), tooLarge: problem(413, "The request body is too large."),
}

var dialects = []dialect{openhands, nx1}

var vault = dialect{
	name: "vault", key: vaultToken,
	noKey:  errorsOf("missing client token: send an API key in the header X-Vault-Token"),
	badKey: errorsOf("permission denied: the client token is not valid"), twoKeys: errorsOf("Send one credential only"),
	forbidden: errorsOf("permission denied"),
	lost:      errorsOf("no handler for this path: only reading KV secrets of version 2 is supported, and the server's config names the mount"),
	notSo:     errorsOf("this API is read-only: change secrets through the other APIs, the console or the strongroom commands"),
	absent:    `{"errors":[]}`,
}

// errorsOf returns an error in Vault's form.
func errorsOf(text string) string { return `{"errors":["` + text + `"]}` }

// unauthenticated returns the status of an answer to a request without a valid key.
func (d dialect) unauthenticated() int {
	if d.name == vault.name {
		return 403
	}
	return 401
}

// inBoth runs a test for either API.
func inBoth(t *testing.T, test func(t *testing.T, d dialect)) {
	for _, d := range dialects {
		t.Run(d.name, func(t *testing.T) { test(t, d) })
	}
}

// spokenAt returns the dialect of a path. Paths of no API get OpenHands'.
func spokenAt(path string) dialect {
	for _, d := range []struct {
		prefix string
		dialect
	}{{"/api/app", nx1}, {"/api/settings/secrets", agentserver}, {"/api/v1/sandboxes", sandbox}, {"/api/v1", openhandsv1}, {"/v1", vault}} {
		if rest, ok := strings.CutPrefix(path, d.prefix); ok && (rest == "" || rest[0] == '/') {
			return d.dialect
		}
	}
	return openhands
}

// The newer APIs of OpenHands put every error text into detail.
var (
	agentserver = newer("agentserver", "Unauthorized", "Unauthorized")
	openhandsv1 = newer("openhandsv1", "Unauthorized", "Unauthorized")
	sandbox     = newer("sandbox", "X-Session-API-Key header is required", "Invalid session API key")
)

func newer(name, noKey, badKey string) dialect {
	return dialect{
		name: name, key: sessionKey,
		noKey: says(noKey), badKey: says(badKey), twoKeys: says("Send one credential only"),
		forbidden: says("Forbidden"),
		lost:      says("Not Found"), notSo: says("Method Not Allowed"),
		absent:    says("Secret not found"),
		malformed: says("If-Match must be one strong entity tag or *"), repeated: says("Send every header once"),
		stale:      says("Secret has changed"),
		unreadable: says("There was an error parsing the body"), tooLarge: says("Request body is too large"),
	}
}

// says returns an error in their form.
func says(text string) string { return `{"detail":"` + text + `"}` }

// OpenHands' texts for success.
const (
	created = `{"message":"Secret created successfully"}`
	updated = `{"message":"Secret updated successfully"}`
	deleted = `{"message":"Secret deleted successfully"}`
)

// custom returns a body that creates a custom secret.
func custom(name string) string { return `{"name":"` + name + `","value":"` + canary + `"}` }

// noSecret returns OpenHands' answer for an unknown secret.
func noSecret(id string) string { return `{"error":"Secret with ID ` + id + ` not found"}` }

// list returns OpenHands' list of secrets without descriptions.
func list(names ...string) string {
	var items []string
	for _, name := range names {
		items = append(items, `{"name":"`+name+`","description":""}`)
	}
	return `{"custom_secrets":[` + strings.Join(items, ",") + `]}`
}

// mebibyte is the size limit of a secret's values.
const mebibyte = 1 << 20

// secrets is the path of the shop's secrets.
const secrets = "/api/app/" + shop + "/secrets"

// problem returns an error in Nx1's form.
func problem(status int, text string) string {
	return fmt.Sprintf(`{"error":"%s","code":%d}`, text, status)
}

// data returns Nx1's body with these keys and values.
func data(keysAndValues ...string) string {
	var pairs []string
	for i := 0; i < len(keysAndValues); i += 2 {
		pairs = append(pairs, fmt.Sprintf(`{"key":"%s","value":"%s"}`, keysAndValues[i], keysAndValues[i+1]))
	}
	return `{"data":[` + strings.Join(pairs, ",") + `]}`
}

// secret returns a body that creates a secret in Nx1.
func secret(name string, keysAndValues ...string) string {
	return `{"secret_name":"` + name + `",` + data(keysAndValues...)[1:]
}

// shown returns Nx1's answer for a secret of the shop.
func shown(name string, keysAndValues ...string) string {
	body := data(keysAndValues...)
	return fmt.Sprintf(`{"secret_name":"%s","k8s_name":"%s",%s,"created_at":"NOW"}`, name, k8sNames[name], body[1:len(body)-1])
}
