package secret_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/internal/secret"
)

const appID = "0f8fad5b-d9cb-469f-a165-70867728950e"

func TestAppIDsHaveNoCase(t *testing.T) {
	upper, lower := secret.App(strings.ToUpper(appID)), secret.App(appID)
	if upper != lower {
		t.Errorf("App of an id in upper case: got %q, want %q", upper, lower)
	}
	if secret.User("A") == secret.User("a") {
		t.Error("users A and a are the same, want two")
	}
}

func TestOwnersAreWrittenAsKindAndID(t *testing.T) {
	ref := secret.Ref{Owner: secret.User("alice"), Name: "db"}
	if got, want := fmt.Sprint(ref.Owner, " ", ref), "user/alice user/alice/db"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
