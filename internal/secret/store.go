package secret

import (
	"context"
	"slices"
	"strings"
	"time"
)

// A Revision names one state of a secret and is opaque. It changes whenever
// name, description or values do, it is never derived from values, and the
// APIs show it as the ETag.
type Revision string

// Info is the part of a secret that can be shown without the right to reveal. It has
// no values, so a function that returns an Info cannot leak them.
type Info struct {
	Ref
	Description      string
	Keys             []string // sorted; read-only, because it may be shared
	Created, Updated time.Time
	UpdatedBy        string // subject of the caller; empty if the store does not know it
	Revision         Revision
	Version          uint64 // counts from 1; 0 in a store without versions
	ObjectName       string // as a Kubernetes object, see package objectname; kept because lists show it
}

// VersionNumber returns Version, or 1 in a store without versions.
func (i Info) VersionNumber() uint64 { return max(1, i.Version) }

// An Op is one operation on one secret, with its condition and its audit event.
type Op struct {
	Ref    Ref
	OnlyIf Revision // empty: unconditionally
	Event  *Event   // a [Recording] store audits it with the outcome

	// Credential is the caller's credential, or nil if it cannot stop working. Stores use
	// it through Check and Spend.
	Credential Credential

	// Recorded waits until the attempt is in the audit log and returns nil, or the reason
	// why it was not written. It is for an [Awaiting] store, which calls Await; nil means
	// that the entry is on disk already.
	Recorded func() error
}

// Await returns nil when the store may perform the operation. After an error the store
// changes nothing and returns that error.
func (op Op) Await() error {
	if op.Recorded == nil {
		return nil
	}
	return op.Recorded()
}

// AnyRevision as an Op's condition requires that the secret exists, as every operation
// except Create does anyway. It is If-Match: * (RFC 9110, section 13.1.1).
const AnyRevision Revision = "*"

// Matches reports whether the condition admits a secret at this revision.
func (op Op) Matches(now Revision) bool {
	return op.OnlyIf == "" || op.OnlyIf == AnyRevision || op.OnlyIf == now
}

// A Draft is the content of a new secret.
type Draft struct {
	Description string
	Data        map[string]Value
	Created     time.Time // zero: now; set only for an imported or migrated secret
}

// A Change is the new content of a secret: the values of Set, and the stored values of
// the data keys in Keep. All other data keys are removed.
type Change struct {
	Set         map[string]Value
	Keep        []string // disjoint with Set
	Description *string  // nil: the stored one stays
}

// A Page is a part of a list in order of name (bytewise).
type Page struct {
	After string // the last name of the previous page; empty: from the start
	Limit int    // the maximum number of items; 0 or less: unlimited
}

// PageOf sorts the items by name and returns one page. It may reuse the items'
// memory.
func PageOf[T any](items []T, page Page, name func(T) string) []T {
	items = slices.DeleteFunc(items, func(item T) bool { return name(item) <= page.After })
	slices.SortFunc(items, func(a, b T) int { return strings.Compare(name(a), name(b)) })
	if page.Limit > 0 && len(items) > page.Limit {
		items = items[:page.Limit]
	}
	return items
}

// PageOfOwners sorts the owners and returns one page. count has the number of secrets of
// each.
func PageOfOwners(count map[Owner]int, page Page) []OwnerInfo {
	var owners []OwnerInfo
	for owner, n := range count {
		owners = append(owners, OwnerInfo{owner, n})
	}
	return PageOf(owners, page, func(o OwnerInfo) string { return o.Owner.String() })
}

// A Store keeps secrets. It has one method for each operation. A method is atomic, and
// once it has returned without error its effect is visible to every later call, in a
// durable store even after a crash. All methods are safe for concurrent use. The caller
// owns every result except [Info.Keys].
//
// Errors are those of this package, possibly wrapped. If several apply, ErrNotFound
// (Op.Ref does not exist) comes before ErrChanged (the secret is not at Op.OnlyIf), and
// that before all others. ErrUnavailable, ErrFull and the errors of a context are always
// possible.
type Store interface {
	// List returns the secrets of the owner, sorted by name. An empty list is no error.
	List(ctx context.Context, owner Owner, page Page) ([]Info, error)

	// Head returns one secret without its values.
	Head(ctx context.Context, ref Ref) (Info, error)

	// Reveal returns a secret with its values, both of the same moment.
	Reveal(ctx context.Context, op Op) (Info, map[string]Value, error)

	// Create returns ErrExists, and changes nothing, if the name is taken.
	// Op.OnlyIf has no meaning here.
	Create(ctx context.Context, op Op, draft Draft) (Info, error)

	// Replace replaces all data of the secret, and its description if Change has one.
	// Name and creation time stay. A Keep that is not stored is an InvalidError with
	// the data key, and so are values that are too large together (CheckSize); then
	// nothing is changed.
	Replace(ctx context.Context, op Op, change Change) (Info, error)

	// Describe gives the secret this name and description; the values and the
	// time of creation stay. It returns ErrExists, and changes nothing, if
	// the name is another secret's. No reader sees both names, or neither.
	Describe(ctx context.Context, op Op, name, description string) (Info, error)

	// Delete removes the secret. A secret created later under the same name
	// has another revision.
	Delete(ctx context.Context, op Op) error

	// Owners returns all owners that have secrets, sorted by Owner.String, with the
	// number of their secrets. Deleted secrets do not count.
	Owners(ctx context.Context, page Page) ([]OwnerInfo, error)

	// Check returns nil if the store can do its work.
	Check(ctx context.Context) error

	// Close waits for operations in progress. The store cannot be used afterwards.
	Close() error
}

// A Recording store writes the audit entry of Op.Event itself, in the transaction of the
// operation and before it returns, refusals included: for Reveal, Create, Replace,
// Describe and Delete. It sets Event.Outcome to the audited outcome, and leaves it at
// Unknown if an error from outside this package prevented the entry. In the same
// transaction it calls [Op.Check] before it reads or writes anything, and [Op.Spend] when
// the operation has succeeded.
type Recording interface {
	Store
	// RecordsEvents only marks the store as Recording.
	RecordsEvents()
}

// An Awaiting store gets an operation while its audit entry is still being written, and
// may already prepare it. It calls [Op.Await] before it changes anything or returns a
// value. Any other store that is not Recording gets the operation after the entry is on
// disk.
type Awaiting interface {
	Store
	// AwaitsRecord only marks the store as Awaiting.
	AwaitsRecord()
}

// A Historian also keeps earlier versions and deleted secrets, within its configured
// limits. A rename keeps a secret's history.
type Historian interface {
	Store

	// Versions returns the versions of the secret, newest first, beginning with the
	// current one.
	Versions(ctx context.Context, ref Ref) ([]Info, error)

	// RevealVersion returns the values that the secret had at the revision, which may be
	// the current one. ErrNotFound also stands for a revision that is not kept.
	RevealVersion(ctx context.Context, op Op, revision Revision) (map[string]Value, error)

	// Restore gives the secret the description and data that it had at the
	// revision, as a new version; its name stays. ErrNotFound also stands for
	// a revision that is not kept.
	Restore(ctx context.Context, op Op, revision Revision) (Info, error)

	// Deleted returns the deleted secrets of the owner, newest first.
	Deleted(ctx context.Context, owner Owner) ([]Deleted, error)

	// Undelete restores a deleted secret of this name with its history: the one with
	// the given revision, or without a revision the last. It returns ErrExists while
	// the name is taken.
	Undelete(ctx context.Context, op Op, revision Revision) (Info, error)

	// Destroy removes the secret and all deleted secrets of its name, with their
	// history, for good.
	Destroy(ctx context.Context, op Op) error

	// Erase destroys all secrets of Op.Ref.Owner, deleted ones included. It returns
	// ErrNotFound if there are none.
	Erase(ctx context.Context, op Op) error
}

// A Deleted secret can be restored.
type Deleted struct {
	Info
	At time.Time
}
