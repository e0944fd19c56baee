package secret_test

import (
	"math/rand"
	"slices"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/secret"
)

var (
	app   = secret.App(appID)
	other = secret.App("7d444840-9dc0-11d1-b245-5ffdce74fad2")
	alice = secret.User("alice")
	apps  = secret.Owner{Kind: secret.KindApp, ID: secret.AnyID}
	all   = secret.Actions()
	past  = time.Now().Add(-time.Second)
	later = time.Now().Add(time.Hour)
)

func on(owner secret.Owner, name string) secret.Ref { return secret.Ref{Owner: owner, Name: name} }

func grant(owner secret.Owner, actions ...secret.Action) secret.Grant {
	return secret.Grant{Owner: owner, Actions: actions}
}

func named(g secret.Grant, names ...string) secret.Grant {
	g.Names = names
	return g
}

func deny(g secret.Grant) secret.Grant {
	g.Deny = true
	return g
}

func until(g secret.Grant, end time.Time) secret.Grant {
	g.Until = end
	return g
}

func caller(grants ...secret.Grant) secret.Caller {
	return secret.Caller{Subject: "tester", Grants: grants}
}

func TestMay(t *testing.T) {
	for _, tc := range []struct {
		name   string
		grants []secret.Grant
		action secret.Action
		ref    secret.Ref
		want   bool
	}{
		{"no grants", nil, secret.List, on(app, "db"), false},
		{"the action", []secret.Grant{grant(app, secret.List)}, secret.List, on(app, "db"), true},
		{"another action", []secret.Grant{grant(app, secret.List)}, secret.Write, on(app, "db"), false},
		{"reveal takes its own", []secret.Grant{grant(app, secret.List, secret.Create, secret.Write, secret.Delete)}, secret.Reveal, on(app, "db"), false},
		{"reveal implies nothing", []secret.Grant{grant(app, secret.Reveal)}, secret.List, on(app, "db"), false},
		{"no actions", []secret.Grant{grant(app)}, secret.List, on(app, "db"), false},
		{"an unknown action", []secret.Grant{grant(app, all...)}, "juggle", on(app, "db"), false},
		{"the empty action", []secret.Grant{grant(app, all...)}, "", on(app, "db"), false},

		{"another owner", []secret.Grant{grant(app, all...)}, secret.List, on(other, "db"), false},
		{"another kind of the same id", []secret.Grant{grant(app, all...)}, secret.List, on(secret.User(appID), "db"), false},
		{"a prefix of the owner", []secret.Grant{grant(secret.User("al"), all...)}, secret.List, on(alice, "db"), false},
		{"the zero owner", []secret.Grant{grant(secret.Owner{}, all...)}, secret.List, on(alice, "db"), false},
		{"app/* is any app", []secret.Grant{grant(apps, all...)}, secret.Write, on(other, "db"), true},
		{"app/* is no user", []secret.Grant{grant(apps, all...)}, secret.Write, on(alice, "db"), false},
		{"a user called * is not any", []secret.Grant{grant(alice, all...)}, secret.List, on(secret.User("*"), "db"), false},

		{"the name", []secret.Grant{named(grant(app, all...), "a", "db")}, secret.Write, on(app, "db"), true},
		{"another name", []secret.Grant{named(grant(app, all...), "db")}, secret.Write, on(app, "db2"), false},
		{"another case", []secret.Grant{named(grant(app, all...), "db")}, secret.Write, on(app, "DB"), false},
		{"a name is no pattern", []secret.Grant{named(grant(app, all...), "*")}, secret.Write, on(app, "db"), false},
		{"some names cover the whole", []secret.Grant{named(grant(app, all...), "db")}, secret.List, on(app, ""), true},

		{"a denial alone", []secret.Grant{deny(grant(app, all...))}, secret.List, on(app, "db"), false},
		{"a denial after", []secret.Grant{grant(app, all...), deny(grant(app, secret.Write))}, secret.Write, on(app, "db"), false},
		{"a denial before", []secret.Grant{deny(grant(app, secret.Write)), grant(app, all...)}, secret.Write, on(app, "db"), false},
		{"a denial of another action", []secret.Grant{grant(app, all...), deny(grant(app, secret.Write))}, secret.List, on(app, "db"), true},
		{"a denial for another owner", []secret.Grant{grant(apps, all...), deny(grant(other, all...))}, secret.List, on(app, "db"), true},
		{"a denial within app/*", []secret.Grant{grant(apps, all...), deny(grant(app, all...))}, secret.List, on(app, "db"), false},
		{"a denial of app/*", []secret.Grant{grant(app, all...), deny(grant(apps, all...))}, secret.List, on(app, "db"), false},
		{"a denial of the name", []secret.Grant{grant(app, all...), deny(named(grant(app, all...), "db"))}, secret.List, on(app, "db"), false},
		{"a denial of another name", []secret.Grant{grant(app, all...), deny(named(grant(app, all...), "x"))}, secret.List, on(app, "db"), true},
		{"a denial of some leaves the whole", []secret.Grant{grant(app, all...), deny(named(grant(app, all...), "x"))}, secret.List, on(app, ""), true},
		{"a denial of all", []secret.Grant{grant(app, all...), deny(grant(app, all...))}, secret.List, on(app, ""), false},

		{"until later", []secret.Grant{until(grant(app, all...), later)}, secret.List, on(app, "db"), true},
		{"until before", []secret.Grant{until(grant(app, all...), past)}, secret.List, on(app, "db"), false},
		{"a denial until later", []secret.Grant{grant(app, all...), until(deny(grant(app, all...)), later)}, secret.List, on(app, "db"), false},
		{"a denial until before", []secret.Grant{grant(app, all...), until(deny(grant(app, all...)), past)}, secret.List, on(app, "db"), true},
	} {
		if got := caller(tc.grants...).May(tc.action, tc.ref); got != tc.want {
			t.Errorf("%s: May(%s, %q) = %v, want %v", tc.name, tc.action, tc.ref, got, tc.want)
		}
	}
}

// policies generates grants from few enough parts that they often overlap.
type policies struct{ *rand.Rand }

func newPolicies(t *testing.T) policies {
	t.Helper()
	seed := time.Now().UnixNano()
	t.Logf("seed %d", seed)
	return policies{rand.New(rand.NewSource(seed))} //nolint:gosec // not for secrets
}

func some[T any](p policies, of []T) []T {
	var picked []T
	for _, item := range of {
		if p.Intn(2) == 0 {
			picked = append(picked, item)
		}
	}
	return picked
}

func (p policies) grant() secret.Grant {
	owners := []secret.Owner{app, other, alice, apps, {Kind: secret.KindUser, ID: secret.AnyID}}
	g := grant(owners[p.Intn(len(owners))], some(p, all)...)
	g.Deny = p.Intn(3) == 0
	g.Until = []time.Time{{}, past, later}[p.Intn(3)]
	if p.Intn(2) == 0 {
		g.Names = some(p, []string{"a", "b", "c"})
	}
	return g
}

func (p policies) grants() []secret.Grant {
	grants := make([]secret.Grant, p.Intn(6))
	for i := range grants {
		grants[i] = p.grant()
	}
	return grants
}

// question is an action that may or may not be allowed.
type question struct {
	action secret.Action
	ref    secret.Ref
}

func questions() []question {
	var qs []question
	for _, action := range all {
		for _, owner := range []secret.Owner{app, other, alice, secret.User("bob")} {
			for _, name := range []string{"", "a", "b", "c", "d"} {
				qs = append(qs, question{action, on(owner, name)})
			}
		}
	}
	return qs
}

func wantNoWider(t *testing.T, before, after []secret.Grant) {
	t.Helper()
	for _, q := range questions() {
		if !caller(before...).May(q.action, q.ref) && caller(after...).May(q.action, q.ref) {
			t.Fatalf("%s of %q is allowed by %+v and was not by %+v", q.action, q.ref, after, before)
		}
	}
}

func TestDenialNeverWidens(t *testing.T) {
	p := newPolicies(t)
	for range 2000 {
		grants := p.grants()
		wantNoWider(t, grants, slices.Insert(slices.Clone(grants), p.Intn(len(grants)+1), deny(p.grant())))
	}
}

// This holds for allowing grants only: removing a denial may widen.
func TestTakingAGrantBackNeverWidens(t *testing.T) {
	p := newPolicies(t)
	for range 2000 {
		grants := p.grants()
		for i, g := range grants {
			if !g.Deny {
				wantNoWider(t, grants, slices.Delete(slices.Clone(grants), i, i+1))
			}
		}
	}
}

func TestOrderOfGrantsDoesNotMatter(t *testing.T) {
	p := newPolicies(t)
	for range 2000 {
		grants := p.grants()
		shuffled := slices.Clone(grants)
		p.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		wantNoWider(t, grants, shuffled)
		wantNoWider(t, shuffled, grants)
	}
}

// A caller that passes on a grant which it does not lack widens nothing.
func TestACallerCannotPassOnMoreThanItHas(t *testing.T) {
	p, passed, lacking := newPolicies(t), 0, 0
	for range 20_000 {
		grants, g := p.grants(), p.grant()
		if g.Deny = false; g.Owner == (secret.Owner{}) {
			continue
		}
		if _, lacks := caller(grants...).Lacks(g); lacks {
			lacking++
			continue
		}
		passed++
		wantNoWider(t, grants, []secret.Grant{g})
	}
	if passed < 20 || lacking < 20 {
		t.Errorf("%d grants could be passed on and %d not, which tests too little", passed, lacking)
	}
}

func TestLacks(t *testing.T) {
	named := func(g secret.Grant, names ...string) secret.Grant { g.Names = names; return g }
	until := func(g secret.Grant, end time.Time) secret.Grant { g.Until = end; return g }
	every, soon := secret.App(secret.AnyID), time.Now().Add(time.Hour)
	for name, tc := range map[string]struct {
		has   []secret.Grant
		gives secret.Grant
		lacks secret.Action
	}{
		"the same":                       {[]secret.Grant{grant(app, secret.List)}, grant(app, secret.List), ""},
		"a part":                         {[]secret.Grant{grant(every, secret.List, secret.Reveal)}, named(grant(app, secret.Reveal), "a"), ""},
		"another action":                 {[]secret.Grant{grant(app, secret.Admin)}, grant(app, secret.Admin, secret.Reveal), secret.Reveal},
		"another owner":                  {[]secret.Grant{grant(app, secret.List)}, grant(other, secret.List), secret.List},
		"every owner":                    {[]secret.Grant{grant(app, secret.List)}, grant(every, secret.List), secret.List},
		"all names of a named grant":     {[]secret.Grant{named(grant(app, secret.List), "a")}, grant(app, secret.List), secret.List},
		"another name":                   {[]secret.Grant{named(grant(app, secret.List), "a")}, named(grant(app, secret.List), "a", "b"), secret.List},
		"names of two grants":            {[]secret.Grant{named(grant(app, secret.List), "a"), named(grant(app, secret.List), "b")}, named(grant(app, secret.List), "a", "b"), ""},
		"without an end":                 {[]secret.Grant{until(grant(app, secret.List), soon)}, grant(app, secret.List), secret.List},
		"until the same end":             {[]secret.Grant{until(grant(app, secret.List), soon)}, until(grant(app, secret.List), soon), ""},
		"over a denial of one name":      {[]secret.Grant{grant(app, secret.List), deny(named(grant(app, secret.List), "a"))}, grant(app, secret.List), secret.List},
		"beside a denial of one name":    {[]secret.Grant{grant(app, secret.List), deny(named(grant(app, secret.List), "a"))}, named(grant(app, secret.List), "b"), ""},
		"every owner over one's denial":  {[]secret.Grant{grant(every, secret.List), deny(grant(app, secret.List))}, grant(every, secret.List), secret.List},
		"another owner beside a denial":  {[]secret.Grant{grant(every, secret.List), deny(grant(app, secret.List))}, grant(other, secret.List), ""},
		"a user's with an app's actions": {[]secret.Grant{grant(every, secret.List)}, grant(alice, secret.List), secret.List},
	} {
		if action, lacks := caller(tc.has...).Lacks(tc.gives); action != tc.lacks || lacks != (tc.lacks != "") {
			t.Errorf("%s: lacks %q, %t; want %q", name, action, lacks, tc.lacks)
		}
	}
}

func TestADenialDecidesOrElseTheFirstAllowingGrant(t *testing.T) {
	allows := func(source string) secret.Grant { g := grant(app, all...); g.Source = source; return g }
	denies := func(source string) secret.Grant { return deny(allows(source)) }
	elsewhere := grant(other, all...)
	elsewhere.Source = "elsewhere"
	for _, tc := range []struct {
		name   string
		grants []secret.Grant
		want   string
	}{
		{"nothing", nil, ""},
		{"nothing about it", []secret.Grant{elsewhere, deny(elsewhere)}, ""},
		{"the first that allows", []secret.Grant{elsewhere, allows("a"), allows("b")}, "a"},
		{"a denial before", []secret.Grant{denies("a"), allows("b")}, "a"},
		{"a denial behind", []secret.Grant{allows("a"), allows("b"), denies("c")}, "c"},
		{"one that is over", []secret.Grant{until(allows("a"), past), until(denies("b"), past), allows("c")}, "c"},
	} {
		got := ""
		if by := caller(tc.grants...).Decides(secret.List, on(app, "db")); by != nil {
			got = by.Source
		}
		if got != tc.want {
			t.Errorf("%s: decided by %q, want %q", tc.name, got, tc.want)
		}
	}
}
