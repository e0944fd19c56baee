package app

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/strongroom/strongroom/internal/config"
)

// signInPath is where strongroom login looks for the identity providers of a server.
const signInPath = "/.well-known/strongroom"

// A signIn is an identity provider at which people can sign in with strongroom login.
type signIn struct {
	Issuer    string   `json:"issuer"`
	ClientID  string   `json:"client_id"`
	Scopes    []string `json:"scopes,omitempty"`
	UserClaim string   `json:"user_claim"`
}

// signInDocument returns the document for strongroom login; nil if no strategy has a command_line.
func signInDocument(auth map[string]config.Strategy) []byte {
	var document struct {
		SignIn []signIn `json:"sign_in"`
	}
	for _, name := range slices.Sorted(maps.Keys(auth)) {
		o := auth[name].OIDC
		if o == nil || o.CommandLine == nil {
			continue
		}
		document.SignIn = append(document.SignIn, signIn{o.Issuer, o.CommandLine.ClientID, o.CommandLine.Scopes, o.UserClaim})
	}
	if document.SignIn == nil {
		return nil
	}
	text, _ := json.Marshal(document) // strings cannot fail
	return text
}
