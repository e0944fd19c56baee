package contracttest

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Every answer is valid by the published document of its operation, with these exceptions. Each
// has a reason: a client relies on it, or the document omits it. The pattern matches the name of
// an answer, see promise.name.
var disagreements = []struct{ answers, reason string }{
	{
		`^openhands POST /api/secrets 201$`,
		"the document says 200; OpenHands' server and its own tests say 201, and its web page compares with that",
	},
	{
		`^openhands \S+ \S+ (400|404)$`,
		"the document has nothing but 200 and 422; servers that push secrets look for `already exists` in the message of a 400",
	},
	{
		`^openhandsv1 \S+ \S+ (400|404)$`,
		"the document's prose has them, its list of answers has not; the web page takes 404 of a deletion for success",
	},
	{
		`^sandbox GET \S+/\{secret_name\} 200$`,
		"the document says JSON; LookupSecret takes the whole body for the value, so OpenHands' server sends text/plain, too",
	},
	{
		`^sandbox GET \S+ (400|404)$`,
		"the document has nothing but 200 and 422, and OpenHands' server answers with these",
	},
	{
		`^(openhands|openhandsv1|sandbox) \S+ \S+ (401|403)$`,
		"OpenHands' documents ask for a credential and do not say what becomes of those who have none",
	},
	{
		`^openhandsv1 POST \S+ 422$`,
		"the document has a list of mistakes; OpenHands' server says in one sentence that a value is blank or redacted",
	},
	{
		`^\S+ \S+ \S+ (412|413|429|500|503|507)$`,
		"preconditions, limits and failures are our own to tell; no document has them",
	},
}

// unserved are the published operations that are not served, with reasons.
var unserved = map[string]string{
	"POST /api/add-git-providers":          providers,
	"POST /api/unset-provider-tokens":      providers,
	"POST /api/v1/secrets/git-providers":   providers,
	"DELETE /api/v1/secrets/git-providers": providers,
	"GET /api/v1/webhooks/secrets":         "it hands out provider tokens by a token that OpenHands' own server signs",
}

const providers = "provider tokens are tried out at their providers and refreshed there, which OpenHands does itself"

// disagrees reports whether the answer is a known disagreement with the published
// document.
func disagrees(name string) bool {
	name = strings.Join(strings.Fields(name), " ")
	return slices.ContainsFunc(disagreements, func(d struct{ answers, reason string }) bool {
		return regexp.MustCompile(d.answers).MatchString(name)
	})
}

// Every published operation is served, or has a reason in unserved.
func TestEveryPublishedOperationIsServedOrExplained(t *testing.T) {
	served := map[string]bool{}
	each(func(_ *promise, method, path string, _ operation) { served[method+" "+path] = true })
	published := map[string]bool{}
	for _, p := range promises {
		if p.published == nil {
			continue
		}
		for _, op := range p.published.operations() {
			published[op] = true
			if _, explained := unserved[op]; served[op] == explained {
				t.Errorf("%s: served is %v, explained is %v", op, served[op], explained)
			}
		}
	}
	for op := range unserved {
		if !published[op] {
			t.Errorf("%s is explained, and not published", op)
		}
	}
}

// The list must stay current: each entry is an answer that the document omits, or that
// the witness found to violate it.
func TestEveryDisagreementStillExists(t *testing.T) {
	needed := map[string]bool{}
	each(func(p *promise, method, path string, op operation) {
		if p.published == nil || p.published.operation(method, path) == nil {
			return
		}
		for status := range op.Responses {
			name := strings.Join(strings.Fields(p.name(method, path, status)), " ")
			declared := p.published.operation(method, path).Responses.Codes.GetOrZero(fmt.Sprint(status)) != nil
			if !declared && !disagrees(name) {
				t.Errorf("%s is not in the published document, and nobody says why", name)
			}
			if declared && disagrees(name) && !strings.HasPrefix(name, "sandbox GET ") && name != "openhandsv1 POST /api/v1/secrets 422" {
				t.Errorf("%s is in the published document: where is the disagreement?", name)
			}
			for _, d := range disagreements {
				needed[d.answers] = needed[d.answers] || regexp.MustCompile(d.answers).MatchString(name)
			}
		}
	})
	for _, d := range disagreements {
		if !needed[d.answers] {
			t.Errorf("%s: no operation has such an answer", d.answers)
		}
	}
}
