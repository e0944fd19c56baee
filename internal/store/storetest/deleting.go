package storetest

import "github.com/strongroom/strongroom/internal/secret"

func deleting() []promise {
	return []promise{
		{name: "DeletedSecretIsGone", check: deletedSecretIsGone},
		{name: "DeleteTakesNothingElse", check: deleteTakesNothingElse},
	}
}

func deletedSecretIsGone(t T, st secret.Store) {
	mustCreate(t, st, at("db"), data{"k": "v"})
	mustDelete(t, st, at("db"))
	wantGone(t, st, at("db").Ref)
	_, _, err := st.Reveal(t.Context(), at("db"))
	wantError(t, "Reveal of a deleted secret", err, secret.ErrNotFound)
	wantError(t, "second Delete", st.Delete(t.Context(), at("db")), secret.ErrNotFound)
}

func deleteTakesNothingElse(t T, st secret.Store) {
	others := []secret.Op{at("d"), at("db2"), at("DB"), at("db "), at("%64b")}
	for _, op := range others {
		mustCreate(t, st, op, data{"k": "v"})
	}
	unharmed := remember(t, st, others...)
	mustCreate(t, st, at("db"), data{"k": "v"})
	mustDelete(t, st, at("db"))
	unharmed()
}
