package contracttest

import (
	"strings"
	"testing"
)

// FastAPI takes a UUID in any of these forms, and inside there is one of them.
func TestEveryFormOfAnAppsIDIsTheSameApp(t *testing.T) {
	s := stocked(t)
	c := s.nx1(t, admin)
	want := c.get(secrets + "/MINE").wantsStatus(200).body
	for _, form := range []string{
		strings.ToUpper(shop), strings.ReplaceAll(shop, "-", ""), "urn:uuid:" + shop, "%7B" + shop + "%7D",
	} {
		path := "/api/app/" + form + "/secrets"
		c.raw("GET", path+"/MINE", "").wants(200, want)
		c.raw("PUT", path+"/MINE", data("K", canary+form)).wantsStatus(200)
		c.get(secrets+"/MINE/reveal").wants(200, strings.Replace(want, "****", canary+form, 1))
	}
	tail := s.administer(t, "audit", "tail")
	if strings.Contains(tail, strings.ToUpper(shop)) || !strings.Contains(tail, shop) {
		t.Errorf("the audit log has another form of the id:\n%s", tail)
	}
}
