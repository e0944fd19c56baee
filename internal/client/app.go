package client

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/google/uuid"

	gen "github.com/strongroom/strongroom/gen/nx1"
	"github.com/strongroom/strongroom/internal/secret"
)

// An app has the secrets of an Nx1 app.
type app struct {
	id  uuid.UUID
	api *gen.ClientWithResponses
}

var _ Secrets = (*app)(nil)

func newApp(c *Client, id string) (*app, error) {
	parsed, err := uuid.Parse(id)
	if err != nil {
		return nil, errors.New("the id of an app must be a UUID")
	}
	api, err := gen.NewClientWithResponses(c.base, gen.WithHTTPClient(c.http), gen.WithRequestEditorFn(c.sign(secret.KindApp)))
	return &app{parsed, api}, err
}

func (a *app) List(ctx context.Context) ([]Entry, error) {
	resp, err := a.api.ListSecretsWithResponse(ctx, a.id)
	if err := refusal(resp, err); err != nil {
		return nil, err
	}
	if resp.JSON200 == nil {
		return nil, errNotStrongroom
	}
	entries := make([]Entry, 0, len(*resp.JSON200))
	for _, s := range *resp.JSON200 {
		created, _ := s.CreatedAt.Get()
		entries = append(entries, Entry{Name: s.SecretName, Keys: slices.Sorted(maps.Keys(dataOf(s))), Created: created})
	}
	return entries, nil
}

// errNotStrongroom means that an answer has not the form that the documents say.
var errNotStrongroom = errors.New("the answer is not of a Strongroom server: check the URL")

func dataOf(s gen.SecretDetailResponse) map[string]secret.Value {
	data := map[string]secret.Value{}
	if s.Data != nil {
		for _, kv := range *s.Data {
			data[kv.Key] = secret.Value(kv.Value)
		}
	}
	return data
}

func (a *app) Reveal(ctx context.Context, name string) (Secret, error) {
	resp, err := a.api.RevealSecretWithResponse(ctx, a.id, name)
	if err := refusal(resp, err); err != nil {
		return Secret{}, err
	}
	if resp.JSON200 == nil {
		return Secret{}, errNotStrongroom
	}
	return Secret{Name: name, Data: dataOf(*resp.JSON200), Revision: etagOf(resp.HTTPResponse)}, nil
}

func (a *app) Create(ctx context.Context, s Secret) ([]string, error) {
	resp, err := a.api.CreateSecretWithResponse(ctx, a.id, gen.CreateSecretRequest{SecretName: s.Name, Data: pairs(s.Data)})
	if err := refusal(resp, err); err != nil {
		return nil, err
	}
	return warningsOf(resp.HTTPResponse), nil
}

func pairs(data map[string]secret.Value) []gen.SecretKeyValue {
	all := []gen.SecretKeyValue{}
	for _, key := range slices.Sorted(maps.Keys(data)) {
		all = append(all, gen.SecretKeyValue{Key: key, Value: string(data[key])})
	}
	return all
}

func (a *app) Replace(ctx context.Context, s Secret) ([]string, error) {
	resp, err := a.api.UpdateSecretWithResponse(ctx, a.id, s.Name,
		&gen.UpdateSecretParams{IfMatch: ifGiven(s.Revision)}, gen.UpdateSecretRequest{Data: pairs(s.Data)})
	if err := refusal(resp, err); err != nil {
		return nil, err
	}
	return warningsOf(resp.HTTPResponse), nil
}

func (a *app) Delete(ctx context.Context, name, revision string) error {
	resp, err := a.api.DeleteSecretWithResponse(ctx, a.id, name, &gen.DeleteSecretParams{IfMatch: ifGiven(revision)})
	return refusal(resp, err)
}

// Rename copies the secret and deletes the old name, because Nx1's API has no operation for it.
func (a *app) Rename(ctx context.Context, from, to string) error {
	s, err := a.Reveal(ctx, from)
	if err != nil {
		return err
	}
	if _, err := a.Create(ctx, Secret{Name: to, Data: s.Data}); err != nil {
		return err
	}
	return a.Delete(ctx, from, s.Revision)
}

func (a *app) Changed(ctx context.Context, name, known string) (string, error) {
	resp, err := a.api.GetSecretWithResponse(ctx, a.id, name, &gen.GetSecretParams{IfNoneMatch: ifGiven(known)})
	if err := refusal(resp, err); err != nil {
		return "", err
	}
	return etagOf(resp.HTTPResponse), nil
}
