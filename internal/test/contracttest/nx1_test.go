package contracttest

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// k8sNames are the Kubernetes names of the shop's secrets. They never change, because workloads
// refer to them.
var k8sNames = map[string]string{
	"MINE":                  "nx1-0f8fad5b-d9cb-469f-a165-70867728950e-mine-tg2cockgybq63bp5dze5qtzbmq",
	"db":                    "nx1-0f8fad5b-d9cb-469f-a165-70867728950e-db-izpw3aexiciu564rhw2uprzl6h",
	"DB":                    "nx1-0f8fad5b-d9cb-469f-a165-70867728950e-db-fdw7fqwhkmxdeiwd7kar5ecvxl",
	"d.b":                   "nx1-0f8fad5b-d9cb-469f-a165-70867728950e-d-b-wn2basuse2r5lty7vga57it33i",
	"-.-":                   "nx1-0f8fad5b-d9cb-469f-a165-70867728950e-x-7ksrvw3lmpfpistanpxixlhw4z",
	"_a__b_":                "nx1-0f8fad5b-d9cb-469f-a165-70867728950e-a-b-f7dcllldf3gmafy6oo722gdyx7",
	strings.Repeat("x", 41): "nx1-0f8fad5b-d9cb-469f-a165-70867728950e-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx-4tdbz6tvfd5lmsvsrm45v7jwpi",
}

func TestNx1FromCreateToDelete(t *testing.T) {
	c := serve(t).nx1(t, admin)
	c.get(secrets).wants(200, `[]`)
	c.get(secrets+"/db").wants(404, nx1.absent)
	c.post(secrets, secret("db", "PORT", canary+"5432", "HOST", canary+"db")).wants(200, shown("db", "HOST", "****", "PORT", "****"))
	c.get(secrets).wants(200, `[`+shown("db", "HOST", "****", "PORT", "****")+`]`)
	c.post(secrets, secret("db", "A", "b")).wants(409, problem(409, "Secret already exists."))
	c.get(secrets+"/db").wants(200, shown("db", "HOST", "****", "PORT", "****"))
	c.get(secrets+"/db/reveal").wants(200, shown("db", "HOST", canary+"db", "PORT", canary+"5432"))
	c.put(secrets+"/db", data("USER", canary+"app")).wants(200, shown("db", "USER", "****"))
	c.get(secrets+"/db/reveal").wants(200, shown("db", "USER", canary+"app"))
	c.delete(secrets+"/db").wants(200, `{"success":true,"message":"Secret deleted successfully."}`)
	c.delete(secrets+"/db").wants(404, nx1.absent)
	c.get(secrets+"/db/reveal").wants(404, nx1.absent)
	c.put(secrets+"/db", data("A", "b")).wants(404, nx1.absent)
	c.get(secrets).wants(200, `[]`)
}

func TestNx1NamesInKubernetes(t *testing.T) {
	c := serve(t).nx1(t, admin)
	for name := range k8sNames {
		c.post(secrets, secret(name)).wants(200, shown(name))
		c.put(secrets+"/"+name, data("K", canary)).wants(200, shown(name, "K", "****"))
	}
}

func TestNx1DataIsSortedAndMayBeEmpty(t *testing.T) {
	c := serve(t).nx1(t, admin)
	c.post(secrets, secret("db", "b", "1", "a", "2", "B", "3", "_", "4", "a.b", "5", "10", "6", "9", "7")).
		wants(200, shown("db", "10", "****", "9", "****", "B", "****", "_", "****", "a", "****", "a.b", "****", "b", "****"))
	c.get(secrets+"/db/reveal").wants(200, shown("db", "10", "6", "9", "7", "B", "3", "_", "4", "a", "2", "a.b", "5", "b", "1"))
	c.put(secrets+"/db", data()).wants(200, shown("db"))
	c.get(secrets+"/db/reveal").wants(200, shown("db"))
	c.put(secrets+"/db", data("empty", "")).wants(200, shown("db", "empty", "****"))
	c.get(secrets+"/db/reveal").wants(200, shown("db", "empty", ""))
}

func TestNx1ValuesComeBackAsTheyWere(t *testing.T) {
	c := serve(t).nx1(t, admin)
	c.post(secrets, secret("db"))
	for sent, want := range map[string]string{
		`<b>&'%2F\/`:        `<b>&'%2F/`,
		`\u00e9漢字🔑`:         `é漢字🔑`,
		`\"\\\u0000\u001f`:  `\"\\\u0000\u001f`,
		`-----BEGIN\nKEY\n`: `-----BEGIN\nKEY\n`,
		` ***** `:           ` ***** `,
		"\u2028\ufeff":      "\u2028\ufeff",
	} {
		c.put(secrets+"/db", data("K", sent)).wants(200, shown("db", "K", "****"))
		c.get(secrets+"/db/reveal").wants(200, shown("db", "K", want))
	}
}

func TestNx1ListsInOrderOfName(t *testing.T) {
	c := serve(t).nx1(t, admin)
	var all []string
	for _, name := range []string{"db", "_a__b_", "DB", "d.b", "-.-"} {
		c.post(secrets, secret(name, "K", canary))
	}
	for _, name := range []string{"-.-", "DB", "_a__b_", "d.b", "db"} {
		all = append(all, shown(name, "K", "****"))
	}
	c.get(secrets).wants(200, `[`+strings.Join(all, ",")+`]`)
}

var createdAt = regexp.MustCompile(`"created_at":"[^"]*"`)

// Times have a resolution of a second, so this waits for the next one.
func TestNx1TimeOfCreationStays(t *testing.T) {
	c := serve(t).nx1(t, admin)
	born := createdAt.FindString(c.post(secrets, secret("db")).body)
	for n, now := 0, born; now == born; n++ {
		now = createdAt.FindString(c.post(secrets, secret(fmt.Sprint("later", n))).body)
	}
	for _, a := range []answer{c.put(secrets+"/db", data("K", canary)), c.get(secrets + "/db"), c.get(secrets + "/db/reveal")} {
		if got := createdAt.FindString(a.body); got != born {
			t.Errorf("%s: %s, want %s", a.call, got, born)
		}
	}
}

func TestNx1AppsAreTheirOwn(t *testing.T) {
	c := serve(t).nx1(t, admin)
	shouted, others := strings.ToUpper(secrets[len("/api/app/"):len("/api/app/")+36]), "/api/app/"+other+"/secrets"
	c.post("/api/app/"+shouted+"/secrets", secret("db", "K", canary)).wants(200, shown("db", "K", "****"))
	c.get(secrets+"/db/reveal").wants(200, shown("db", "K", canary))
	c.get("/api/app/"+shouted+"/secrets/db").wants(200, shown("db", "K", "****"))

	c.get(others).wants(200, `[]`)
	c.get(others+"/db").wants(404, nx1.absent)
	c.delete(others+"/db").wants(404, nx1.absent)
	if here, there := c.get(secrets+"/db").body, c.post(others, secret("db", "K", canary)).body; here == there {
		t.Errorf("%s is the secret of two apps", here)
	}
}

// The SDK sends a content type with every request, and does not escape paths.
func TestNx1SDKHabits(t *testing.T) {
	c := serve(t).nx1(t, admin).with("Content-Type", "application/json")
	c.post(secrets, secret("db", "K", canary)).wants(200, shown("db", "K", "****"))
	for _, path := range []string{secrets, secrets + "/db", secrets + "/db/reveal"} {
		if a := c.get(path); a.status != 200 {
			t.Errorf("%s: %d %s", a.call, a.status, a.body)
		}
	}
	c.get(secrets+"/a b").wants(404, nx1.absent)
	c.delete(secrets+"/db").wants(200, `{"success":true,"message":"Secret deleted successfully."}`)
}
