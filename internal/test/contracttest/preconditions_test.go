package contracttest

import (
	"strings"
	"testing"
)

func TestAWriterWhoIsLateChangesNothing(t *testing.T) {
	inBoth(t, func(t *testing.T, d dialect) {
		c := serve(t).caller(t, d.key, admin)
		first := c.post(d.create, d.draft("MINE")).etag()
		second := c.with("If-Match", first).put(d.path, d.update).wantsStatus(200).etag()
		if first == second {
			t.Errorf("the ETag is still %s", first)
		}
		late := c.with("If-Match", first)
		late.put(d.path, d.update).wants(412, d.stale)
		late.delete(d.path).wants(412, d.stale)
		c.with("If-Match", second).delete(d.path).wantsStatus(200)

		if again := c.post(d.create, d.draft("MINE")).etag(); again == first || again == second {
			t.Errorf("a secret that is new has %s, which the old one had", again)
		}
		c.with("If-Match", second).delete(d.path).wants(412, d.stale)
		c.with("If-Match", "*").put(d.path, d.update).wantsStatus(200)
		c.with("If-Match", "*").delete(d.path).wantsStatus(200)
	})
}

func TestIfMatchTakesOneTag(t *testing.T) {
	inBoth(t, func(t *testing.T, d dialect) {
		c := serve(t).caller(t, d.key, admin)
		tag := c.post(d.create, d.draft("MINE")).etag()
		for _, header := range []string{
			"w/" + tag, "W/" + strings.Trim(tag, `"`), strings.Trim(tag, `"`), tag + ", " + tag, tag + ",", "*, " + tag, `"*"`, `""`, `"`, "", "**", "'x'", `"a b"`, `"` + canary,
		} {
			picky := c.with("If-Match", header)
			picky.put(d.path, d.update).wants(400, d.malformed)
			picky.delete(d.path).wants(400, d.malformed)
		}
		c.with("If-Match", tag).with("If-Match", tag).put(d.path, d.update).wants(400, d.repeated)
		c.with("If-Match", tag).with("If-Match", tag).delete(d.path).wants(400, d.repeated)
		spaced := c.with("If-Match", " "+tag+" ")
		spaced.odd = true // the validator sees the spaces, which HTTP drops
		spaced.put(d.path, d.update).wantsStatus(200)
		c.with("If-Match", "W/"+tag).put(d.path, d.update).wants(412, d.stale)
		weakened := "W/" + c.with("If-Match", "*").put(d.path, d.update).etag()
		c.with("If-Match", weakened).delete(d.path).wantsStatus(200)
	})
}

// A missing secret is 404 before its condition is checked.
func TestAConditionOnNothingIs404(t *testing.T) {
	inBoth(t, func(t *testing.T, d dialect) {
		c := serve(t).caller(t, d.key, admin)
		for _, header := range []string{`"x"`, "*"} {
			c.with("If-Match", header).put(d.path, d.update).wants(404, d.absent)
			c.with("If-Match", header).delete(d.path).wants(404, d.absent)
		}
	})
}

func TestOpenHandsTagsChangeWithTheSecret(t *testing.T) {
	c := serve(t).openhands(t, admin)
	tags := map[string]bool{c.post("/api/secrets", custom("A")).etag(): true}
	for _, change := range []string{"A " + `{"name":"A","description":"d"}`, "A " + `{"name":"A"}`, "A " + `{"name":"B"}`, "B " + `{"name":"A"}`} {
		path, body, _ := strings.Cut(change, " ")
		tag := c.put("/api/secrets/"+path, body).wants(200, updated).etag()
		if tags[tag] {
			t.Errorf("%s: %s was the tag before", change, tag)
		}
		tags[tag] = true
	}
}

func TestNx1ReadersNeedNotReadTwice(t *testing.T) {
	c := serve(t).nx1(t, admin)
	old := c.post(secrets, secret("MINE", "K", canary)).etag()
	tag := c.put(secrets+"/MINE", data("K", canary)).etag()
	for _, path := range []string{secrets + "/MINE", secrets + "/MINE/reveal"} {
		if got := c.get(path).etag(); got != tag {
			t.Errorf("%s: the ETag is %s, want %s", path, got, tag)
		}
	}
	for header, want := range map[string]int{
		tag: 304, "W/" + tag: 304, old + ", " + tag: 304, "*": 304, tag + ",": 304,
		old: 200, "x": 200, "": 200, strings.Trim(tag, `"`): 200, `"` + tag + `"`: 200,
	} {
		a := c.with("If-None-Match", header).get(secrets + "/MINE")
		if want == 304 {
			a.wants(304, "").wantsHeader("ETag", tag)
		} else {
			a.wants(200, shown("MINE", "K", "****")).wantsHeader("ETag", tag)
		}
	}
	c.with("If-None-Match", tag).with("If-None-Match", tag).get(secrets+"/MINE").wants(400, nx1.repeated)
	// A repeated reveal returns the values again, never 304.
	c.with("If-None-Match", tag).get(secrets+"/MINE/reveal").wants(200, shown("MINE", "K", canary))
	c.with("If-None-Match", "*").get(secrets+"/db").wants(404, nx1.absent)
}
