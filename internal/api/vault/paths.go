package vault

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/strongroom/strongroom/internal/secret"
)

// me stands for the caller's own user in a path.
const me = "me"

// HealthPath is the path of [Health].
const HealthPath = "/v1/sys/health"

// Vault's command line requests mountsPath, followed by the path of the secret.
const mountsPath = "/v1/sys/internal/ui/mounts/"

// errPath says which paths there are. It does not quote the path.
var errPath = &secret.InvalidError{
	Field: "path", Reason: "must be app/<uuid>/<name>, user/<id>/<name> or user/me/<name>",
}

// find returns the service and the ref of a secret, or of an owner if the name is empty.
func (a *handlers) find(caller secret.Caller, mount, kind, id, name string) (*secret.Service, secret.Ref, error) {
	secrets, err := a.serving(mount, kind)
	if err != nil {
		return nil, secret.Ref{}, err
	}
	owner, err := ownerOf(caller, kind, id)
	return secrets, secret.Ref{Owner: owner, Name: name}, err
}

func (a *handlers) serving(mount, kind string) (*secret.Service, error) {
	if err := a.mounted(mount); err != nil {
		return nil, err
	}
	secrets, ok := a.Secrets[kind]
	if !ok {
		return nil, errPath
	}
	return secrets, nil
}

func (a *handlers) mounted(mount string) error {
	if mount != a.Mount {
		return echo.ErrNotFound
	}
	return nil
}

func (a *handlers) kinds() (all keys) {
	for _, kind := range slices.Sorted(maps.Keys(a.Secrets)) {
		all = append(all, kind+"/")
	}
	return all
}

func ownerOf(caller secret.Caller, kind, id string) (secret.Owner, error) {
	switch {
	case kind == secret.KindApp:
		if len(id) != 36 || uuid.Validate(id) != nil {
			return secret.Owner{}, &secret.InvalidError{Field: "path", Reason: "must have the UUID of the app, with hyphens, behind app/"}
		}
		return secret.App(id), nil
	case id == me:
		return secret.User(caller.User), nil
	}
	return secret.User(id), checkUser(id)
}

// checkUser refuses ids that no user has. They would fill the audit log.
func checkUser(id string) error {
	if id == secret.AnyID || secret.CheckName(id) != nil {
		return errPath
	}
	return nil
}

// A translator turns the forms of requests that documents and generated code cannot
// express into those of the document: the method LIST, a slash at the end of a list's
// path, and anything after the name of the mount in the path that the command line
// requests first. Echo's own middleware runs after it has chosen the route.
type translator struct{ *echo.Echo }

func (t translator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	t.Echo.ServeHTTP(w, translated(r))
}

// listable reports whether the path is one of the metadata, as /v1/secret/metadata/user/me.
func listable(path string) bool {
	segments := strings.Split(path, "/")
	return len(segments) > 3 && segments[3] == "metadata"
}

// translated returns the request, or a changed copy, because net/http still uses the request.
func translated(r *http.Request) *http.Request {
	path := echo.GetPath(r)
	method, query, changed := r.Method, r.URL.RawQuery, path
	if method == "LIST" && listable(path) {
		method, query = http.MethodGet, "list=true"
	}
	if rest, ok := strings.CutPrefix(path, mountsPath); ok {
		mount, _, _ := strings.Cut(rest, "/")
		changed = mountsPath + mount
	} else if method == http.MethodGet && query == "list=true" {
		changed = strings.TrimSuffix(path, "/")
	}
	if method == r.Method && changed == path {
		return r
	}
	u := *r.URL
	u.RawQuery = query
	if u.RawPath == "" {
		u.Path = changed
	} else {
		u.RawPath = changed
		u.Path, _ = url.PathUnescape(changed) // net/http has parsed it already
	}
	copied := r.WithContext(r.Context())
	copied.Method, copied.URL = method, &u
	return copied
}
