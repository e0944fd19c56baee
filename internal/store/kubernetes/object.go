package kubernetes

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/strongroom/strongroom/internal/objectname"
	"github.com/strongroom/strongroom/internal/secret"
)

// Our objects have the label managedBy with the value us, and labels and annotations with
// our prefix. A name is in an annotation, because a label is limited to 63 characters of
// few kinds.
const (
	us     = "strongroom"
	prefix = "strongroom.github.io/"

	managedBy  = "app.kubernetes.io/managed-by"
	appLabel   = prefix + "app-id" // an app's id, a UUID
	userLabel  = prefix + "user"   // a hash of a user's id, which can be any text
	leaving    = prefix + "leaving"
	ownerNote  = prefix + "owner" // as in user/alice
	nameNote   = prefix + "name"
	aboutNote  = prefix + "description"
	createdOn  = prefix + "created" // only if it differs from the object's creation time
	updatedOn  = prefix + "updated"
	writeNote  = prefix + "write"      // id of the last write
	leavingFor = prefix + "leaving-to" // the name that a secret is being renamed to
	cameFrom   = prefix + "came-from"  // uid and resourceVersion of the secret it was renamed from

	// kubectl apply keeps a copy of the applied object here, values included.
	lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

	opaque = "Opaque"
)

// An object is a Secret in the form of the API. V decodes values: to bytes, or to
// nothing.
type object[V any] struct {
	Metadata metadata     `json:"metadata"`
	Type     string       `json:"type,omitempty"`
	Data     map[string]V `json:"data,omitempty"`
}

// A masked is an object whose values are skipped while decoding.
type masked = object[skipped]

type skipped struct{}

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (*skipped) UnmarshalJSONFrom(from *jsontext.Decoder) error { return from.SkipValue() }

// metadata has only our annotations.
type metadata struct {
	Name              string     `json:"name"`
	UID               string     `json:"uid,omitempty"`
	ResourceVersion   string     `json:"resourceVersion,omitempty"`
	CreationTimestamp time.Time  `json:"creationTimestamp,omitzero"`
	DeletionTimestamp *time.Time `json:"deletionTimestamp,omitempty"`
	Labels            labels     `json:"labels"`
	Annotations       notes      `json:"annotations"`
}

type labels struct {
	ManagedBy string `json:"app.kubernetes.io/managed-by,omitempty"`
	AppID     string `json:"strongroom.github.io/app-id,omitempty"`
	User      string `json:"strongroom.github.io/user,omitempty"`
	Leaving   string `json:"strongroom.github.io/leaving,omitempty"`
}

type notes struct {
	Owner       string `json:"strongroom.github.io/owner,omitempty"`
	Name        string `json:"strongroom.github.io/name,omitempty"`
	Description string `json:"strongroom.github.io/description,omitempty"`
	Created     string `json:"strongroom.github.io/created,omitempty"`
	Updated     string `json:"strongroom.github.io/updated,omitempty"`
	Write       string `json:"strongroom.github.io/write,omitempty"`
	LeavingFor  string `json:"strongroom.github.io/leaving-to,omitempty"`
	CameFrom    string `json:"strongroom.github.io/came-from,omitempty"`
}

// ownerLabel returns the label of an owner's secrets and its value.
func ownerLabel(owner secret.Owner) (label, value string) {
	if owner.Kind == secret.KindApp {
		return appLabel, owner.ID
	}
	hash := sha256.Sum256([]byte(owner.ID))
	return userLabel, strings.ToLower(base32.StdEncoding.EncodeToString(hash[:]))[:26]
}

func labelsOf(owner secret.Owner) labels {
	l := labels{ManagedBy: us}
	if label, value := ownerLabel(owner); label == appLabel {
		l.AppID = value
	} else {
		l.User = value
	}
	return l
}

// is reports whether the object is this secret: managed by us, with this owner and name,
// and not being deleted.
func (m *metadata) is(ref secret.Ref) bool {
	owned := m.Labels.AppID
	label, id := ownerLabel(ref.Owner)
	if label == userLabel {
		owned = m.Labels.User
	}
	return m.DeletionTimestamp == nil && m.Labels.ManagedBy == us && owned == id && m.Annotations.Name == ref.Name && m.Name == objectname.Of(ref)
}

// taken returns the error for a new object of this name. An object with finalizers stays
// until other clients have removed them.
func (m *metadata) taken() error {
	if m.DeletionTimestamp != nil {
		return secret.ErrBeingDeleted
	}
	return secret.ErrExists
}

// state identifies the state of the object. A copy stores the state that it was made
// from.
func (m *metadata) state() string { return m.UID + "@" + m.ResourceVersion }

// ref returns the secret in the object's annotations; ok is false for an object that we
// do not manage.
func (m *metadata) ref() (ref secret.Ref, ok bool) {
	kind, id, _ := strings.Cut(m.Annotations.Owner, "/")
	ref = secret.Ref{Owner: secret.Owner{Kind: kind, ID: id}, Name: m.Annotations.Name}
	return ref, m.is(ref)
}

// info returns the Info of the secret, given its data keys. Unreadable times are
// replaced by those of the object.
func (m *metadata) info(ref secret.Ref, keys []string) secret.Info {
	i := secret.Info{
		Ref: ref, Description: m.Annotations.Description, Keys: keys, Created: m.CreationTimestamp.UTC(),
		Revision: secret.Revision(m.ResourceVersion), ObjectName: m.Name,
	}
	if created, err := time.Parse(time.RFC3339Nano, m.Annotations.Created); err == nil {
		i.Created = created
	}
	i.Updated = i.Created
	if updated, err := time.Parse(time.RFC3339Nano, m.Annotations.Updated); err == nil {
		i.Updated = updated
	}
	return i
}

// stamp formats a time for an annotation.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

func (o *object[V]) keys() []string { return slices.Sorted(maps.Keys(o.Data)) }

// encoded returns the values as bytes, which JSON encodes in base64.
func encoded(data map[string]secret.Value) map[string][]byte {
	bytes := make(map[string][]byte, len(data))
	for key, value := range data {
		bytes[key] = []byte(value)
	}
	return bytes
}

func decoded(data map[string][]byte) map[string]secret.Value {
	values := make(map[string]secret.Value, len(data))
	for key, bytes := range data {
		values[key] = secret.Value(bytes)
	}
	return values
}

// mustJSON encodes values that cannot fail: structs and maps of text and bytes. It uses
// the same package as the API server, because the test of a patch compares encoded text.
func mustJSON(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // no type of this package returns an error
	}
	return text
}
