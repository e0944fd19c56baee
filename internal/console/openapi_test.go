package console

import (
	"testing"

	"github.com/strongroom/strongroom/specs"
)

func TestEveryServedDocumentCanBeShown(t *testing.T) {
	for name, text := range map[string][]byte{
		"nx1": specs.Nx1, "openhands": specs.OpenHands, "agentserver": specs.AgentServer, "openhandsv1": specs.OpenHandsV1, "sandbox": specs.Sandbox, "vault": specs.Vault,
	} {
		doc, err := readDoc(Document{name, text})
		if err != nil {
			t.Fatal(err)
		}
		if doc.Title == "" || len(doc.Operations) == 0 || len(doc.Credentials) == 0 {
			t.Errorf("%s: got %q with %d operations and the credentials %v", name, doc.Title, len(doc.Operations), doc.Credentials)
		}
		for _, op := range doc.Operations {
			if op.ID == "" || op.Summary == "" || len(op.Responses) == 0 || (op.Body == nil) != (op.Example == "") {
				t.Errorf("%s: %s %s lacks a part: %+v", name, op.Method, op.Path, op)
			}
			for _, r := range op.Responses {
				if r.Description == "" {
					t.Errorf("%s: %s %s: %s has no description", name, op.Method, op.Path, r.Status)
				}
			}
		}
	}
}

func TestTemplatesAreValid(t *testing.T) {
	for name, page := range allPages().byName {
		if page.Lookup("main") == nil {
			t.Errorf("%s has no main part", name)
		}
	}
}
