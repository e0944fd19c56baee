package contracttest

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

// compatibility is the table in specs/README.md. Each row is a client and a call; its test sends
// the client's bytes, as far as they are known, and checks the parts of the answer it relies on.
var compatibility = []struct {
	client, call string
	test         func(t *testing.T)
}{
	{"OpenHands 0.53.0, web page", "GET /api/secrets", pageLists},
	{"OpenHands 0.53.0, web page", "POST /api/secrets", pageCreates},
	{"OpenHands 0.53.0, web page", "PUT /api/secrets/{id}", pageUpdates},
	{"OpenHands 0.53.0, web page", "DELETE /api/secrets/{id}", pageDeletes},
	{"OpenHands 0.53.0, web page", "all, behind a proxy that adds the key", pageBehindAProxy},
	{"OpenHands 0.53.0, web page", "all, from another origin", pageFromAnotherOrigin},
	{"OpenHands 0.53.0, pushing server", "POST /api/secrets", serverPushes},
	{"OpenHands 0.53.0, pushing server", "POST /api/secrets, resuming", serverResumes},
	{"OpenHands SDK, RemoteWorkspace", "GET /api/settings/secrets", workspaceLists},
	{"OpenHands SDK, RemoteWorkspace", "GET /api/settings/secrets?agent_profile_id=", workspaceListsForAProfile},
	{"OpenHands SDK, RemoteWorkspace", "GET /api/settings/secrets/{name}", workspaceReads},
	{"OpenHands SDK, OpenHandsCloudWorkspace", "GET /api/v1/sandboxes/{id}/settings/secrets", cloudWorkspaceLists},
	{"OpenHands SDK, OpenHandsCloudWorkspace", "GET /api/v1/sandboxes/{id}/settings/secrets/{name}", cloudWorkspaceReads},
	{"OpenHands SDK, Docker runtime", "GET /api/settings/secrets/{name}, once each", dockerRuntimeReads},
	{"OpenHands SDK, versioned credential", "GET, PUT /api/settings/secrets/{name}/binding", credentialIsRenewed},
	{"OpenHands SDK, LookupSecret", "GET of a value", lookupSecret},
	{"agent-canvas, local", "GET, PUT, DELETE /api/settings/secrets", canvasLocally},
	{"agent-canvas, local", "rename", canvasRenames},
	{"agent-canvas, cloud", "GET /api/v1/secrets/search", canvasSearches},
	{"agent-canvas, cloud", "POST, PUT, DELETE /api/v1/secrets", canvasSaves},
	{"agent-canvas, newer cloud", "PUT, then POST /api/v1/secrets", canvasSavesInTwoSteps},
	{"OpenHands extensions, automations", "GET /api/settings/secrets[/{name}]", automationReads},
	{"clients generated from the V1 document", "all, with X-Access-Token", generatedForV1},
	{"Nx1 SDK", "list, create, get, update, delete, reveal", nx1SDK},
	{"Nx1 SDK", "what it shows of errors", nx1SDKErrors},
	{"External Secrets Operator, webhook", "GET /api/settings/secrets/{name}", operatorReadsCustomSecrets},
	{"External Secrets Operator, webhook", "GET /api/app/{app_id}/secrets/{name}/reveal", operatorReadsAppsSecrets},
}

func TestClients(t *testing.T) {
	for _, row := range compatibility {
		t.Run(row.client+", "+row.call, row.test)
	}
}

// The table lists the tested calls, and nothing else.
func TestTheReadmesTableOfClients(t *testing.T) {
	text, err := os.ReadFile("../../../specs/README.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile("(?m)^\\| ([^|`]+) \\| (`?)([^|]+?)(`?) \\| [^|]+ \\|$")
	_, rest, _ := strings.Cut(string(text), "<!-- clients -->")
	table, _, found := strings.Cut(rest, "<!-- /clients -->")
	if !found {
		t.Fatal("specs/README.md has no table of clients")
	}
	var promised, tested []string
	for _, row := range rows.FindAllStringSubmatch(table, -1) {
		if row[1] != "client" {
			promised = append(promised, row[1]+" | "+strings.ReplaceAll(row[3], "`", ""))
		}
	}
	for _, row := range compatibility {
		tested = append(tested, row.client+" | "+row.call)
	}
	if got, want := strings.Join(promised, "\n"), strings.Join(tested, "\n"); got != want {
		t.Errorf("specs/README.md lists\n%s\nbut the tests cover\n%s", got, want)
	}
}

// sends writes a request unchanged, with CRLF line ends. HOST, KEY and LENGTH are replaced by
// their values.
func (c caller) sends(key, text string) answer {
	c.t.Helper()
	head, body, _ := strings.Cut(text, "\n\n")
	head = strings.ReplaceAll(strings.TrimPrefix(head, "\n"), "\n", "\r\n")
	head = strings.NewReplacer("HOST", c.address, "KEY", key, "LENGTH", fmt.Sprint(len(body))).Replace(head)
	return c.send(head + "\r\n\r\n" + body)
}

// sends writes a request that has no headers except those in the text.
func (s *server) sends(t *testing.T, key, text string) answer {
	t.Helper()
	return s.stranger(t).sends(key, text)
}
