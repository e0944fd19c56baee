package nx1

import (
	"fmt"
	"net/http"
	"unicode/utf8"

	"github.com/strongroom/strongroom/internal/api"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/server"
)

// These types replace generated ones, which omit an empty list and keep values in plain
// strings.

// A detail is the document's SecretDetailResponse. Without values it shows masks.
type detail struct {
	secret.Info
	data     map[string]secret.Value
	warnings api.Warnings // about the written values
}

// masked returns a secret with masked values, for callers with the right to list.
func masked(info secret.Info) detail { return detail{Info: info} }

// written returns a secret after a write, with masked values.
func written(info secret.Info, warnings api.Warnings) detail {
	return detail{Info: info, warnings: warnings}
}

// revealed returns a secret with its values. JSON cannot contain a value that is not
// text; such a value was stored through another API or by kubectl.
func revealed(info secret.Info, data map[string]secret.Value) (detail, error) {
	for _, key := range info.Keys {
		if !utf8.ValidString(string(data[key])) {
			return detail{}, fmt.Errorf("%w: %s", errNotText, key)
		}
	}
	return detail{Info: info, data: data}, nil
}

// AppendTo writes the detail as JSON with sorted keys. Encoding by reflection would take
// most of the time of a request.
//
//	{"secret_name":"db","k8s_name":"nx1-…","data":[{"key":"USER","value":"****"}],"created_at":"2026-11-21T12:00:00Z"}
func (d detail) AppendTo(t *server.Text) {
	t.Append(`{"secret_name":`)
	t.Quote(d.Name)
	t.Append(`,"k8s_name":"`)
	t.Append(d.ObjectName) // letters, digits and hyphens
	t.Append(`","data":[`)
	for i, key := range d.Keys {
		if i > 0 {
			t.Append(`,`)
		}
		t.Append(`{"key":`)
		t.Quote(key)
		if d.data == nil {
			t.Append(`,"value":"` + secret.Mask + `"}`)
		} else {
			t.Append(`,"value":`)
			t.Quote(string(d.data[key]))
			t.Append(`}`)
		}
	}
	t.Append(`],"created_at":`)
	t.Time(d.Created)
	t.Append(`}`)
}

func (d detail) write(w http.ResponseWriter) error {
	d.warnings.Set(w.Header())
	server.SetETag(w.Header(), string(d.Revision))
	return server.WriteAppended(w, http.StatusOK, d)
}

func (d detail) VisitCreateSecretResponse(w http.ResponseWriter) error { return d.write(w) }
func (d detail) VisitGetSecretResponse(w http.ResponseWriter) error    { return d.write(w) }
func (d detail) VisitUpdateSecretResponse(w http.ResponseWriter) error { return d.write(w) }
func (d detail) VisitRevealSecretResponse(w http.ResponseWriter) error { return d.write(w) }

// listed is the body of a list: a bare array.
type listed []secret.Info

// AppendTo writes the list as JSON.
func (l listed) AppendTo(t *server.Text) {
	t.Append(`[`)
	for i, info := range l {
		if i > 0 {
			t.Append(`,`)
		}
		masked(info).AppendTo(t)
	}
	t.Append(`]`)
}

func (l listed) VisitListSecretsResponse(w http.ResponseWriter) error {
	return server.WriteAppended(w, http.StatusOK, l)
}

// deleted is the body of a deletion, the document's DeleteResponse.
type deleted struct {
	Success bool   `json:"success"`
	Message string `json:"message"`
}

func (d deleted) VisitDeleteSecretResponse(w http.ResponseWriter) error {
	return server.WriteJSON(w, http.StatusOK, d)
}
