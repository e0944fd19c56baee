package storetest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/store/memory"
)

// gap lets other goroutines run between two steps of a defective store, as a wait
// for a disk would.
func gap() { time.Sleep(10 * time.Microsecond) }

// infos changes the Info in each answer.
type infos struct {
	secret.Store
	told func(st secret.Store, info secret.Info) secret.Info
}

func (m infos) one(info secret.Info, err error) (secret.Info, error) {
	if err == nil {
		info = m.told(m.Store, info)
	}
	return info, err
}

func (m infos) List(ctx context.Context, owner secret.Owner, page secret.Page) ([]secret.Info, error) {
	all, err := m.Store.List(ctx, owner, page)
	for i := range all {
		all[i] = m.told(m.Store, all[i])
	}
	return all, err
}

func (m infos) Head(ctx context.Context, ref secret.Ref) (secret.Info, error) {
	return m.one(m.Store.Head(ctx, ref))
}

func (m infos) Reveal(ctx context.Context, op secret.Op) (secret.Info, data, error) {
	info, values, err := m.Store.Reveal(ctx, op)
	info, err = m.one(info, err)
	return info, values, err
}

func (m infos) Create(ctx context.Context, op secret.Op, draft secret.Draft) (secret.Info, error) {
	return m.one(m.Store.Create(ctx, op, draft))
}

func (m infos) Replace(ctx context.Context, op secret.Op, change secret.Change) (secret.Info, error) {
	return m.one(m.Store.Replace(ctx, op, change))
}

func (m infos) Describe(ctx context.Context, op secret.Op, name, description string) (secret.Info, error) {
	return m.one(m.Store.Describe(ctx, op, name, description))
}

func keysReversed(_ secret.Store, info secret.Info) secret.Info {
	info.Keys = slices.Clone(info.Keys)
	slices.Reverse(info.Keys)
	return info
}

func updatedStays(_ secret.Store, info secret.Info) secret.Info {
	info.Updated = info.Created
	return info
}

func updatedGoesBack(_ secret.Store, info secret.Info) secret.Info {
	info.Updated = info.Created.Add(-time.Since(info.Created))
	return info
}

func toTheSecond(_ secret.Store, info secret.Info) secret.Info {
	info.Created, info.Updated = info.Created.Truncate(time.Second), info.Updated.Truncate(time.Second)
	return info
}

func seconds(_ secret.Store, info secret.Info) secret.Info {
	info.Revision = secret.Revision(info.Updated.Format(time.DateTime))
	return info
}

func star(_ secret.Store, info secret.Info) secret.Info {
	info.Revision = secret.AnyRevision
	return info
}

func ofValues(st secret.Store, info secret.Info) secret.Info {
	_, values, err := st.Reveal(context.Background(), secret.Op{Ref: info.Ref})
	if err != nil {
		return info
	}
	hash := sha256.New()
	for _, key := range slices.Sorted(maps.Keys(values)) {
		fmt.Fprintf(hash, "%q %q", key, string(values[key]))
	}
	info.Revision = secret.Revision(fmt.Sprintf("%x", hash.Sum(nil)))
	return info
}

func ofTheStore(st secret.Store, info secret.Info) secret.Info {
	all, err := st.List(context.Background(), info.Owner, secret.Page{})
	if err == nil {
		info.Revision = slices.MaxFunc(all, func(a, b secret.Info) int { return a.Updated.Compare(b.Updated) }).Revision
	}
	return info
}

// fromOne counts the revisions of each secret from its creation.
func fromOne() func(secret.Store, secret.Info) secret.Info {
	first := map[time.Time]int{}
	return func(_ secret.Store, info secret.Info) secret.Info {
		n, err := strconv.Atoi(string(info.Revision))
		if err != nil {
			return info
		}
		if _, ok := first[info.Created]; !ok {
			first[info.Created] = n - 1
		}
		info.Revision = secret.Revision(strconv.Itoa(n - first[info.Created]))
		return info
	}
}

// refs stores secrets under a changed Ref.
type refs struct {
	secret.Store
	to func(secret.Ref) secret.Ref
}

func (m refs) op(op secret.Op) secret.Op {
	op.Ref = m.to(op.Ref)
	return op
}

func (m refs) Head(ctx context.Context, ref secret.Ref) (secret.Info, error) {
	return m.Store.Head(ctx, m.to(ref))
}

func (m refs) Reveal(ctx context.Context, op secret.Op) (secret.Info, data, error) {
	return m.Store.Reveal(ctx, m.op(op))
}

func (m refs) Create(ctx context.Context, op secret.Op, draft secret.Draft) (secret.Info, error) {
	return m.Store.Create(ctx, m.op(op), draft)
}

func (m refs) Replace(ctx context.Context, op secret.Op, change secret.Change) (secret.Info, error) {
	return m.Store.Replace(ctx, m.op(op), change)
}

func (m refs) Describe(ctx context.Context, op secret.Op, name, description string) (secret.Info, error) {
	to := m.to(secret.Ref{Owner: op.Ref.Owner, Name: name})
	return m.Store.Describe(ctx, m.op(op), to.Name, description)
}

func (m refs) Delete(ctx context.Context, op secret.Op) error { return m.Store.Delete(ctx, m.op(op)) }

func ofOneKind(ref secret.Ref) secret.Ref {
	ref.Owner.Kind = secret.KindUser
	return ref
}

func joined(ref secret.Ref) secret.Ref {
	return secret.Ref{Owner: alice, Name: ref.Owner.ID + ref.Name}
}

func named(spoilt func(string) string) func(secret.Ref) secret.Ref {
	return func(ref secret.Ref) secret.Ref {
		ref.Name = spoilt(ref.Name)
		return ref
	}
}

func lowerCased(s string) string   { return strings.ToLower(s) }
func composed(s string) string     { return strings.ReplaceAll(s, "e\u0301", "\u00e9") }
func spaceTrimmed(s string) string { return strings.TrimSpace(s) }
func cut253(s string) string       { return s[:min(len(s), 253)] }
func cleaned(s string) string      { return path.Clean(s) }

func unescaped(s string) string {
	if u, err := url.PathUnescape(s); err == nil {
		return u
	}
	return s
}

// values changes the values before it stores them.
type values struct {
	secret.Store
	spoilt func(string) string
}

func (m values) all(values data) data {
	values = maps.Clone(values)
	for key, value := range values {
		values[key] = secret.Value(m.spoilt(string(value)))
	}
	return values
}

func (m values) Create(ctx context.Context, op secret.Op, draft secret.Draft) (secret.Info, error) {
	draft.Data = m.all(draft.Data)
	return m.Store.Create(ctx, op, draft)
}

func (m values) Replace(ctx context.Context, op secret.Op, change secret.Change) (secret.Info, error) {
	change.Set = m.all(change.Set)
	return m.Store.Replace(ctx, op, change)
}

func trimmed(s string) string  { return strings.TrimRight(s, "\n") }
func madeText(s string) string { return strings.ToValidUTF8(s, "\ufffd") }
func cut64K(s string) string   { return s[:min(len(s), 64<<10)] }

func cString(s string) string {
	s, _, _ = strings.Cut(s, "\x00")
	return s
}

type emptyValuesDropped struct{ secret.Store }

func (m emptyValuesDropped) Reveal(ctx context.Context, op secret.Op) (secret.Info, data, error) {
	info, values, err := m.Store.Reveal(ctx, op)
	maps.DeleteFunc(values, func(_ string, v secret.Value) bool { return v == "" })
	return info, values, err
}

type keysBetween struct {
	secret.Store
	least, most int
}

func (m keysBetween) Create(ctx context.Context, op secret.Op, draft secret.Draft) (secret.Info, error) {
	if n := len(draft.Data); n < m.least || n > m.most {
		return secret.Info{}, &secret.InvalidError{Field: "data", Reason: "must have another number of keys"}
	}
	return m.Store.Create(ctx, op, draft)
}

type lowerKeys struct{ secret.Store }

func (m lowerKeys) Create(ctx context.Context, op secret.Op, draft secret.Draft) (secret.Info, error) {
	lower := data{}
	for key, value := range draft.Data {
		lower[strings.ToLower(key)] = value
	}
	draft.Data = lower
	return m.Store.Create(ctx, op, draft)
}

// records wraps a store without a defect and observes the outcome of each operation.
type records struct{ secret.Store }

func (records) RecordsEvents() {}

func end(op secret.Op, err error) {
	if op.Event != nil {
		op.Event.Outcome = secret.OutcomeOf(err)
	}
}

// step runs the steps of a transaction.
func step(op secret.Op, do func() error) error {
	err := op.Check()
	if err == nil {
		err = do()
	}
	if err == nil {
		err = op.Spend(nil)
	}
	end(op, err)
	return err
}

func (m records) Reveal(ctx context.Context, op secret.Op) (info secret.Info, values data, err error) {
	err = step(op, func() error {
		info, values, err = m.Store.Reveal(ctx, op)
		return err
	})
	if err != nil {
		return secret.Info{}, nil, err
	}
	return info, values, nil
}

func (m records) Create(ctx context.Context, op secret.Op, draft secret.Draft) (info secret.Info, err error) {
	err = step(op, func() error {
		info, err = m.Store.Create(ctx, op, draft)
		return err
	})
	return info, err
}

func (m records) Replace(ctx context.Context, op secret.Op, change secret.Change) (info secret.Info, err error) {
	err = step(op, func() error {
		info, err = m.Store.Replace(ctx, op, change)
		return err
	})
	return info, err
}

func (m records) Describe(ctx context.Context, op secret.Op, name, description string) (info secret.Info, err error) {
	err = step(op, func() error {
		info, err = m.Store.Describe(ctx, op, name, description)
		return err
	})
	return info, err
}

func (m records) Delete(ctx context.Context, op secret.Op) error {
	return step(op, func() error { return m.Store.Delete(ctx, op) })
}

type recordsUnchecked struct{ records }

func (m recordsUnchecked) Delete(ctx context.Context, op secret.Op) error {
	err := m.Store.Delete(ctx, op)
	end(op, err)
	return err
}

type recordsSpendingFirst struct{ records }

func (m recordsSpendingFirst) Reveal(ctx context.Context, op secret.Op) (secret.Info, data, error) {
	if err := op.Spend(nil); err != nil {
		end(op, err)
		return secret.Info{}, nil, err
	}
	op.Credential = nil
	return m.records.Reveal(ctx, op)
}

type recordsDone struct{ records }

func (m recordsDone) Delete(ctx context.Context, op secret.Op) error {
	err := m.Store.Delete(ctx, op)
	end(op, nil)
	return err
}

type recordsNoReveal struct{ records }

func (m recordsNoReveal) Reveal(ctx context.Context, op secret.Op) (secret.Info, data, error) {
	return m.Store.Reveal(ctx, op)
}

type recordsAlways struct{ records }

func (m recordsAlways) Delete(ctx context.Context, op secret.Op) error {
	err := m.Store.Delete(ctx, op)
	op.Event.Outcome = secret.OutcomeOf(err)
	return err
}

// awaits waits for the audit entry of each operation except one. Without that
// exception it has no defect.
type awaits struct {
	secret.Store
	forgets string
}

func (awaits) AwaitsRecord() {}

func (m awaits) await(operation string, op secret.Op) error {
	if operation == m.forgets {
		return nil
	}
	return op.Await()
}

func (m awaits) Reveal(ctx context.Context, op secret.Op) (secret.Info, data, error) {
	if err := m.await("Reveal", op); err != nil {
		return secret.Info{}, nil, err
	}
	return m.Store.Reveal(ctx, op)
}

func (m awaits) Create(ctx context.Context, op secret.Op, draft secret.Draft) (secret.Info, error) {
	if err := m.await("Create", op); err != nil {
		return secret.Info{}, err
	}
	return m.Store.Create(ctx, op, draft)
}

func (m awaits) Replace(ctx context.Context, op secret.Op, change secret.Change) (secret.Info, error) {
	if err := m.await("Replace", op); err != nil {
		return secret.Info{}, err
	}
	return m.Store.Replace(ctx, op, change)
}

func (m awaits) Describe(ctx context.Context, op secret.Op, name, description string) (secret.Info, error) {
	if err := m.await("Describe", op); err != nil {
		return secret.Info{}, err
	}
	return m.Store.Describe(ctx, op, name, description)
}

func (m awaits) Delete(ctx context.Context, op secret.Op) error {
	if err := m.await("Delete", op); err != nil {
		return err
	}
	return m.Store.Delete(ctx, op)
}

type replaceAwaitsLate struct{ awaits }

func (m replaceAwaitsLate) Replace(ctx context.Context, op secret.Op, change secret.Change) (secret.Info, error) {
	info, err := m.Store.Replace(ctx, op, change)
	return info, errors.Join(err, op.Await())
}

type replaceWantsNone struct{ awaits }

func (m replaceWantsNone) Replace(ctx context.Context, op secret.Op, change secret.Change) (secret.Info, error) {
	if op.Recorded != nil {
		return secret.Info{}, secret.ErrUnavailable
	}
	return m.Store.Replace(ctx, op, change)
}

type checkFails struct{ secret.Store }

func (checkFails) Check(context.Context) error { return secret.ErrUnavailable }

// The following stores differ in ways that the interface allows.

type wrapsErrors struct{ secret.Store }

func wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("asking the map: %w", errors.Join(errors.New("it says"), err))
}

func (m wrapsErrors) Head(ctx context.Context, ref secret.Ref) (secret.Info, error) {
	info, err := m.Store.Head(ctx, ref)
	return info, wrap(err)
}

func (m wrapsErrors) Reveal(ctx context.Context, op secret.Op) (secret.Info, data, error) {
	info, values, err := m.Store.Reveal(ctx, op)
	return info, values, wrap(err)
}

func (m wrapsErrors) Create(ctx context.Context, op secret.Op, draft secret.Draft) (secret.Info, error) {
	info, err := m.Store.Create(ctx, op, draft)
	return info, wrap(err)
}

func (m wrapsErrors) Replace(ctx context.Context, op secret.Op, change secret.Change) (secret.Info, error) {
	info, err := m.Store.Replace(ctx, op, change)
	return info, wrap(err)
}

func (m wrapsErrors) Describe(ctx context.Context, op secret.Op, name, description string) (secret.Info, error) {
	info, err := m.Store.Describe(ctx, op, name, description)
	return info, wrap(err)
}

func (m wrapsErrors) Delete(ctx context.Context, op secret.Op) error {
	return wrap(m.Store.Delete(ctx, op))
}

type mindsContext struct{ secret.Store }

func (m mindsContext) Head(ctx context.Context, ref secret.Ref) (secret.Info, error) {
	if err := ctx.Err(); err != nil {
		return secret.Info{}, err
	}
	return m.Store.Head(ctx, ref)
}

func (m mindsContext) Create(ctx context.Context, op secret.Op, draft secret.Draft) (secret.Info, error) {
	if err := ctx.Err(); err != nil {
		return secret.Info{}, err
	}
	return m.Store.Create(ctx, op, draft)
}

func (m mindsContext) Replace(ctx context.Context, op secret.Op, change secret.Change) (secret.Info, error) {
	if err := ctx.Err(); err != nil {
		return secret.Info{}, err
	}
	return m.Store.Replace(ctx, op, change)
}

func (m mindsContext) Delete(ctx context.Context, op secret.Op) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return m.Store.Delete(ctx, op)
}

// skipsEmptyChanges keeps the revision if a write changes nothing.
type skipsEmptyChanges struct{ *memory.Store }

func (m skipsEmptyChanges) Describe(ctx context.Context, op secret.Op, name, description string) (secret.Info, error) {
	info, err := m.Head(ctx, op.Ref)
	if err == nil && op.Matches(info.Revision) && name == op.Ref.Name && description == info.Description {
		return info, nil
	}
	return m.Store.Describe(ctx, op, name, description)
}

// renamesInTwoSteps lets readers see the state between two steps of a rename, but
// no writers.
type renamesInTwoSteps struct {
	secret.Store
	writing sync.Mutex
}

func (m *renamesInTwoSteps) Create(ctx context.Context, op secret.Op, draft secret.Draft) (secret.Info, error) {
	m.writing.Lock()
	defer m.writing.Unlock()
	return m.Store.Create(ctx, op, draft)
}

func (m *renamesInTwoSteps) Replace(ctx context.Context, op secret.Op, change secret.Change) (secret.Info, error) {
	m.writing.Lock()
	defer m.writing.Unlock()
	return m.Store.Replace(ctx, op, change)
}

func (m *renamesInTwoSteps) Describe(ctx context.Context, op secret.Op, name, description string) (secret.Info, error) {
	m.writing.Lock()
	defer m.writing.Unlock()
	if name == op.Ref.Name {
		return m.Store.Describe(ctx, op, name, description)
	}
	return describeCreatesFirst{m.Store}.Describe(ctx, op, name, description)
}

func (m *renamesInTwoSteps) Delete(ctx context.Context, op secret.Op) error {
	m.writing.Lock()
	defer m.writing.Unlock()
	return m.Store.Delete(ctx, op)
}
