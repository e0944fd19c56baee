package contracttest

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
)

// The routes of the V1 API, and their texts.
const (
	v1      = "/api/v1/secrets"
	search  = v1 + "/search"
	saved   = created
	envRule = "must be the name of an environment variable"
)

// page returns a page of a search, and items its entries for secrets without descriptions.
func page(next string, items ...string) string {
	if next != "null" {
		next = `"` + next + `"`
	}
	return `{"items":[` + strings.Join(items, ",") + `],"next_page_id":` + next + `}`
}

// missingV1 returns V1's answer for an unknown secret.
func missingV1(id string) string { return says("Secret with ID " + id + " not found") }

func items(names ...string) (all []string) {
	for _, name := range names {
		all = append(all, entry(name, ""))
	}
	return all
}

func TestV1FromCreateToDelete(t *testing.T) {
	c := serve(t).openhands(t, admin)
	c.get(search).wants(200, page("null"))
	first := c.post(v1, `{"name":"A","value":"`+canary+`","description":"d"}`).wants(201, saved).etag()
	c.get(search).wants(200, page("null", entry("A", "d")))
	// A second POST overwrites the value, and keeps the description if it sends none.
	second := c.post(v1, `{"name":"A","value":"`+canary+`2"}`).wants(201, saved).etag()
	c.post(v1, `{"name":"A","value":"`+canary+`3","description":null}`).wants(201, saved)
	c.get(search).wants(200, page("null", entry("A", "d")))
	c.get(settings + "/A").wantsValue(canary + "3")
	c.post(v1, `{"name":"A","value":"`+canary+`4","description":""}`).wants(201, saved)
	c.get(search).wants(200, page("null", entry("A", "")))
	if first == second {
		t.Errorf("the ETag is still %s", first)
	}

	c.put(v1+"/A", `{"name":"B","description":"was A"}`).wants(200, updated)
	c.put(v1+"/A", `{"name":"A"}`).wants(404, missingV1("A"))
	c.get(search).wants(200, page("null", entry("B", "was A")))
	c.put(v1+"/B", `{"name":"B"}`).wants(200, updated)
	c.get(search).wants(200, page("null", entry("B", "")))
	c.get(settings + "/B").wantsValue(canary + "4")
	c.post(v1, custom("TAKEN")).wants(201, saved)
	c.put(v1+"/B", `{"name":"TAKEN"}`).wants(400, says("Secret TAKEN already exists"))
	c.delete(v1+"/B").wants(200, deleted)
	c.delete(v1+"/B").wants(404, missingV1("B"))
	c.get("/api/secrets").wants(200, list("TAKEN"))
}

func TestV1SearchesInPages(t *testing.T) {
	c := serve(t).openhands(t, admin)
	for _, name := range []string{"b", "B_TOKEN", "a", "api_token", "_", "search"} {
		c.post(v1, custom(name)).wants(201, saved)
	}
	for query, want := range map[string]string{
		"":                                  page("null", items("B_TOKEN", "_", "a", "api_token", "b", "search")...),
		"?limit=100":                        page("null", items("B_TOKEN", "_", "a", "api_token", "b", "search")...),
		"?limit=6":                          page("null", items("B_TOKEN", "_", "a", "api_token", "b", "search")...),
		"?limit=5":                          page("b", items("B_TOKEN", "_", "a", "api_token", "b")...),
		"?limit=1":                          page("B_TOKEN", items("B_TOKEN")...),
		"?limit=2&page_id=a":                page("b", items("api_token", "b")...),
		"?page_id=c&limit=1":                page("B_TOKEN", items("B_TOKEN")...), // of a deleted name: from the beginning
		"?name__contains=tok&page_id=b":     page("null"),
		"?name__contains=t&page_id=B_TOKEN": page("null", items("api_token")...),
		"?page_id=search":                   page("null"),
		"?page_id=":                         page("null", items("B_TOKEN", "_", "a", "api_token", "b", "search")...),
		"?name__contains=TOKEN":             page("null", items("B_TOKEN", "api_token")...),
		"?name__contains=token&limit=1":     page("B_TOKEN", items("B_TOKEN")...),
		"?name__contains=_&page_id=a":       page("null", items("api_token")...),
		"?name__contains=&limit=1":          page("B_TOKEN", items("B_TOKEN")...),
		"?name__contains=%5F&other=%zz":     refused(detail("string_unicode", "query", notUnicode)),
		"?limit=0":                          refused(detail("greater_than", "query.limit", "Input should be greater than 0")),
		"?limit=101":                        refused(detail("less_than_equal", "query.limit", "Input should be less than or equal to 100")),
		"?limit=x":                          refused(detail("int_parsing", "query.limit", "Input should be a valid integer, unable to parse string as an integer")),
		"?limit=":                           refused(detail("int_parsing", "query.limit", "Input should be a valid integer, unable to parse string as an integer")),
		"?page_id=%ff":                      refused(detail("string_unicode", "query.page_id", notUnicode)),
		"?name__contains=&limit=0&limit=1":  refused(detail("int_type", "query.limit", "Input should be a valid integer")),
	} {
		status := 200
		if strings.Contains(want, "detail") {
			status = 422
		}
		c.raw("GET", search+query, "").wants(status, want)
	}
	// A secret named search is an ordinary secret.
	c.put(search, `{"name":"search","description":"d"}`).wants(200, updated)
	c.delete(search).wants(200, deleted)
}

const notUnicode = "Input should be a valid string, unable to parse raw data as a unicode string"

// Like its web page: page by page to the end.
func TestV1PagesMeetEverySecretOnce(t *testing.T) {
	c := serve(t).openhands(t, admin)
	var want []string
	for i := range 23 {
		want = append(want, entry(fmt.Sprintf("S%02d", i), ""))
		c.post(v1, custom(fmt.Sprintf("S%02d", i))).wants(201, saved)
	}
	var got []string
	for next := ""; ; {
		a := c.get(search + "?limit=5&page_id=" + url.QueryEscape(next)).wantsStatus(200)
		body, rest, _ := strings.Cut(strings.TrimPrefix(a.body, `{"items":[`), `],"next_page_id":`)
		got = append(got, body)
		next = strings.Trim(rest, `"}`)
		if next == "null" {
			break
		}
	}
	if strings.Join(got, ",") != strings.Join(want, ",") {
		t.Errorf("got %s", got)
	}
}

func TestV1Names(t *testing.T) {
	c := serve(t).openhands(t, admin)
	for _, name := range []string{"", "API-KEY", "1A", "é", "a b", "."} {
		c.post(v1, custom(name)).wants(422, refused(noValue("name", envRule)))
	}
	c.post(v1, custom("A")).wants(201, saved)
	c.put(v1+"/A", `{"name":"A-B"}`).wants(422, refused(noValue("name", envRule)))
	// A name given through another API may stay.
	c.post("/api/secrets", custom("A-B é")).wants(201, created)
	c.put(v1+"/A-B%20%C3%A9", `{"name":"A-B é","description":"d"}`).wants(200, updated)
	c.get(search+"?name__contains=%C3%89").wants(200, page("null", entry("A-B é", "d")))
	c.delete(v1+"/A-B%20%C3%A9").wants(200, deleted)
}

func TestV1RevealsNothingBeyondTheGrants(t *testing.T) {
	for _, tc := range []struct {
		who, secret                           string
		list, save, fresh, put, rename, clear int
	}{
		{"nobody", "MINE", 403, 403, 403, 403, 403, 403},
		{"bob", "MINE", 200, 201, 201, 200, 200, 404},
		{"lister", "MINE", 200, 403, 403, 403, 403, 403},
		{"clerk", "MINE", 200, 201, 201, 200, 200, 404},
		{"stocker", "MINE", 403, 201, 201, 200, 200, 403},
		{"reader", "MINE", 200, 403, 403, 403, 403, 403},
		{"keeper", "MINE", 200, 201, 403, 200, 403, 200},
		{"keeper", "PAYROLL", 200, 403, 403, 404, 404, 404},
		{"intern", "PAYROLL", 200, 403, 201, 404, 404, 404},
	} {
		t.Run(tc.who+" and "+tc.secret, func(t *testing.T) {
			c := stocked(t).openhands(t, tc.who)
			path := v1 + "/" + tc.secret
			for _, ask := range []struct {
				a    answer
				want int
			}{
				{c.get(search), tc.list},
				{c.post(v1, custom(tc.secret)), tc.save},
				{c.post(v1, custom("NEW")), tc.fresh},
				{c.put(path, `{"name":"`+tc.secret+`"}`), tc.put},
				{c.put(path, `{"name":"OTHER"}`), tc.rename},
				{c.delete(path), tc.clear},
			} {
				switch ask.want {
				case 403:
					ask.a.wants(403, openhandsv1.forbidden)
				case 404:
					ask.a.wants(404, missingV1(tc.secret))
				default:
					ask.a.wantsStatus(ask.want)
				}
			}
		})
	}
}

func TestV1RefusesWhatItCannotRead(t *testing.T) {
	s := serve(t)
	c := s.openhands(t, admin)
	s.undisturbed(t, func() {
		c.post(v1, `{"value":5}`).wants(422, refused(missing("body.name"), notText("body.value")))
		c.put(v1+"/MINE", `{}`).wants(422, refused(missing("body.name")))
		c.post(v1, "{\"name\":\"\xff\"}").wants(400, openhandsv1.unreadable)
		c.post(v1, strings.Repeat(" ", 10*mebibyte)).wants(413, openhandsv1.tooLarge)
		c.put(v1+"/MINE", strings.Repeat(" ", 10*mebibyte)).wants(413, openhandsv1.tooLarge)
		for _, header := range []struct{ value, want string }{{"x", openhandsv1.malformed}} {
			c.with("If-Match", header.value).put(v1+"/MINE", `{"name":"MINE"}`).wants(400, header.want)
			c.with("If-Match", header.value).delete(v1+"/MINE").wants(400, header.want)
		}
		c.with("If-Match", `"old"`).put(v1+"/MINE", `{"name":"MINE"}`).wants(412, openhandsv1.stale)
		c.with("If-Match", `"old"`).delete(v1+"/MINE").wants(412, openhandsv1.stale)
		c.get(v1+"/MINE").wants(405, openhandsv1.notSo).wantsHeader("Allow", "OPTIONS, DELETE, PUT")
		c.get(v1).wants(405, openhandsv1.notSo).wantsHeader("Allow", "OPTIONS, POST")
		c.get(v1+"/a/b").wants(404, openhandsv1.lost)
	})
}

// V1's clients unset provider tokens with this call. We do not manage those.
func TestUnsettingProviderTokensOfV1DeletesNoSecret(t *testing.T) {
	c := serve(t).openhands(t, admin)
	c.post("/api/secrets", custom("git-providers")).wants(201, created)
	c.delete(v1+"/git-providers").wants(404, openhandsv1.lost)
	c.get("/api/secrets").wants(200, list("git-providers"))
	c.delete("/api/secrets/git-providers").wantsStatus(200)
}

// V1's clients call other routes too, and treat a 401 as the end of their login.
func TestOtherV1RoutesAre404WithV1Credentials(t *testing.T) {
	s := serve(t)
	for _, header := range []string{"X-Session-API-Key: KEY", "X-Access-Token: KEY", "Authorization: Bearer KEY"} {
		s.sends(t, s.printed[sessionKey], "GET /api/v1/users/me HTTP/1.1\nHost: HOST\n"+header+"\n\n").wants(404, openhandsv1.lost)
	}
}

// The published document requires X-Access-Token.
func TestV1TakesItsKeyInMoreThanOneHeader(t *testing.T) {
	s := serve(t)
	key := s.printed[sessionKey]
	for header, status := range map[string]int{sessionKey: 200, "X-Access-Token": 200, psk: 401} {
		s.stranger(t).with(header, key).get(search).wantsStatus(status)
	}
	s.stranger(t).with("X-Access-Token", key).with(sessionKey, key).get(search).wants(400, openhandsv1.twoKeys)
	s.stranger(t).with("X-Access-Token", key).get("/api/secrets").wants(401, openhands.noKey)
}
