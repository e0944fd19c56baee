package signin

import (
	"context"
	"errors"
	"time"

	"golang.org/x/oauth2"
)

// A DeviceCode is what a person types into a browser on another device.
type DeviceCode struct {
	Address  string // to open
	Complete string // the address with the code in it; may be empty
	Code     string
	Expires  time.Time
}

// Device signs a person in with a browser on any device. It calls show with the address and the code, and
// waits until the person has agreed, the code expires or the context ends.
func (p *Provider) Device(ctx context.Context, show func(DeviceCode)) (Tokens, error) {
	if !p.HasDevice() {
		return Tokens{}, errors.New("the identity provider has no sign-in by device code (RFC 8628)")
	}
	config, ctx := p.config(""), p.context(ctx)
	code, err := config.DeviceAuth(ctx)
	if err != nil {
		return Tokens{}, explain("asking for a device code", err)
	}
	show(DeviceCode{code.VerificationURI, code.VerificationURIComplete, code.UserCode, code.Expiry})
	t, err := config.DeviceAccessToken(ctx, code)
	if err != nil {
		return Tokens{}, explainDevice(err)
	}
	return p.tokens(ctx, t, "")
}

func explainDevice(err error) error {
	refused, ok := errors.AsType[*oauth2.RetrieveError](err)
	switch {
	case errors.Is(err, context.DeadlineExceeded) || ok && refused.ErrorCode == "expired_token":
		return errors.New("the code has expired: log in again")
	case ok && refused.ErrorCode == "access_denied":
		return errors.New("the sign-in was refused")
	}
	return explain("waiting for the sign-in", err)
}
