package custom

import (
	"regexp"

	"github.com/strongroom/strongroom/internal/secret"
)

var envName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

// CheckEnvName returns an InvalidError unless an environment variable can have
// the name.
func CheckEnvName(name string) error {
	if envName.MatchString(name) {
		return nil
	}
	return &secret.InvalidError{Field: "name", Reason: "must be the name of an environment variable"}
}
