package client

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/strongroom/strongroom/internal/secret"
)

// A Version is a version of a secret, without its values.
type Version struct {
	Number  int       `json:"version"` // from 1
	Created time.Time `json:"created"`
}

// ErrNoVersions means that the server does not tell clients about versions.
var ErrNoVersions = errors.New("this server tells clients nothing about versions, because its config has no apis.vault: on the server, use strongroom secret history")

// vaultHeader has the API key in requests of Vault's KV API, the only API with versions.
const vaultHeader = "X-Vault-Token"

// Versions returns the versions of a secret, newest first. A caller without the right to administer the
// secret sees only the current one. The mount is the server's apis.vault.mount.
func (s *Session) Versions(ctx context.Context, t Target, mount, name string) ([]Version, error) {
	c, err := s.client(t)
	if err != nil {
		return nil, err
	}
	owner := "user/me"
	if t.Owner.Kind == secret.KindApp {
		owner = "app/" + url.PathEscape(t.Owner.ID)
	}
	status, body, err := c.getVault(ctx, t.Owner.Kind, "/v1/"+url.PathEscape(mount)+"/metadata/"+owner+"/"+url.PathEscape(name))
	if err != nil {
		return nil, err
	}
	if status != http.StatusOK {
		return nil, c.noVersions(ctx, status)
	}
	var metadata struct {
		Data struct {
			Versions map[string]struct {
				Created time.Time `json:"created_time"`
			}
		}
	}
	if json.Unmarshal(body, &metadata) != nil {
		return nil, errNotStrongroom
	}
	var all []Version
	for number, v := range metadata.Data.Versions {
		n, err := strconv.Atoi(number)
		if err != nil {
			return nil, errNotStrongroom
		}
		all = append(all, Version{n, v.Created})
	}
	slices.SortFunc(all, func(a, b Version) int { return cmp.Compare(b.Number, a.Number) })
	return all, nil
}

// noVersions returns the error for a status other than 200. Only a server with Vault's API answers its health check.
func (c *Client) noVersions(ctx context.Context, status int) error {
	health, _, err := c.getVault(ctx, "", "/v1/sys/health")
	switch {
	case err != nil:
		return err
	case health != http.StatusOK && health != http.StatusServiceUnavailable:
		return ErrNoVersions
	case status == http.StatusNotFound:
		return secret.ErrNotFound
	case status == http.StatusForbidden:
		return fmt.Errorf("%w for %s: the strategies of apis.vault must have this key", ErrCredential, vaultHeader)
	}
	return fmt.Errorf("the server has answered %d %s", status, http.StatusText(status))
}

// getVault sends a request to Vault's API, with the credential for this kind of owner. An empty kind sends none.
func (c *Client) getVault(ctx context.Context, kind, path string) (status int, body []byte, err error) {
	if kind == "" {
		return c.get(ctx, path, maxMetadata, nil)
	}
	return c.get(ctx, path, maxMetadata, func(ctx context.Context, req *http.Request) error {
		if err := c.sign(kind)(ctx, req); err != nil {
			return err
		}
		for _, header := range []string{customHeader, appHeader} {
			if key := req.Header.Get(header); key != "" {
				req.Header.Del(header)
				req.Header.Set(vaultHeader, key)
			}
		}
		return nil
	})
}

// maxMetadata bounds the description of a secret's versions, in bytes: some 100 for each.
const maxMetadata = 16 << 20
