package storetest

import (
	"slices"
	"strings"

	"github.com/strongroom/strongroom/internal/secret"
)

func naming() []promise {
	return []promise{
		{name: "NamesAreKeptAsTheyAre", check: namesAreKeptAsTheyAre},
		{name: "NameThatCannotBeIsNotFound", check: nameThatCannotBeIsNotFound},
		{name: "SecretMayBeRenamedToAnyName", check: secretMayBeRenamedToAnyName},
	}
}

// oddNames are legal, different names that a store confuses if it turns names into
// paths, patterns, patches or file names.
func oddNames(t T) []string {
	names := []string{
		"a", "A", "aa", "a ", " a", "a  a", "a a", " ", "0", "00", "-", "--help", "_", "~", "~0", "~1", "...", ".a",
		"%", "%2F", "%2f", "%252F", "%00", "a%", "+", "a+b", "*", "?", "?x=1&y=2", "#", ";", ",", ":", "=", "@", "|",
		`"`, `"a"`, "'", "`", `\`, `\n`, `a\b`, "<a>", "&amp;", "$(a)", "${a}", "{{.}}", "[0]", "(a)", "null", "true",
		"\u00e9", "e\u0301", "\u1e9b\u0323", "\u017f", "s", "S", "ß", "ss", "SS", "İ", "i", "I", "ı", "K", "\u212a", "k",
		"ﬁ", "fi", "\u00a0", "\u200b", "\ufeff", "\u2028", "\u202e", "\ufffd", "\ufffe", "\U0010ffff",
		"日本語", "パス", "ﾊﾟｽ", "密码", "пароль", "שלום", "🔑", "👩\u200d💻", "👩",
		strings.Repeat("a", secret.MaxNameBytes), strings.Repeat("a", secret.MaxNameBytes-1) + "b",
		strings.Repeat("🔑", secret.MaxNameBytes/4),
	}
	for _, name := range names {
		if err := secret.CheckName(name); err != nil {
			t.Fatalf("CheckName(%q): %v", name, err)
		}
	}
	slices.Sort(names)
	if len(slices.Compact(slices.Clone(names))) != len(names) {
		t.Fatalf("the same name twice in %q", names)
	}
	return names
}

func namesAreKeptAsTheyAre(t T, st secret.Store) {
	odd := oddNames(t)
	for _, name := range odd {
		mustCreate(t, st, at(name), data{"name": secret.Value(name)})
	}
	wantNames(t, names(t, st, alice), odd...)
	for _, name := range odd {
		info, values := mustReveal(t, st, at(name))
		wantNames(t, []string{info.Name}, name)
		wantValues(t, at(name).Ref, values, data{"name": secret.Value(name)})
	}
	for _, name := range odd {
		mustDelete(t, st, at(name))
	}
	wantNames(t, names(t, st, alice))
}

// Only new names are validated before a store sees them.
func nameThatCannotBeIsNotFound(t T, st secret.Store) {
	mustCreate(t, st, at("a"), data{"k": "v"})
	unharmed := remember(t, st, at("a"))
	for _, name := range []string{
		"", ".", "..", "a/", "/a", "a/b", "../a", "a\x00", "\x00", "a\n", "\xff", "a\xff", strings.Repeat("a", 100_000),
	} {
		op := at(name)
		_, err := st.Head(t.Context(), op.Ref)
		wantError(t, "Head", err, secret.ErrNotFound)
		_, _, err = st.Reveal(t.Context(), op)
		wantError(t, "Reveal", err, secret.ErrNotFound)
		_, err = st.Replace(t.Context(), op, secret.Change{})
		wantError(t, "Replace", err, secret.ErrNotFound)
		_, err = st.Describe(t.Context(), op, "b", "")
		wantError(t, "Describe", err, secret.ErrNotFound)
		wantError(t, "Delete", st.Delete(t.Context(), op), secret.ErrNotFound)
	}
	unharmed()
}

func secretMayBeRenamedToAnyName(t T, st secret.Store) {
	mustCreate(t, st, at("first"), data{"k": "v"})
	now := at("first")
	for _, name := range oddNames(t) {
		info := mustDescribe(t, st, now, name, "")
		now = at(name)
		if info.Ref != now.Ref {
			t.Errorf("Describe returned %q, want %q", info.Ref, now.Ref)
		}
	}
	wantNames(t, names(t, st, alice), now.Ref.Name)
	_, values := mustReveal(t, st, now)
	wantValues(t, now.Ref, values, data{"k": "v"})
}
