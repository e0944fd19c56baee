package custom

import (
	"errors"

	"github.com/strongroom/strongroom/internal/api"
	"github.com/strongroom/strongroom/internal/fastapi"
	"github.com/strongroom/strongroom/internal/secret"
)

// Checks are an API's rules for custom secrets that its document does not contain.
type Checks struct {
	// Name checks a new name.
	Name func(name string) error
	// Suspicious selects the treatment of a value that looks like a mistake.
	Suspicious api.SuspiciousValues
	// Redacted accepts blank values and OpenHands' mask.
	Redacted bool
}

// New checks a new secret. It returns all violations as one error, or else the warnings.
func (c Checks) New(name, description, value string) (api.Warnings, error) {
	warnings, err := c.Value(value)
	return warnings, errors.Join(c.Name(name), secret.CheckDescription(description), err)
}

// Rules are the checks as rules for the body of a new secret.
func (c Checks) Rules() map[string]fastapi.Rule {
	value := func(text string) error {
		_, err := c.Value(text)
		return err
	}
	return map[string]fastapi.Rule{
		"name": api.Rule(c.Name), "description": api.Rule(secret.CheckDescription), "value": api.Rule(value),
	}
}

// RenameRules are the checks as rules for the body of a rename.
func (c Checks) RenameRules() map[string]fastapi.Rule {
	return map[string]fastapi.Rule{"name": api.RuleForNew(c.Name), "description": api.Rule(secret.CheckDescription)}
}

// Value checks a value. It returns an error, or else the warnings.
func (c Checks) Value(text string) (api.Warnings, error) {
	if !c.Redacted && isRedacted(text) {
		return nil, ErrRedacted
	}
	if err := secret.CheckSize(len(text), 1); err != nil {
		return nil, err
	}
	return c.Suspicious.Check(ValueKey, "", secret.Value(text))
}
