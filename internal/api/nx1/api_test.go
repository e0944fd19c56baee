package nx1_test

import (
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/internal/api/nx1"
	"github.com/strongroom/strongroom/internal/auth"
)

type unnoticed struct{}

func (unnoticed) Failed(string) {}

// The SDK shows its users only this text.
func TestAMissingCredentialGetsAChallengeForEachScheme(t *testing.T) {
	for _, tc := range []struct {
		schemes []auth.Scheme
		want    string
	}{
		{[]auth.Scheme{auth.SchemeAPIKey}, "Send a key in the header Authorization-PSK."},
		{[]auth.Scheme{auth.SchemeBearer}, "Send an access token in the header Authorization."},
		{[]auth.Scheme{auth.SchemeBearer, auth.SchemeAPIKey}, "Send a key in the header Authorization-PSK, or an access token in the header Authorization."},
	} {
		h, err := nx1.New(nil, nx1.Options{}, auth.Chain{Schemes: tc.schemes, Failures: unnoticed{}}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/api/app/0f8fad5b-d9cb-469f-a165-70867728950e/secrets", nil))
		if w.Code != 401 || strings.TrimSpace(w.Body.String()) != `{"error":"`+tc.want+`","code":401}` {
			t.Errorf("%v: %d %s", tc.schemes, w.Code, w.Body)
		}
	}
}
