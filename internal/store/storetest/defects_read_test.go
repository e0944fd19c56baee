package storetest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/strongroom/strongroom/internal/secret"
)

// Defects of reads.

type ownersByPrefix struct{ secret.Store }

func (m ownersByPrefix) List(ctx context.Context, owner secret.Owner, page secret.Page) ([]secret.Info, error) {
	owners, err := m.Owners(ctx, secret.Page{})
	if err != nil {
		return nil, err
	}
	var all []secret.Info
	for _, o := range owners {
		if strings.HasPrefix(o.Owner.String(), owner.String()) {
			infos, err := m.Store.List(ctx, o.Owner, page)
			if err != nil {
				return nil, err
			}
			all = append(all, infos...)
		}
	}
	return all, nil
}

type ownersByID struct{ secret.Store }

func (m ownersByID) Owners(ctx context.Context, page secret.Page) ([]secret.OwnerInfo, error) {
	owners, err := m.Store.Owners(ctx, page)
	slices.SortFunc(owners, func(a, b secret.OwnerInfo) int { return strings.Compare(a.Owner.ID, b.Owner.ID) })
	return owners, err
}

type ownersIgnoreAfter struct{ secret.Store }

func (m ownersIgnoreAfter) Owners(ctx context.Context, page secret.Page) ([]secret.OwnerInfo, error) {
	return m.Store.Owners(ctx, secret.Page{Limit: page.Limit})
}

type ownersCountOne struct{ secret.Store }

func (m ownersCountOne) Owners(ctx context.Context, page secret.Page) ([]secret.OwnerInfo, error) {
	owners, err := m.Store.Owners(ctx, page)
	for i := range owners {
		owners[i].Secrets = 1
	}
	return owners, err
}

type ownersForever struct {
	secret.Store
	mu  sync.Mutex
	had []secret.OwnerInfo
}

func (m *ownersForever) Create(ctx context.Context, op secret.Op, draft secret.Draft) (secret.Info, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if had := (secret.OwnerInfo{Owner: op.Ref.Owner, Secrets: 1}); !slices.Contains(m.had, had) {
		m.had = append(m.had, had)
	}
	return m.Store.Create(ctx, op, draft)
}

func (m *ownersForever) Owners(context.Context, secret.Page) ([]secret.OwnerInfo, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.had), nil
}

type listIgnoresAfter struct{ secret.Store }

func (m listIgnoresAfter) List(ctx context.Context, owner secret.Owner, page secret.Page) ([]secret.Info, error) {
	return m.Store.List(ctx, owner, secret.Page{Limit: page.Limit})
}

type listIgnoresLimit struct{ secret.Store }

func (m listIgnoresLimit) List(ctx context.Context, owner secret.Owner, page secret.Page) ([]secret.Info, error) {
	return m.Store.List(ctx, owner, secret.Page{After: page.After})
}

type listLimitZero struct{ secret.Store }

func (m listLimitZero) List(ctx context.Context, owner secret.Owner, page secret.Page) ([]secret.Info, error) {
	if page.Limit == 0 {
		return nil, nil
	}
	return m.Store.List(ctx, owner, page)
}

type listFromAfter struct{ secret.Store }

func (m listFromAfter) List(ctx context.Context, owner secret.Owner, page secret.Page) ([]secret.Info, error) {
	all, err := m.Store.List(ctx, owner, secret.Page{})
	all = slices.DeleteFunc(all, func(i secret.Info) bool { return i.Name < page.After })
	if page.Limit > 0 {
		all = all[:min(page.Limit, len(all))]
	}
	return all, err
}

type listLooksForAfter struct{ secret.Store }

func (m listLooksForAfter) List(ctx context.Context, owner secret.Owner, page secret.Page) ([]secret.Info, error) {
	if page.After != "" {
		if _, err := m.Head(ctx, secret.Ref{Owner: owner, Name: page.After}); err != nil {
			page.After = ""
		}
	}
	return m.Store.List(ctx, owner, page)
}

type listSortsWithoutCase struct{ secret.Store }

func (m listSortsWithoutCase) List(ctx context.Context, owner secret.Owner, page secret.Page) ([]secret.Info, error) {
	infos, err := m.Store.List(ctx, owner, page)
	slices.SortFunc(infos, func(a, b secret.Info) int {
		return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name))
	})
	return infos, err
}

type listWithoutDescriptions struct{ secret.Store }

func (m listWithoutDescriptions) List(ctx context.Context, owner secret.Owner, page secret.Page) ([]secret.Info, error) {
	infos, err := m.Store.List(ctx, owner, page)
	for i := range infos {
		infos[i].Description = ""
	}
	return infos, err
}

type listShares struct {
	secret.Store
	mu    sync.Mutex
	infos []secret.Info
}

func (m *listShares) List(ctx context.Context, owner secret.Owner, page secret.Page) ([]secret.Info, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.infos != nil {
		return m.infos, nil
	}
	infos, err := m.Store.List(ctx, owner, page)
	m.infos = infos
	return infos, err
}

type listEndsEarly struct{ secret.Store }

func (m listEndsEarly) List(ctx context.Context, owner secret.Owner, page secret.Page) ([]secret.Info, error) {
	if ctx.Err() != nil {
		return nil, nil
	}
	return m.Store.List(ctx, owner, page)
}

type listOfNothing struct{ secret.Store }

func (m listOfNothing) List(ctx context.Context, owner secret.Owner, page secret.Page) ([]secret.Info, error) {
	infos, err := m.Store.List(ctx, owner, page)
	if err == nil && len(infos) == 0 {
		return nil, secret.ErrNotFound
	}
	return infos, err
}

type revealIgnoresOnlyIf struct{ secret.Store }

func (m revealIgnoresOnlyIf) Reveal(ctx context.Context, op secret.Op) (secret.Info, data, error) {
	return m.Store.Reveal(ctx, onlyIf(op, ""))
}

type revealShares struct {
	secret.Store
	mu    sync.Mutex
	shown map[secret.Revision]data
}

func (m *revealShares) Reveal(ctx context.Context, op secret.Op) (secret.Info, data, error) {
	info, values, err := m.Store.Reveal(ctx, op)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.shown == nil {
		m.shown = map[secret.Revision]data{}
	}
	if shared, ok := m.shown[info.Revision]; ok {
		values = shared
	}
	m.shown[info.Revision] = values
	return info, values, err
}

type revealLooksTwice struct{ secret.Store }

func (m revealLooksTwice) Reveal(ctx context.Context, op secret.Op) (secret.Info, data, error) {
	info, err := m.Head(ctx, op.Ref)
	if err != nil {
		return info, nil, err
	}
	gap()
	_, values, err := m.Store.Reveal(ctx, op)
	return info, values, err
}

type revealOfNothing struct{ secret.Store }

func (m revealOfNothing) Reveal(ctx context.Context, op secret.Op) (secret.Info, data, error) {
	info, values, err := m.Store.Reveal(ctx, op)
	if errors.Is(err, secret.ErrNotFound) {
		return info, data{}, nil
	}
	return info, values, err
}
