package contracttest

import (
	"strings"
	"testing"
)

// FastAPI accepts a UUID in any of these forms. All mean the same app.
func TestEveryFormOfAnAppsIDIsTheSameApp(t *testing.T) {
	s := stocked(t)
	c := s.nx1(t, admin)
	for _, form := range []string{
		strings.ToUpper(shop), strings.ReplaceAll(shop, "-", ""), "urn:uuid:" + shop, "%7B" + shop + "%7D",
	} {
		path := "/api/app/" + form + "/secrets"
		c.odd = form != strings.ToUpper(shop) // the validator knows only this form
		c.raw("GET", path+"/MINE", "").wants(200, shown("MINE", "K", "****"))
		c.raw("PUT", path+"/MINE", data("K", canary+form)).wantsStatus(200)
		c.odd = false
		c.get(secrets+"/MINE/reveal").wants(200, shown("MINE", "K", canary+form))
	}
	tail := s.administer(t, "audit", "tail")
	if strings.Contains(tail, strings.ToUpper(shop)) || !strings.Contains(tail, shop) {
		t.Errorf("the audit log has another form of the id:\n%s", tail)
	}
}
