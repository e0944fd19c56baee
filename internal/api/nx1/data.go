package nx1

import (
	"fmt"
	"regexp"

	gen "github.com/strongroom/strongroom/gen/nx1"
	"github.com/strongroom/strongroom/internal/api"
	"github.com/strongroom/strongroom/internal/secret"
)

// MaskedValues decides how a write treats a value that equals the mask. Most likely
// the client sends back a masked answer.
type MaskedValues string

// The settings for masked values.
const (
	// RejectMasked refuses the request, so that no secret is overwritten by
	// asterisks.
	RejectMasked MaskedValues = "reject"
	// KeepMasked keeps the stored value of the key.
	KeepMasked MaskedValues = "keep"
	// StoreMasked stores the asterisks.
	StoreMasked MaskedValues = "store"
)

// The SDK does not escape names in paths, so only names that need no escaping are legal.
var namePattern = regexp.MustCompile(`^[A-Za-z0-9._-]{1,253}$`)

// CheckName returns an InvalidError unless Nx1's clients can use the name.
func CheckName(name string) error {
	if namePattern.MatchString(name) && name != "." && name != ".." {
		return nil
	}
	return errName
}

var errName = &secret.InvalidError{
	Field: "secret_name", Reason: "must be 1 to 253 letters, digits, '.', '_' or '-', and not '.' or '..'",
}

// draft reads a request for a new secret.
func (a *handlers) draft(body *gen.CreateSecretJSONRequestBody) (secret.Draft, api.Warnings, error) {
	if err := CheckName(body.SecretName); err != nil {
		return secret.Draft{}, nil, err
	}
	change, warnings, err := a.change(body.Data)
	if err == nil && len(change.Keep) > 0 {
		err = &secret.InvalidError{Field: "data", DataKey: change.Keep[0], Reason: "has no stored value to keep"}
	}
	return secret.Draft{Data: change.Set}, warnings, err
}

// change reads a request's list of keys and values. An error names the place in the list,
// and the key if it is legal, but never a value. Warnings are about the new values.
func (a *handlers) change(data []gen.SecretKeyValue) (c secret.Change, warnings api.Warnings, err error) {
	c.Set = map[string]secret.Value{}
	places := map[string]int{}
	for i, kv := range data {
		if err := secret.CheckKey(kv.Key); err != nil {
			return c, nil, fmt.Errorf("data[%d].%w", i, err)
		}
		if first, taken := places[kv.Key]; taken {
			return c, nil, &secret.InvalidError{
				Field: fmt.Sprintf("data[%d].key", i), DataKey: kv.Key, Reason: fmt.Sprintf("repeats the key of data[%d]", first),
			}
		}
		places[kv.Key] = i
		switch {
		case kv.Value != secret.Mask || a.opts.Masked == StoreMasked:
			c.Set[kv.Key] = secret.Value(kv.Value)
			more, err := a.opts.Suspicious.Check(fmt.Sprintf("data[%d].value", i), kv.Key, c.Set[kv.Key])
			if err != nil {
				return c, nil, err
			}
			warnings = append(warnings, more...)
		case a.opts.Masked == KeepMasked:
			c.Keep = append(c.Keep, kv.Key)
		default:
			return c, nil, &secret.InvalidError{
				Field: fmt.Sprintf("data[%d].value", i), DataKey: kv.Key, Reason: "is the mask ****: send the real value",
			}
		}
	}
	return c, warnings, nil
}
