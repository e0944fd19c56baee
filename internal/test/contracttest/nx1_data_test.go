package contracttest

import (
	"fmt"
	"strings"
	"testing"
)

// Data that Kubernetes refuses is a 400 that names data keys and fields, never a value.
func TestNx1Refusals(t *testing.T) {
	const key = "must consist of letters, digits, '-', '_' and '.'"
	c := serve(t).nx1(t, admin)
	c.post(secrets, secret("MINE", "K", canary))
	for _, tc := range []struct{ name, data, want string }{
		{"no key", data("", canary), "data[0].key: must not be empty"},
		{"a slash", data("a/b", canary), "data[0].key: " + key},
		{"a space", data("a", "v", "a b", canary), "data[1].key: " + key},
		{"an umlaut", data("ä", canary), "data[0].key: " + key},
		{"a line", data(`K\n`, canary), "data[0].key: " + key},
		{"NUL", data(`\u0000`, canary), "data[0].key: " + key},
		{"a value in the place of a key", data(canary+"=", "K"), "data[0].key: " + key},
		{"a dot", data(".", canary), "data[0].key: must not be '.' or start with '..'"},
		{"two dots", data("..", canary), "data[0].key: must not be '.' or start with '..'"},
		{"two dots and more", data("..data", canary), "data[0].key: must not be '.' or start with '..'"},
		{"too long", data(strings.Repeat("k", 254), canary), "data[0].key: must not be longer than 253 characters"},
		{"twice", data("A", canary, "B", "v", "A", canary), "data[2].key: A: repeats the key of data[0]"},
		{"twice the same", data("A", canary, "A", canary), "data[1].key: A: repeats the key of data[0]"},
		{"the mask", data("A", canary, "B", "****"), "data[1].value: B: is the mask ****: send the real value"},
		{"1001 keys", data(many(1001)...), "data: must not have more than 1000 keys"},
		{"a mebibyte and a byte", data("A", weighing(mebibyte), "B", "b"), "data: must not have more than 1 MiB of values"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := c.on(t)
			c.put(secrets+"/MINE", tc.data).wants(400, problem(400, tc.want))
			c.post(secrets, `{"secret_name":"db",`+tc.data[1:]).wants(400, problem(400, tc.want))
		})
	}
	c.get(secrets).wants(200, `[`+shown("MINE", "K", "****")+`]`)
	c.get(secrets+"/MINE/reveal").wants(200, shown("MINE", "K", canary))
}

func TestNx1TakesAsMuchAsKubernetes(t *testing.T) {
	c := serve(t).nx1(t, admin)
	c.post(secrets, secret("db"))
	for name, most := range map[string][]string{
		"keys":   many(1000),
		"values": {"A", weighing(mebibyte / 2), "B", weighing(mebibyte / 2)},
		"key":    {strings.Repeat("k", 253), canary},
		"dots":   {".a", canary, "a..b", canary},
		"stars":  {"A", "***", "B", "*****", "C", "**** "},
	} {
		if a := c.put(secrets+"/db", data(most...)); a.status != 200 {
			t.Errorf("%s: %d %s", name, a.status, brief(a.body))
		}
	}
}

// many returns n keys and values.
func many(n int) (pairs []string) {
	for i := range n {
		pairs = append(pairs, fmt.Sprintf("K%04d", i), canary)
	}
	return pairs
}

// weighing returns a value of this many bytes.
func weighing(bytes int) string { return canary + strings.Repeat("x", bytes-len(canary)) }

func TestNx1Names(t *testing.T) {
	const wrong = "secret_name: must be 1 to 253 letters, digits, '.', '_' or '-', and not '.' or '..'"
	c := serve(t).nx1(t, admin)
	for _, name := range []string{"a", "A-b_c.9", "...", "-", "0", "reveal", strings.Repeat("n", 253)} {
		if a := c.post(secrets, secret(name)); a.status != 200 {
			t.Errorf("%q: %d %s", name, a.status, a.body)
		}
	}
	before := c.get(secrets)
	for _, name := range []string{"", ".", "..", "a b", "a/b", "é", `a\n`, "%2F", "a+b", "a?b", strings.Repeat("n", 254)} {
		c.post(secrets, secret(name, "K", canary)).wants(400, problem(400, wrong))
	}
	for _, path := range []string{"a%20b", "%C3%A9", "a%0a", "%25", strings.Repeat("n", 254)} {
		c.get(secrets+"/"+path).wants(404, nx1.absent)
		c.put(secrets+"/"+path, data()).wants(404, nx1.absent)
		c.delete(secrets+"/"+path).wants(404, nx1.absent)
		c.get(secrets+"/"+path+"/reveal").wants(404, nx1.absent)
	}
	if after := c.get(secrets); after.body != before.body {
		t.Errorf("the list is %s, want %s", after.body, before.body)
	}
}

// A client sends back the masked values that it got.
func TestNx1MaskedValues(t *testing.T) {
	const nothing = ": has no stored value to keep"
	for _, tc := range []struct {
		policy, call, sent string
		want               string // the stored value afterwards, or the error
	}{
		{"reject", "PUT", data("A", "****", "B", "new"), "data[0].value: A: is the mask ****: send the real value"},
		{"reject", "POST", data("A", "****"), "data[0].value: A: is the mask ****: send the real value"},
		{"keep", "PUT", data("A", "****", "C", "new"), data("A", canary+"a", "C", "new")},
		{"keep", "PUT", data("A", "****", "B", "****"), data("A", canary+"a", "B", canary+"b")},
		{"keep", "PUT", data("A", "****", "C", "****"), "data: C" + nothing},
		{"keep", "PUT", data("B", "new", "A", "****", "A", "****"), "data[2].key: A: repeats the key of data[1]"},
		{"keep", "PUT", data("A", "****", "C", weighing(mebibyte)), "data: must not have more than 1 MiB of values"},
		{"keep", "POST", data("A", "****"), "data: A" + nothing},
		{"store", "PUT", data("A", "****", "B", "new"), data("A", "****", "B", "new")},
		{"store", "POST", data("A", "****"), data("A", "****")},
	} {
		t.Run(tc.policy+" "+tc.call, func(t *testing.T) {
			c := serve(t, set("masked_values: reject", "masked_values: "+tc.policy)).nx1(t, admin)
			kept := data("A", canary+"a", "B", canary+"b")
			if tc.call == "POST" {
				kept = ""
			} else {
				c.post(secrets, `{"secret_name":"MINE",`+kept[1:])
			}
			a := c.do(tc.call, map[string]string{"PUT": secrets + "/MINE", "POST": secrets}[tc.call],
				`{"secret_name":"MINE",`+tc.sent[1:])
			if strings.HasPrefix(tc.want, "{") {
				kept = tc.want
			} else {
				a.wants(400, problem(400, tc.want))
			}
			after := c.get(secrets + "/MINE/reveal")
			if kept == "" {
				after.wants(404, nx1.absent)
			} else if !strings.Contains(after.body, strings.Trim(kept, "{}")) {
				t.Errorf("%s is kept, want %s", after.body, kept)
			}
		})
	}
}
