package storetest

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/strongroom/strongroom/internal/secret"
)

// Defects of writes. The steps of a defective store ignore errors; its one defect
// is enough.

type createOverwrites struct{ secret.Store }

func (m createOverwrites) Create(ctx context.Context, op secret.Op, draft secret.Draft) (secret.Info, error) {
	_ = m.Delete(ctx, onlyIf(op, ""))
	return m.Store.Create(ctx, op, draft)
}

type createLooksFirst struct{ secret.Store }

func (m createLooksFirst) Create(ctx context.Context, op secret.Op, draft secret.Draft) (secret.Info, error) {
	if info, err := m.Head(ctx, op.Ref); err == nil {
		return info, secret.ErrExists
	}
	gap()
	return createOverwrites(m).Create(ctx, op, draft)
}

type createWantsRevision struct{ secret.Store }

func (m createWantsRevision) Create(ctx context.Context, op secret.Op, draft secret.Draft) (secret.Info, error) {
	if op.OnlyIf != "" {
		return secret.Info{}, secret.ErrChanged
	}
	return m.Store.Create(ctx, op, draft)
}

type createIsAlwaysNow struct{ secret.Store }

func (m createIsAlwaysNow) Create(ctx context.Context, op secret.Op, draft secret.Draft) (secret.Info, error) {
	draft.Created = time.Time{}
	return m.Store.Create(ctx, op, draft)
}

type createForgetsDescription struct{ secret.Store }

func (m createForgetsDescription) Create(ctx context.Context, op secret.Op, draft secret.Draft) (secret.Info, error) {
	draft.Description = ""
	return m.Store.Create(ctx, op, draft)
}

type createKeepsMap struct {
	secret.Store
	mu   sync.Mutex
	maps map[secret.Revision]data
}

func (m *createKeepsMap) Create(ctx context.Context, op secret.Op, draft secret.Draft) (secret.Info, error) {
	info, err := m.Store.Create(ctx, op, draft)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.maps = map[secret.Revision]data{info.Revision: draft.Data}
	return info, err
}

func (m *createKeepsMap) Reveal(ctx context.Context, op secret.Op) (secret.Info, data, error) {
	info, values, err := m.Store.Reveal(ctx, op)
	m.mu.Lock()
	defer m.mu.Unlock()
	if kept, ok := m.maps[info.Revision]; ok {
		values = maps.Clone(kept)
	}
	return info, values, err
}

type createWipesMap struct{ secret.Store }

func (m createWipesMap) Create(ctx context.Context, op secret.Op, draft secret.Draft) (secret.Info, error) {
	info, err := m.Store.Create(ctx, op, draft)
	for key := range draft.Data {
		draft.Data[key] = "" // as a caller that wipes memory does
	}
	return info, err
}

type createInventsTime struct{ secret.Store }

func (m createInventsTime) Create(ctx context.Context, op secret.Op, draft secret.Draft) (secret.Info, error) {
	info, err := m.Store.Create(ctx, op, draft)
	info.Updated = info.Updated.Add(time.Second)
	return info, err
}

type createWhileCancelled struct{ secret.Store }

func (m createWhileCancelled) Create(ctx context.Context, op secret.Op, draft secret.Draft) (secret.Info, error) {
	info, err := m.Store.Create(ctx, op, draft)
	return info, errors.Join(err, ctx.Err())
}

type replaceMerges struct{ secret.Store }

func (m replaceMerges) Replace(ctx context.Context, op secret.Op, change secret.Change) (secret.Info, error) {
	_, values, err := m.Reveal(ctx, op)
	if err != nil {
		return secret.Info{}, err
	}
	maps.Copy(values, change.Set)
	return m.Store.Replace(ctx, op, secret.Change{Set: values})
}

type replaceSkipsNothing struct{ secret.Store }

func (m replaceSkipsNothing) Replace(ctx context.Context, op secret.Op, change secret.Change) (secret.Info, error) {
	if len(change.Set)+len(change.Keep) == 0 {
		return m.Head(ctx, op.Ref)
	}
	return m.Store.Replace(ctx, op, change)
}

type replaceIgnoresOnlyIf struct{ secret.Store }

func (m replaceIgnoresOnlyIf) Replace(ctx context.Context, op secret.Op, change secret.Change) (secret.Info, error) {
	return m.Store.Replace(ctx, onlyIf(op, ""), change)
}

type replaceIgnoresKeep struct{ secret.Store }

func (m replaceIgnoresKeep) Replace(ctx context.Context, op secret.Op, change secret.Change) (secret.Info, error) {
	return m.Store.Replace(ctx, op, secret.Change{Set: change.Set})
}

type replaceSkipsMissingKeep struct{ secret.Store }

func (m replaceSkipsMissingKeep) Replace(ctx context.Context, op secret.Op, change secret.Change) (secret.Info, error) {
	info, err := m.Head(ctx, op.Ref)
	if err != nil {
		return info, err
	}
	change.Keep = slices.DeleteFunc(slices.Clone(change.Keep), func(key string) bool {
		return !slices.Contains(info.Keys, key)
	})
	return m.Store.Replace(ctx, op, change)
}

type replaceSetsFirst struct{ secret.Store }

func (m replaceSetsFirst) Replace(ctx context.Context, op secret.Op, change secret.Change) (secret.Info, error) {
	info, err := replaceMerges(m).Replace(ctx, op, secret.Change{Set: change.Set})
	if err != nil {
		return info, err
	}
	return m.Store.Replace(ctx, onlyIf(op, ""), change)
}

type replaceDoesNotCount struct{ secret.Store }

// Replace copies the values that it leaves out of the count.
func (m replaceDoesNotCount) Replace(ctx context.Context, op secret.Op, change secret.Change) (secret.Info, error) {
	info, err := m.Store.Replace(ctx, op, change)
	if invalid, ok := errors.AsType[*secret.InvalidError](err); ok && invalid.DataKey == "" {
		return m.Store.Replace(ctx, op, secret.Change{Set: change.Set})
	}
	return info, err
}

type replaceClearsDescription struct{ secret.Store }

func (m replaceClearsDescription) Replace(ctx context.Context, op secret.Op, change secret.Change) (secret.Info, error) {
	info, err := m.Store.Replace(ctx, op, change)
	if err != nil {
		return info, err
	}
	return m.Describe(ctx, onlyIf(op, ""), op.Ref.Name, "")
}

type replaceIgnoresDescription struct{ secret.Store }

func (m replaceIgnoresDescription) Replace(ctx context.Context, op secret.Op, change secret.Change) (secret.Info, error) {
	change.Description = nil
	return m.Store.Replace(ctx, op, change)
}

type replaceDescribesFirst struct{ secret.Store }

func (m replaceDescribesFirst) Replace(ctx context.Context, op secret.Op, change secret.Change) (secret.Info, error) {
	if change.Description != nil {
		if info, err := m.Describe(ctx, op, op.Ref.Name, *change.Description); err != nil {
			return info, err
		}
	}
	return m.Store.Replace(ctx, onlyIf(op, ""), change)
}

type replaceCreates struct{ secret.Store }

func (m replaceCreates) Replace(ctx context.Context, op secret.Op, change secret.Change) (secret.Info, error) {
	info, err := m.Store.Replace(ctx, op, change)
	if errors.Is(err, secret.ErrNotFound) {
		return m.Create(ctx, op, secret.Draft{Data: change.Set})
	}
	return info, err
}

type replaceLooksFirst struct{ secret.Store }

func (m replaceLooksFirst) Replace(ctx context.Context, op secret.Op, change secret.Change) (secret.Info, error) {
	info, err := m.Head(ctx, op.Ref)
	if err != nil {
		return info, err
	}
	if !op.Matches(info.Revision) {
		return info, secret.ErrChanged
	}
	gap()
	return m.Store.Replace(ctx, onlyIf(op, ""), change)
}

type replaceReadsKeep struct{ secret.Store }

func (m replaceReadsKeep) Replace(ctx context.Context, op secret.Op, change secret.Change) (secret.Info, error) {
	info, values, err := m.Reveal(ctx, op)
	if err != nil {
		return info, err
	}
	gap()
	set := maps.Clone(change.Set)
	for _, key := range change.Keep {
		set[key] = values[key]
	}
	return m.Store.Replace(ctx, op, secret.Change{Set: set})
}

type replaceRecreates struct{ secret.Store }

func (m replaceRecreates) Replace(ctx context.Context, op secret.Op, change secret.Change) (secret.Info, error) {
	info, err := m.Head(ctx, op.Ref)
	if err != nil {
		return info, err
	}
	gap()
	_ = m.Delete(ctx, op)
	return m.Create(ctx, op, secret.Draft{Description: info.Description, Data: change.Set, Created: info.Created})
}

type replaceByKey struct{ secret.Store }

func (m replaceByKey) Replace(ctx context.Context, op secret.Op, change secret.Change) (secret.Info, error) {
	info, values, err := m.Reveal(ctx, op)
	if err != nil {
		return info, err
	}
	for key, value := range change.Set {
		values[key] = value
		_, _ = m.Store.Replace(ctx, onlyIf(op, ""), secret.Change{Set: values})
		gap()
	}
	return m.Store.Replace(ctx, onlyIf(op, ""), change)
}

type replaceChecksKeepFirst struct{ secret.Store }

func (m replaceChecksKeepFirst) Replace(ctx context.Context, op secret.Op, change secret.Change) (secret.Info, error) {
	info, err := m.Head(ctx, op.Ref)
	if err != nil {
		return info, err
	}
	for _, key := range change.Keep {
		if !slices.Contains(info.Keys, key) {
			return info, &secret.InvalidError{Field: "data", DataKey: key, Reason: "is not stored"}
		}
	}
	return m.Store.Replace(ctx, op, change)
}

type replaceChangedFirst struct{ secret.Store }

func (m replaceChangedFirst) Replace(ctx context.Context, op secret.Op, change secret.Change) (secret.Info, error) {
	info, err := m.Store.Replace(ctx, op, change)
	if errors.Is(err, secret.ErrNotFound) && op.OnlyIf != "" {
		return info, secret.ErrChanged
	}
	return info, err
}

type replaceTakesAnyLiterally struct{ secret.Store }

func (m replaceTakesAnyLiterally) Replace(ctx context.Context, op secret.Op, change secret.Change) (secret.Info, error) {
	if op.OnlyIf == secret.AnyRevision {
		op.OnlyIf = "no revision"
	}
	return m.Store.Replace(ctx, op, change)
}

type replaceRejectsConditions struct{ secret.Store }

func (m replaceRejectsConditions) Replace(ctx context.Context, op secret.Op, change secret.Change) (secret.Info, error) {
	if op.OnlyIf != "" {
		op.OnlyIf = "no revision"
	}
	return m.Store.Replace(ctx, op, change)
}

type describeLosesValues struct{ secret.Store }

func (m describeLosesValues) Describe(ctx context.Context, op secret.Op, name, description string) (secret.Info, error) {
	info, err := m.Store.Describe(ctx, op, name, description)
	if err != nil {
		return info, err
	}
	return m.Replace(ctx, secret.Op{Ref: info.Ref}, secret.Change{})
}

// sibling returns the op for another secret of the same owner.
func sibling(op secret.Op, name string) secret.Op {
	return secret.Op{Ref: secret.Ref{Owner: op.Ref.Owner, Name: name}}
}

type describeOverwrites struct{ secret.Store }

func (m describeOverwrites) Describe(ctx context.Context, op secret.Op, name, description string) (secret.Info, error) {
	if name != op.Ref.Name {
		_ = m.Delete(ctx, sibling(op, name))
	}
	return m.Store.Describe(ctx, op, name, description)
}

type describeLooksFirst struct{ secret.Store }

func (m describeLooksFirst) Describe(ctx context.Context, op secret.Op, name, description string) (secret.Info, error) {
	if info, err := m.Head(ctx, sibling(op, name).Ref); err == nil && name != op.Ref.Name {
		return info, secret.ErrExists
	}
	gap()
	return describeOverwrites(m).Describe(ctx, op, name, description)
}

type describeHalfRefuses struct{ secret.Store }

func (m describeHalfRefuses) Describe(ctx context.Context, op secret.Op, name, description string) (secret.Info, error) {
	info, err := m.Store.Describe(ctx, op, op.Ref.Name, description)
	if err != nil {
		return info, err
	}
	return m.Store.Describe(ctx, onlyIf(op, ""), name, description)
}

// describeCopies leaves out the last step of a rename, the deletion.
type describeCopies struct{ secret.Store }

func (m describeCopies) Describe(ctx context.Context, op secret.Op, name, description string) (secret.Info, error) {
	if name == op.Ref.Name {
		return m.Store.Describe(ctx, op, name, description)
	}
	info, values, err := m.Reveal(ctx, op)
	if err != nil {
		return info, err
	}
	draft := secret.Draft{Description: description, Data: values, Created: info.Created}
	return m.Create(ctx, sibling(op, name), draft)
}

type describeCreatesFirst struct{ secret.Store }

func (m describeCreatesFirst) Describe(ctx context.Context, op secret.Op, name, description string) (secret.Info, error) {
	info, err := describeCopies(m).Describe(ctx, op, name, description)
	if err != nil {
		return info, err
	}
	gap()
	_ = m.Delete(ctx, onlyIf(op, ""))
	return info, nil
}

type describeCopiesRead struct{ secret.Store }

func (m describeCopiesRead) Describe(ctx context.Context, op secret.Op, name, description string) (secret.Info, error) {
	_, values, err := m.Reveal(ctx, op)
	if err != nil {
		return secret.Info{}, err
	}
	gap()
	info, err := m.Store.Describe(ctx, op, name, description)
	if err != nil {
		return info, err
	}
	return m.Replace(ctx, sibling(op, name), secret.Change{Set: values})
}

type describeRecreates struct{ secret.Store }

func (m describeRecreates) Describe(ctx context.Context, op secret.Op, name, description string) (secret.Info, error) {
	_, values, err := m.Reveal(ctx, op)
	if err != nil {
		return secret.Info{}, err
	}
	_ = m.Delete(ctx, op)
	gap()
	return m.Create(ctx, sibling(op, name), secret.Draft{Description: description, Data: values})
}

type describeFindsItself struct{ secret.Store }

func (m describeFindsItself) Describe(ctx context.Context, op secret.Op, name, description string) (secret.Info, error) {
	info, err := m.Head(ctx, op.Ref)
	if err == nil && name == op.Ref.Name {
		return info, secret.ErrExists
	}
	return m.Store.Describe(ctx, op, name, description)
}

type describeKeepsOld struct{ secret.Store }

func (m describeKeepsOld) Describe(ctx context.Context, op secret.Op, name, description string) (secret.Info, error) {
	if info, err := m.Head(ctx, op.Ref); err == nil && description == "" {
		description = info.Description
	}
	return m.Store.Describe(ctx, op, name, description)
}

type describeTakenFirst struct{ secret.Store }

func (m describeTakenFirst) Describe(ctx context.Context, op secret.Op, name, description string) (secret.Info, error) {
	if info, err := m.Head(ctx, sibling(op, name).Ref); err == nil && name != op.Ref.Name {
		return info, secret.ErrExists
	}
	return m.Store.Describe(ctx, op, name, description)
}

type describeChecksFirst struct{ secret.Store }

func (m describeChecksFirst) Describe(ctx context.Context, op secret.Op, name, description string) (secret.Info, error) {
	info, err := m.Head(ctx, op.Ref)
	if err != nil {
		return info, err
	}
	if !op.Matches(info.Revision) {
		return info, secret.ErrChanged
	}
	gap()
	return m.Store.Describe(ctx, onlyIf(op, ""), name, description)
}

type describeTrims struct{ secret.Store }

func (m describeTrims) Describe(ctx context.Context, op secret.Op, name, description string) (secret.Info, error) {
	return m.Store.Describe(ctx, op, strings.TrimSpace(name), description)
}

type describeLooksEverywhere struct{ secret.Store }

func (m describeLooksEverywhere) Describe(ctx context.Context, op secret.Op, name, description string) (secret.Info, error) {
	owners, err := m.Owners(ctx, secret.Page{})
	if err != nil {
		return secret.Info{}, err
	}
	for _, owner := range owners {
		if info, err := m.Head(ctx, secret.Ref{Owner: owner.Owner, Name: name}); err == nil && name != op.Ref.Name {
			return info, secret.ErrExists
		}
	}
	return m.Store.Describe(ctx, op, name, description)
}

// namesUsedOnce never frees the name of a deleted secret.
type namesUsedOnce struct {
	secret.Store
	mu   sync.Mutex
	used []secret.Ref
}

func (m *namesUsedOnce) use(ref secret.Ref) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if slices.Contains(m.used, ref) {
		return secret.ErrExists
	}
	m.used = append(m.used, ref)
	return nil
}

func (m *namesUsedOnce) Describe(ctx context.Context, op secret.Op, name, description string) (secret.Info, error) {
	if err := m.use(sibling(op, name).Ref); err != nil {
		return secret.Info{}, err
	}
	return m.Store.Describe(ctx, op, name, description)
}

func (m *namesUsedOnce) Create(ctx context.Context, op secret.Op, draft secret.Draft) (secret.Info, error) {
	if err := m.use(op.Ref); err != nil {
		return secret.Info{}, err
	}
	return m.Store.Create(ctx, op, draft)
}

type deleteDoesNothing struct{ secret.Store }

func (m deleteDoesNothing) Delete(ctx context.Context, op secret.Op) error {
	_, err := m.Head(ctx, op.Ref)
	return err
}

type deleteOfNothing struct{ secret.Store }

func (m deleteOfNothing) Delete(ctx context.Context, op secret.Op) error {
	if err := m.Store.Delete(ctx, op); !errors.Is(err, secret.ErrNotFound) {
		return err
	}
	return nil
}

type deleteIgnoresOnlyIf struct{ secret.Store }

func (m deleteIgnoresOnlyIf) Delete(ctx context.Context, op secret.Op) error {
	return m.Store.Delete(ctx, onlyIf(op, ""))
}

type deleteLooksFirst struct{ secret.Store }

func (m deleteLooksFirst) Delete(ctx context.Context, op secret.Op) error {
	info, err := m.Head(ctx, op.Ref)
	if err != nil {
		return err
	}
	if !op.Matches(info.Revision) {
		return secret.ErrChanged
	}
	gap()
	_ = m.Store.Delete(ctx, onlyIf(op, ""))
	return nil
}

type deleteEverybodys struct{ secret.Store }

func (m deleteEverybodys) Delete(ctx context.Context, op secret.Op) error {
	owners, err := m.Owners(ctx, secret.Page{})
	if err != nil {
		return err
	}
	for _, owner := range owners {
		if owner.Owner != op.Ref.Owner {
			_ = m.Store.Delete(ctx, secret.Op{Ref: secret.Ref{Owner: owner.Owner, Name: op.Ref.Name}})
		}
	}
	return m.Store.Delete(ctx, op)
}

type deleteByPrefix struct{ secret.Store }

func (m deleteByPrefix) Delete(ctx context.Context, op secret.Op) error {
	infos, err := m.List(ctx, op.Ref.Owner, secret.Page{After: op.Ref.Name})
	if err != nil {
		return err
	}
	for _, info := range infos {
		if strings.HasPrefix(info.Name, op.Ref.Name) {
			_ = m.Store.Delete(ctx, sibling(op, info.Name))
		}
	}
	return m.Store.Delete(ctx, op)
}
