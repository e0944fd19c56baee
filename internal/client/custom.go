package client

import (
	"context"
	"errors"
	"net/http"
	"strings"

	agent "github.com/strongroom/strongroom/gen/agentserver"
	gen "github.com/strongroom/strongroom/gen/openhands"
	"github.com/strongroom/strongroom/internal/secret"
)

// A custom has the custom secrets of the credential's user. OpenHands 0.53.0's API lists, creates and renames
// secrets; the API of the agent server gives and replaces values.
type custom struct {
	api    *gen.ClientWithResponses
	values *agent.ClientWithResponses
}

var _ Secrets = (*custom)(nil)

func newCustom(c *Client) (*custom, error) {
	sign := c.sign(secret.KindUser)
	api, err := gen.NewClientWithResponses(c.base, gen.WithHTTPClient(c.http), gen.WithRequestEditorFn(sign))
	values, other := agent.NewClientWithResponses(c.base, agent.WithHTTPClient(c.http), agent.WithRequestEditorFn(sign))
	return &custom{api, values}, errors.Join(err, other)
}

func (u *custom) List(ctx context.Context) ([]Entry, error) {
	resp, err := u.api.ListSecretsWithResponse(ctx)
	if err := refusal(resp, err); err != nil {
		return nil, err
	}
	if resp.JSON200 == nil {
		return nil, errNotStrongroom
	}
	entries := make([]Entry, 0, len(resp.JSON200.CustomSecrets))
	for _, s := range resp.JSON200.CustomSecrets {
		description, _ := s.Description.Get()
		entries = append(entries, Entry{Name: s.Name, Keys: []string{ValueKey}, Description: description})
	}
	return entries, nil
}

func (u *custom) Reveal(ctx context.Context, name string) (Secret, error) {
	resp, err := u.values.GetSecretValueWithResponse(ctx, name, &agent.GetSecretValueParams{})
	if err := explainName(name, refusal(resp, err)); err != nil {
		return Secret{}, err
	}
	return Secret{Name: name, Data: map[string]secret.Value{ValueKey: secret.Value(resp.Body)}, Revision: etagOf(resp.HTTPResponse)}, nil
}

// explainName says why the server refuses a name that other APIs allow.
func explainName(name string, err error) error {
	if e, ok := errors.AsType[*AnswerError](err); ok && e.Status == http.StatusUnprocessableEntity && !readable(name) {
		e.Text = "the API of OpenHands' agent server gives values only of names with a letter and up to 63 letters, digits and underscores: rename it with strongroom mv"
	}
	return err
}

// readable reports whether the agent server's API gives the value of a secret with this name.
func readable(name string) bool {
	letter := func(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' }
	return name != "" && len(name) <= 64 && letter(rune(name[0])) &&
		!strings.ContainsFunc(name, func(r rune) bool { return r != '_' && !letter(r) && (r < '0' || r > '9') })
}

// A customBody is a new secret. The generated type would leave an empty value out.
type customBody struct {
	Name        string `json:"name"`
	Value       string `json:"value"`
	Description string `json:"description,omitempty"`
}

func bodyOf(s Secret) customBody {
	return customBody{s.Name, string(s.Data[ValueKey]), s.Description}
}

func (u *custom) Create(ctx context.Context, s Secret) ([]string, error) {
	resp, err := u.api.CreateSecretWithBodyWithResponse(ctx, jsonType, jsonBody(bodyOf(s)))
	err = refusal(resp, err)
	// OpenHands answers 400 for a name that is taken; its clients look for these words.
	if e, ok := errors.AsType[*AnswerError](err); ok && e.Status == http.StatusBadRequest && strings.Contains(e.Text, "already exists") {
		e.means = secret.ErrExists
	}
	if err != nil {
		return nil, err
	}
	return warningsOf(resp.HTTPResponse), nil
}

func (u *custom) Replace(ctx context.Context, s Secret) ([]string, error) {
	resp, err := u.values.PutSecretWithBodyWithResponse(ctx, &agent.PutSecretParams{IfMatch: ifGiven(s.Revision)}, jsonType, jsonBody(bodyOf(s)))
	if err := explainName(s.Name, refusal(resp, err)); err != nil {
		return nil, err
	}
	return warningsOf(resp.HTTPResponse), nil
}

func (u *custom) Delete(ctx context.Context, name, revision string) error {
	resp, err := u.api.DeleteSecretWithResponse(ctx, name, &gen.DeleteSecretParams{IfMatch: ifGiven(revision)})
	return refusal(resp, err)
}

func (u *custom) Rename(ctx context.Context, from, to string) error {
	description, err := u.description(ctx, from)
	if err != nil {
		return err
	}
	body := map[string]string{"name": to, "description": description}
	resp, err := u.api.UpdateSecretWithBodyWithResponse(ctx, from, &gen.UpdateSecretParams{}, jsonType, jsonBody(body))
	return refusal(resp, err)
}

// description returns a secret's description, which a replacement has to repeat.
func (u *custom) description(ctx context.Context, name string) (string, error) {
	entries, err := u.List(ctx)
	if err != nil {
		return "", err
	}
	for _, e := range entries {
		if e.Name == name {
			return e.Description, nil
		}
	}
	return "", secret.ErrNotFound
}

func (u *custom) Changed(ctx context.Context, name, known string) (string, error) {
	resp, err := u.values.GetSecretValueWithResponse(ctx, name, &agent.GetSecretValueParams{IfNoneMatch: ifGiven(known)})
	if err := refusal(resp, err); err != nil {
		return "", err
	}
	return etagOf(resp.HTTPResponse), nil
}
