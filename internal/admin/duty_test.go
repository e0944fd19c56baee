package admin_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/admin"
	"github.com/strongroom/strongroom/internal/secret"
)

// A board has the duties of several nodes, as a database has.
type board struct {
	mu     sync.Mutex
	holder map[string]string
	until  map[string]time.Time
	away   bool
}

func newBoard() *board { return &board{holder: map[string]string{}, until: map[string]time.Time{}} }

func (b *board) is(away bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.away = away
}

func (b *board) who(duty string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if time.Now().After(b.until[duty]) {
		return ""
	}
	return b.holder[duty]
}

// A member is one node of a board.
type member struct {
	*board
	name string
}

var _ admin.Duties = member{}

func (m member) Claim(ctx context.Context, duty string, term time.Duration) (bool, error) {
	if has := m.who(duty); has != "" && has != m.name {
		return false, ctx.Err()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.away {
		return false, errors.New("the database does not answer")
	}
	m.holder[duty], m.until[duty] = m.name, time.Now().Add(term)
	return true, nil
}

func (m member) Release(_ context.Context, duty string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.holder[duty] == m.name {
		delete(m.holder, duty)
	}
	return nil
}

func mustTake(t *testing.T, m member, duty string) *admin.Lease {
	t.Helper()
	l, err := admin.TakeFor(t.Context(), m, duty, 50*time.Millisecond, 10*time.Millisecond)
	if err != nil || l == nil {
		t.Fatalf("got %v, %v", l, err)
	}
	return l
}

func TestLeaseLastsUntilItsRelease(t *testing.T) {
	b := newBoard()
	one, two := member{b, "one"}, member{b, "two"}
	lease := mustTake(t, one, "duty")
	for deadline := time.Now().Add(200 * time.Millisecond); time.Now().Before(deadline); {
		if other, err := admin.TakeFor(t.Context(), two, "duty", time.Hour, time.Hour); other != nil || err != nil {
			t.Fatalf("another node has taken the duty: %v", err)
		}
	}
	lease.Release()
	mustTake(t, two, "duty").Release()
	select {
	case <-lease.Lost():
		t.Error("the lease was lost")
	default:
	}
}

func TestLeaseIsLostWhenItCannotBeRenewed(t *testing.T) {
	b := newBoard()
	lease := mustTake(t, member{b, "one"}, "duty")
	defer lease.Release()
	b.is(true)
	began := time.Now()
	<-lease.Lost()
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
	b.is(false)
	mustTake(t, member{b, "two"}, "duty").Release()
}

// A database that is away for a moment costs no duty.
func TestLeaseSurvivesAShortOutage(t *testing.T) {
	b := newBoard()
	lease, err := admin.TakeFor(t.Context(), member{b, "one"}, "duty", time.Minute, time.Millisecond)
	if err != nil || lease == nil {
		t.Fatal(err)
	}
	defer lease.Release()
	b.is(true)
	select {
	case <-lease.Lost():
		t.Fatal("the lease was lost within its term")
	case <-time.After(50 * time.Millisecond):
	}
}

func TestOnlyOneNodeReseals(t *testing.T) {
	p, b := newPlace(t), newBoard()
	p.duties = member{b, "one"}
	s, closeAll := p.open(t)
	defer closeAll()
	other := mustTake(t, member{b, "two"}, "reseal")
	for range 2 {
		if _, err := s.Rotate(t.Context(), root); !errors.Is(err, admin.ErrResealing) {
			t.Errorf("while another node reseals: %v, want ErrResealing", err)
		}
		if _, err := s.Prune(t.Context(), root, admin.FromFiles); !errors.Is(err, admin.ErrResealing) {
			t.Errorf("while another node reseals: %v, want ErrResealing", err)
		}
	}
	other.Release()
	if _, err := s.Rotate(t.Context(), root); err != nil {
		t.Fatal(err)
	}
	if err := s.WaitForReseal(t.Context()); err != nil {
		t.Fatal(err)
	}
	if has := b.who("reseal"); has != "" {
		t.Errorf("after the reseal, %s has the duty", has)
	}
}

func TestOnlyOneNodeTidies(t *testing.T) {
	p, b := newPlace(t), newBoard()
	p.opts.DeletedFor = 0
	p.duties = member{b, "one"}
	if has, err := (member{b, "two"}).Claim(t.Context(), "tidy", time.Hour); !has || err != nil {
		t.Fatal(has, err)
	}
	s, closeAll := p.open(t)
	mustCreate(t, s, db)
	if err := s.Stores["embedded"].Delete(t.Context(), secret.Op{Ref: db}); err != nil {
		t.Fatal(err)
	}
	closeAll()
	s, closeAll = p.open(t)
	time.Sleep(100 * time.Millisecond)
	if n := deletedOf(t, s); n != 1 {
		t.Errorf("%d deleted secrets are left, want 1: another node has the duty", n)
	}
	closeAll()
	p.duties = member{b, "two"}
	s, closeAll = p.open(t)
	defer closeAll()
	mustCome(t, func() bool { return deletedOf(t, s) == 0 })
}
