package storetest

import (
	"fmt"
	"strings"

	"github.com/strongroom/strongroom/internal/objectname"
	"github.com/strongroom/strongroom/internal/secret"
)

func keeping() []promise {
	return []promise{
		{name: "StoreCanDoItsWork", check: storeCanDoItsWork},
		{name: "ValuesAreBytes", check: valuesAreBytes},
		{name: "EmptyValueIsNotAMissingKey", check: emptyValueIsNotAMissingKey},
		{name: "SecretMayHaveNoKeys", check: secretMayHaveNoKeys},
		{name: "SecretMayHaveAMebibyte", check: secretMayHaveAMebibyte},
		{name: "SecretMayHaveAThousandKeys", check: secretMayHaveAThousandKeys},
		{name: "KeysAreKeptAsTheyAre", check: keysAreKeptAsTheyAre},
		{name: "KeysAreSorted", check: keysAreSorted},
		{name: "DescriptionIsAnyText", check: descriptionIsAnyText},
		{name: "EveryViewOfASecretAgrees", check: everyViewOfASecretAgrees},
	}
}

func storeCanDoItsWork(t T, st secret.Store) {
	if err := st.Check(t.Context()); err != nil {
		t.Errorf("Check: %v", err)
	}
}

// oddValues are values that a store damages if it treats them as text.
func oddValues() data {
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	return data{
		"every-byte": secret.Value(every),
		"not-utf8":   "\xff\xfe\x80a\xc3",
		"surrogate":  "\xed\xa0\x80",
		"nul":        "\x00",
		"spaces":     " \t value \r\n\n",
		"bom":        "\ufeffvalue",
		"decomposed": "e\u0301",
		"json":       `{"a": "\u00e9</script>"}`,
		"base64":     "aGVsbG8=",
		"mask":       secret.Mask,
		"number":     "007",
		"null":       "null",
	}
}

func valuesAreBytes(t T, st secret.Store) {
	info := mustCreate(t, st, at("created"), oddValues())
	wantStored(t, st, info, oddValues())

	mustCreate(t, st, at("replaced"), nil)
	info = mustReplace(t, st, at("replaced"), secret.Change{Set: oddValues()})
	wantStored(t, st, info, oddValues())
}

func emptyValueIsNotAMissingKey(t T, st secret.Store) {
	info := mustCreate(t, st, at("db"), data{"empty": "", "full": "x"})
	wantStored(t, st, info, data{"empty": "", "full": "x"})
	wantNames(t, info.Keys, "empty", "full")

	info = mustReplace(t, st, at("db"), secret.Change{Set: data{"other": ""}, Keep: []string{"empty"}})
	wantStored(t, st, info, data{"empty": "", "other": ""})
	wantNames(t, info.Keys, "empty", "other")
}

func secretMayHaveNoKeys(t T, st secret.Store) {
	wantStored(t, st, mustCreate(t, st, at("nil"), nil), nil)
	wantStored(t, st, mustCreate(t, st, at("empty"), data{}), data{})
}

// The bytes of the mebibyte are incompressible.
func secretMayHaveAMebibyte(t T, st secret.Store) {
	whole := secret.Value(strings.Repeat("\x00\xff\n\"", secret.MaxValueBytes/4))
	info := mustCreate(t, st, at("one"), data{"all": whole})
	wantStored(t, st, info, data{"all": whole})

	halves := data{"a": whole[:len(whole)/2], "b": whole[len(whole)/2:]}
	info = mustReplace(t, st, at("one"), secret.Change{Set: halves})
	wantStored(t, st, info, halves)
	info = mustDescribe(t, st, at("one"), "two", "")
	wantStored(t, st, info, halves)
}

func secretMayHaveAThousandKeys(t T, st secret.Store) {
	values := data{}
	for i := range secret.MaxKeys {
		values[fmt.Sprintf("key-%d", i)] = secret.Value(fmt.Sprint(i))
	}
	wantStored(t, st, mustCreate(t, st, at("db"), values), values)
}

func keysAreKeptAsTheyAre(t T, st secret.Store) {
	values := data{}
	for _, key := range []string{
		"a", "A", "0", "-", "_", "---", ".a", "a.", "a..b", ".a.b", "a-b", "a_b", "a.b", "true", "null",
		strings.Repeat("k", secret.MaxKeyBytes),
	} {
		if err := secret.CheckKey(key); err != nil {
			t.Fatalf("CheckKey(%q): %v", key, err)
		}
		values[key] = secret.Value("value of " + key)
	}
	wantStored(t, st, mustCreate(t, st, at("db"), values), values)
}

func keysAreSorted(t T, st secret.Store) {
	values := data{"b": "", "a": "", "C": "", "10": "", "9": "", "a-": "", "aa": ""}
	sorted := []string{"10", "9", "C", "a", "a-", "aa", "b"}
	wantNames(t, mustCreate(t, st, at("db"), values).Keys, sorted...)
	wantNames(t, mustHead(t, st, at("db").Ref).Keys, sorted...)
	info := mustReplace(t, st, at("db"), secret.Change{Set: data{"b": "", "B": ""}, Keep: []string{"a"}})
	wantNames(t, info.Keys, "B", "a", "b")
	wantNames(t, mustList(t, st, alice, secret.Page{})[0].Keys, "B", "a", "b")
}

func descriptionIsAnyText(t T, st secret.Store) {
	for i, description := range []string{
		"", " ", "two\nlines\r\n", "\x00\t\x7f", `"quoted" <b>&amp;</b> \ {{.}} %s`, "e\u0301 is not \u00e9",
		"\u2028\ufffd\ufeff\U0010ffff 🔑", strings.Repeat("é", secret.MaxDescriptionBytes/2),
	} {
		op := at(fmt.Sprint(i))
		info := mustDraft(t, st, op, secret.Draft{Description: description})
		if info.Description != description {
			t.Errorf("Create: got description %q, want %q", info.Description, description)
		}
		wantStored(t, st, info, nil)

		info = mustDescribe(t, st, op, op.Ref.Name, "another")
		info = mustDescribe(t, st, onlyIf(op, info.Revision), op.Ref.Name, description)
		if info.Description != description {
			t.Errorf("Describe: got description %q, want %q", info.Description, description)
		}
		wantStored(t, st, info, nil)
	}
}

func everyViewOfASecretAgrees(t T, st secret.Store) {
	mustDraft(t, st, at("db"), secret.Draft{Description: "the database", Data: data{"password": "1"}})
	mustReplace(t, st, at("db"), secret.Change{Set: data{"token": "2"}})
	info := mustDescribe(t, st, at("db"), "database", "moved")
	wantStored(t, st, info, data{"token": "2"})
	if want := objectname.Of(info.Ref); info.ObjectName != want {
		t.Errorf("it is stored as %q, want %q", info.ObjectName, want)
	}
}
