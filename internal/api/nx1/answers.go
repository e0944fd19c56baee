package nx1

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/server"
)

// The answers are written here rather than by the generated types, which leave
// out an empty list and put values into plain strings.

// A detail is the document's SecretDetailResponse.
type detail struct {
	SecretName string     `json:"secret_name"`
	K8sName    string     `json:"k8s_name"`
	Data       []keyValue `json:"data"` // sorted by key
	CreatedAt  string     `json:"created_at"`

	revision secret.Revision
}

type keyValue struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// masked shows a secret as everybody may see it who may list it.
func masked(info secret.Info) detail {
	d := detail{
		SecretName: info.Name, K8sName: info.StoredAs(), Data: make([]keyValue, len(info.Keys)),
		CreatedAt: info.Created.UTC().Format(time.RFC3339), revision: info.Revision,
	}
	for i, key := range info.Keys {
		d.Data[i] = keyValue{key, secret.Mask}
	}
	return d
}

// revealed shows a secret with its values. Those that are not text, which only
// others than this API can have stored, cannot be shown in JSON.
func revealed(info secret.Info, data map[string]secret.Value) (detail, error) {
	d := masked(info)
	for i, key := range slices.Sorted(maps.Keys(data)) {
		value := string(data[key])
		if !utf8.ValidString(value) {
			return detail{}, fmt.Errorf("%w: %s", errNotText, key)
		}
		d.Data[i] = keyValue{key, value}
	}
	return d, nil
}

func (d detail) write(w http.ResponseWriter) error {
	w.Header().Set("ETag", server.ETag(string(d.revision)))
	return server.WriteJSON(w, http.StatusOK, d)
}

func (d detail) VisitCreateSecretResponse(w http.ResponseWriter) error { return d.write(w) }
func (d detail) VisitGetSecretResponse(w http.ResponseWriter) error    { return d.write(w) }
func (d detail) VisitUpdateSecretResponse(w http.ResponseWriter) error { return d.write(w) }
func (d detail) VisitRevealSecretResponse(w http.ResponseWriter) error { return d.write(w) }

// listed is the body of a list: a bare array.
type listed []secret.Info

func (l listed) VisitListSecretsResponse(w http.ResponseWriter) error {
	details := make([]detail, len(l))
	for i, info := range l {
		details[i] = masked(info)
	}
	return server.WriteJSON(w, http.StatusOK, details)
}

// deleted is the body of a deletion, the document's DeleteResponse.
type deleted struct {
	Success bool   `json:"success"`
	Message string `json:"message"`
}

func (d deleted) VisitDeleteSecretResponse(w http.ResponseWriter) error {
	return server.WriteJSON(w, http.StatusOK, d)
}
