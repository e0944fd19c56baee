package vault

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/server"
)

// These types replace generated ones, which keep values in plain strings.

// An envelope is around the data of every answer. A data writes itself as a JSON object.
type envelope struct {
	request string
	data    interface{ appendTo(*server.Text) }
}

// AppendTo writes the envelope as JSON.
func (e envelope) AppendTo(t *server.Text) {
	t.Append(`{"request_id":`)
	t.Quote(e.request)
	t.Append(`,"lease_id":"","renewable":false,"lease_duration":0,"data":`)
	e.data.appendTo(t)
	t.Append(`,"wrap_info":null,"warnings":null,"auth":null,"mount_type":"kv"}`)
}

func write(w http.ResponseWriter, data interface{ appendTo(*server.Text) }) error {
	return server.WriteAppended(w, http.StatusOK, envelope{w.Header().Get("X-Request-Id"), data})
}

// values are a secret with its values.
type values struct {
	secret.Info
	data map[string]secret.Value
}

// revealed returns a secret with its values. JSON cannot contain a value that is not text.
func revealed(info secret.Info, data map[string]secret.Value) (values, error) {
	for _, key := range info.Keys {
		if !utf8.ValidString(string(data[key])) {
			return values{}, fmt.Errorf("%w: %s", errNotText, key)
		}
	}
	return values{info, data}, nil
}

func (v values) appendTo(t *server.Text) {
	t.Append(`{"data":{`)
	for i, key := range v.Keys {
		if i > 0 {
			t.Append(`,`)
		}
		t.Quote(key)
		t.Append(`:`)
		t.Quote(string(v.data[key]))
	}
	t.Append(`},"metadata":{"created_time":`)
	t.Time(v.Updated)
	appendDescription(t, v.Info)
	t.Append(`,"deletion_time":"","destroyed":false,"version":`)
	appendNumber(t, v.Info)
	t.Append(`}}`)
}

func (v values) VisitReadSecretResponse(w http.ResponseWriter) error { return write(w, v) }

// described are the versions of a secret, newest first.
type described []secret.Info

func (d described) appendTo(t *server.Text) {
	newest, oldest := d[0], d[len(d)-1]
	t.Append(`{"cas_required":false,"created_time":`)
	t.Time(newest.Created)
	t.Append(`,"current_version":`)
	appendNumber(t, newest)
	appendDescription(t, newest)
	t.Append(`,"delete_version_after":"0s","max_versions":0,"oldest_version":`)
	appendNumber(t, oldest)
	t.Append(`,"updated_time":`)
	t.Time(newest.Updated)
	t.Append(`,"versions":{`)
	for i, info := range slices.Backward(d) {
		t.Append(`"`)
		appendNumber(t, info)
		t.Append(`":{"created_time":`)
		t.Time(info.Updated)
		t.Append(`,"deletion_time":"","destroyed":false}`)
		if i > 0 {
			t.Append(`,`)
		}
	}
	t.Append(`}}`)
}

func (d described) VisitReadMetadataResponse(w http.ResponseWriter) error { return write(w, d) }

func appendNumber(t *server.Text, info secret.Info) {
	t.Append(strconv.FormatUint(info.VersionNumber(), 10))
}

func appendDescription(t *server.Text, info secret.Info) {
	if info.Description == "" {
		t.Append(`,"custom_metadata":null`)
		return
	}
	t.Append(`,"custom_metadata":{"description":`)
	t.Quote(info.Description)
	t.Append(`}`)
}

// keys are the names of a list. Those with a slash at their end can be listed.
type keys []string

// orNone returns ErrNotFound instead of an empty list, as Vault does.
func (k keys) orNone() (keys, error) {
	if len(k) == 0 {
		return nil, secret.ErrNotFound
	}
	return k, nil
}

func (k keys) appendTo(t *server.Text) {
	t.Append(`{"keys":[`)
	for i, key := range k {
		if i > 0 {
			t.Append(`,`)
		}
		t.Quote(key)
	}
	t.Append(`]}`)
}

func (k keys) VisitListSecretsResponse(w http.ResponseWriter) error { return write(w, k) }
func (k keys) VisitListOwnersResponse(w http.ResponseWriter) error  { return write(w, k) }
func (k keys) VisitListKindsResponse(w http.ResponseWriter) error   { return write(w, k) }

// mount is the name of the mount.
type mount string

func (m mount) appendTo(t *server.Text) {
	t.Append(`{"path":`)
	t.Quote(string(m) + "/")
	t.Append(`,"type":"kv","description":"","options":{"version":"2"}}`)
}

func (m mount) VisitReadMountResponse(w http.ResponseWriter) error { return write(w, m) }

// self is the caller. The answer never has the credential, unlike Vault's.
type self secret.Caller

func (s self) appendTo(t *server.Text) {
	t.Append(`{"accessor":`)
	t.Quote(s.CredentialID)
	t.Append(`,"creation_time":0,"creation_ttl":0,"display_name":`)
	t.Quote(s.Subject)
	t.Append(`,"entity_id":"","expire_time":null,"explicit_max_ttl":0,"id":"","num_uses":0,"orphan":true,"path":"",`)
	t.Append(`"policies":[],"renewable":false,"ttl":0,"type":"service"}`)
}

func (s self) VisitLookupSelfResponse(w http.ResponseWriter) error { return write(w, s) }

// Health returns the answer of sys/health, which needs no credential: 200 if the server can serve,
// and otherwise 503. Vault's clients treat a server that cannot serve as sealed.
func Health(ready bool) (status int, body []byte) {
	if !ready {
		return http.StatusServiceUnavailable, []byte(`{"initialized":true,"sealed":true,"standby":false}`)
	}
	return http.StatusOK, []byte(`{"initialized":true,"sealed":false,"standby":false}`)
}
