package strongroom

import (
	"cmp"
	"context"
	"encoding/base64"
	"fmt"

	gen "github.com/strongroom/strongroom/gen/strongroom"
	"github.com/strongroom/strongroom/internal/auth"
	"github.com/strongroom/strongroom/internal/secret"
)

// ListSecrets lists an owner's secrets.
func (a *handlers) ListSecrets(ctx context.Context, req gen.ListSecretsRequestObject) (gen.ListSecretsResponseObject, error) {
	s, owner, err := a.findOwner(*req.Body)
	if err != nil {
		return nil, err
	}
	infos, err := s.List(ctx, auth.Caller(ctx), owner, secret.Page{})
	if err != nil {
		return nil, err
	}
	listed := gen.ListSecrets200JSONResponse{}
	for _, info := range infos {
		v := version(info)
		last, ok, err := a.admin.LastAccess.Last(info.Ref)
		if err != nil {
			return nil, err
		}
		if ok && !last.Time.Before(info.Created) { // otherwise the access was to an earlier secret of this name
			v.LastAccess, v.LastAccessBy, v.LastAccessKey = &last.Time, &last.Subject, set(last.CredentialID)
		}
		listed = append(listed, v)
	}
	return listed, nil
}

// ListOwners lists the owners that have secrets, apps before users.
func (a *handlers) ListOwners(ctx context.Context, req gen.ListOwnersRequestObject) (gen.ListOwnersResponseObject, error) {
	s, err := a.admin.Secrets(req.Body.Store)
	if err != nil {
		return nil, err
	}
	listed := gen.ListOwners200JSONResponse{}
	for _, kind := range []string{secret.KindApp, secret.KindUser} {
		owners, err := s.Owners(ctx, auth.Caller(ctx), kind)
		if err != nil {
			return nil, err
		}
		for _, o := range owners {
			listed = append(listed, gen.OwnerInfo{Owner: o.Owner.String(), Secrets: o.Secrets})
		}
	}
	return listed, nil
}

// SecretHistory lists the versions of a secret.
func (a *handlers) SecretHistory(ctx context.Context, req gen.SecretHistoryRequestObject) (gen.SecretHistoryResponseObject, error) {
	s, ref, err := a.find(*req.Body)
	if err != nil {
		return nil, err
	}
	infos, err := s.Versions(ctx, auth.Caller(ctx), ref)
	if err != nil {
		return nil, err
	}
	versions := gen.SecretHistory200JSONResponse{}
	for _, info := range infos {
		versions = append(versions, version(info))
	}
	return versions, nil
}

// ImportSecret creates a secret from data kept elsewhere.
func (a *handlers) ImportSecret(ctx context.Context, req gen.ImportSecretRequestObject) (gen.ImportSecretResponseObject, error) {
	s, ref, err := a.find(gen.SecretRef{Store: req.Body.Store, Owner: req.Body.Owner, Name: req.Body.Name})
	if err != nil {
		return nil, err
	}
	draft := secret.Draft{Description: req.Body.Description, Data: map[string]secret.Value{}}
	for i, d := range req.Body.Data {
		value, err := valueOf(d)
		if err != nil {
			return nil, &secret.InvalidError{Field: fmt.Sprintf("data[%d].value", i), Reason: "must be base64"}
		}
		draft.Data[d.Key] = value
	}
	info, err := s.Import(ctx, auth.Caller(ctx), ref, draft)
	if err != nil {
		return nil, err
	}
	return gen.ImportSecret200JSONResponse(version(info)), nil
}

func valueOf(d gen.KeyValue) (secret.Value, error) {
	if d.Base64 == nil || !*d.Base64 {
		return secret.Value(d.Value), nil
	}
	bytes, err := base64.StdEncoding.DecodeString(d.Value)
	return secret.Value(bytes), err
}

// Migrate copies secrets from one store to another.
func (a *handlers) Migrate(ctx context.Context, req gen.MigrateRequestObject) (gen.MigrateResponseObject, error) {
	deleteSource := req.Body.DeleteSource != nil && *req.Body.DeleteSource
	m, err := a.admin.Migrate(ctx, auth.Caller(ctx), req.Body.From, req.Body.To, deleteSource)
	if err != nil {
		return nil, err
	}
	out := gen.Migrate200JSONResponse{Copied: m.Copied, Present: m.Present, Deleted: m.Deleted}
	out.Left = make([]struct {
		Name  string `json:"name"`
		Owner string `json:"owner"`
		Why   string `json:"why"`
	}, len(m.Left))
	for i, left := range m.Left {
		out.Left[i].Owner, out.Left[i].Name, out.Left[i].Why = left.Ref.Owner.String(), left.Ref.Name, left.Why.Error()
	}
	return out, nil
}

// RestoreSecret restores an earlier version.
func (a *handlers) RestoreSecret(ctx context.Context, req gen.RestoreSecretRequestObject) (gen.RestoreSecretResponseObject, error) {
	s, ref, err := a.find(gen.SecretRef{Store: req.Body.Store, Owner: req.Body.Owner, Name: req.Body.Name})
	if err != nil {
		return nil, err
	}
	info, err := s.Restore(ctx, auth.Caller(ctx), ref, secret.Revision(req.Body.Revision))
	if err != nil {
		return nil, err
	}
	return gen.RestoreSecret200JSONResponse(version(info)), nil
}

// UndeleteSecret restores a deleted secret.
func (a *handlers) UndeleteSecret(ctx context.Context, req gen.UndeleteSecretRequestObject) (gen.UndeleteSecretResponseObject, error) {
	s, ref, err := a.find(gen.SecretRef{Store: req.Body.Store, Owner: req.Body.Owner, Name: req.Body.Name})
	err = cmp.Or(err, notEmptied("revision", req.Body.Revision))
	if err != nil {
		return nil, err
	}
	info, err := s.Undelete(ctx, auth.Caller(ctx), ref, secret.Revision(optional(req.Body.Revision)))
	if err != nil {
		return nil, err
	}
	return gen.UndeleteSecret200JSONResponse(version(info)), nil
}

// DestroySecret removes a secret for good.
func (a *handlers) DestroySecret(ctx context.Context, req gen.DestroySecretRequestObject) (gen.DestroySecretResponseObject, error) {
	s, ref, err := a.find(gen.SecretRef{Store: req.Body.Store, Owner: req.Body.Owner, Name: req.Body.Name})
	if err != nil {
		return nil, err
	}
	if err := a.admin.Destroy(ctx, auth.Caller(ctx), s, ref, removal(req.Body.NoCompact)); err != nil {
		return nil, err
	}
	return gen.DestroySecret204Response{}, nil
}

// DeletedSecrets lists the deleted secrets of an owner.
func (a *handlers) DeletedSecrets(ctx context.Context, req gen.DeletedSecretsRequestObject) (gen.DeletedSecretsResponseObject, error) {
	s, owner, err := a.findOwner(*req.Body)
	if err != nil {
		return nil, err
	}
	all, err := s.Deleted(ctx, auth.Caller(ctx), owner)
	if err != nil {
		return nil, err
	}
	deleted := gen.DeletedSecrets200JSONResponse{}
	for _, d := range all {
		v := version(d.Info)
		v.Deleted = &d.At
		deleted = append(deleted, v)
	}
	return deleted, nil
}

// EraseOwner removes all secrets of an owner and their history.
func (a *handlers) EraseOwner(ctx context.Context, req gen.EraseOwnerRequestObject) (gen.EraseOwnerResponseObject, error) {
	s, owner, err := a.findOwner(gen.OwnerRef{Store: req.Body.Store, Owner: req.Body.Owner})
	if err != nil {
		return nil, err
	}
	if err := a.admin.Erase(ctx, auth.Caller(ctx), s, owner, removal(req.Body.NoCompact)); err != nil {
		return nil, err
	}
	return gen.EraseOwner204Response{}, nil
}

func (a *handlers) find(ref gen.SecretRef) (*secret.Service, secret.Ref, error) {
	s, owner, err := a.findOwner(gen.OwnerRef{Store: ref.Store, Owner: ref.Owner})
	return s, secret.Ref{Owner: owner, Name: ref.Name}, err
}

func (a *handlers) findOwner(ref gen.OwnerRef) (*secret.Service, secret.Owner, error) {
	owner, err := secret.ParseOwner(ref.Owner)
	if err != nil {
		return nil, owner, err
	}
	s, err := a.admin.Secrets(ref.Store)
	return s, owner, err
}

func version(info secret.Info) gen.Version {
	keys := append([]string{}, info.Keys...)
	return gen.Version{
		Name: info.Name, Description: info.Description, Keys: keys,
		Created: info.Created, Updated: info.Updated, Revision: string(info.Revision),
	}
}
