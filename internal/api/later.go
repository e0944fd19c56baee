package api

import (
	"errors"

	"github.com/strongroom/strongroom/internal/secret"
)

// Later is what a 503 says for an error that is [secret.ErrUnavailable], or a
// context's.
func Later(err error) string {
	if errors.Is(err, secret.ErrBeingDeleted) {
		return "The secret is being deleted: try again later"
	}
	return "Try again later"
}
