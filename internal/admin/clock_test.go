package admin_test

import (
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/strongroom/strongroom/internal/admin"
	"github.com/strongroom/strongroom/internal/issued"
	"github.com/strongroom/strongroom/internal/secret"
)

const (
	day     = 24 * time.Hour
	decades = 30 * 365 * day
)

// A wrongClock is the machine's clock, set ahead.
type wrongClock struct{ ahead atomic.Int64 }

func (w *wrongClock) clock() issued.Clock {
	start := time.Now()
	return issued.Clock{
		Wall:    func() time.Time { return time.Now().Add(time.Duration(w.ahead.Load())) },
		Elapsed: func() time.Duration { return time.Since(start) },
	}
}

// mustKeep checks that nothing has been removed by age, or, if want is false, that
// everything has.
func mustKeep(t *testing.T, s *admin.Service, want bool, when string) {
	t.Helper()
	entries, err := s.Entries(0, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	if deleted := deletedOf(t, s); (deleted > 0) != want || (entries[0].Seq == 1) != want {
		t.Errorf("%s: %d deleted secrets are left, and the audit log begins at %d", when, deleted, entries[0].Seq)
	}
	_, err = s.PruneAudit(t.Context(), root, time.Now().Add(-decades))
	if errors.Is(err, admin.ErrClock) != want {
		t.Errorf("%s: PruneAudit: %v", when, err)
	}
	if warns := len(s.ClockFindings()) > 0; warns != want {
		t.Errorf("%s: it warns: %v", when, warns)
	}
}

// withOldData calls fn in a synctest bubble, with a place that has a deleted secret and
// an audit log.
func withOldData(t *testing.T, fn func(t *testing.T, p *place, w *wrongClock)) {
	synctest.Test(t, func(t *testing.T) {
		p, w := newPlace(t), &wrongClock{}
		p.clock, p.retention, p.opts.DeletedFor = w.clock(), 30*day, 30*day
		s, closeAll := p.open(t)
		mustCreate(t, s, db)
		if err := s.Stores["embedded"].Delete(t.Context(), secret.Op{Ref: db}); err != nil {
			t.Fatal(err)
		}
		if err := s.Audit.Record(t.Context(), secret.Event{Time: time.Now(), Subject: "x"}); err != nil {
			t.Fatal(err)
		}
		closeAll()
		fn(t, p, w)
	})
}

func TestClockSetAheadRemovesNothingUntilItHasLastedForADay(t *testing.T) {
	withOldData(t, func(t *testing.T, p *place, w *wrongClock) {
		w.ahead.Store(int64(decades))
		s, closeAll := p.open(t)
		time.Sleep(13*time.Hour + time.Minute)
		mustKeep(t, s, true, "after 13 hours")
		closeAll()
		s, closeAll = p.open(t)
		time.Sleep(10 * time.Hour)
		mustKeep(t, s, true, "after 10 more of the next process")
		time.Sleep(3 * time.Hour)
		mustKeep(t, s, false, "after a day")
		closeAll()
	})
}

func TestClockSetAheadWhileTheServerRunsAndSetRightRemovesNothing(t *testing.T) {
	withOldData(t, func(t *testing.T, p *place, w *wrongClock) {
		s, closeAll := p.open(t)
		defer closeAll()
		time.Sleep(2 * time.Hour)
		w.ahead.Store(int64(decades))
		time.Sleep(20 * time.Hour)
		mustKeep(t, s, true, "while it is wrong")
		w.ahead.Store(int64(decades + 20*day)) // another jump, which starts another day
		time.Sleep(20 * time.Hour)
		mustKeep(t, s, true, "after another jump")
		w.ahead.Store(int64(0))
		time.Sleep(2 * time.Hour)
		if len(s.ClockFindings()) > 0 || deletedOf(t, s) != 1 {
			t.Errorf("set right, it says %v and %d deleted secrets are left", s.ClockFindings(), deletedOf(t, s))
		}
	})
}

func TestConfirmedClockIsTrustedAtOnceAndAudited(t *testing.T) {
	withOldData(t, func(t *testing.T, p *place, w *wrongClock) {
		w.ahead.Store(int64(decades))
		s, closeAll := p.open(t)
		time.Sleep(time.Minute)
		mustKeep(t, s, true, "after a minute")
		if err := s.ConfirmClock(t.Context(), root); err != nil {
			t.Fatal(err)
		}
		if last, err := s.Audit.Tail(1); err != nil || last[0].Event.Action != "clock confirm" || last[0].Event.Outcome != secret.Done {
			t.Errorf("on record is %+v, %v", last, err)
		}
		closeAll()
		s, closeAll = p.open(t)
		defer closeAll()
		time.Sleep(time.Minute)
		mustKeep(t, s, false, "confirmed, after a restart")
	})
}

func TestServerThatWasOffForSomeDaysTidiesAtOnce(t *testing.T) {
	withOldData(t, func(t *testing.T, p *place, _ *wrongClock) {
		for range 6 {
			time.Sleep(6 * day)
			s, closeAll := p.open(t)
			time.Sleep(time.Minute)
			if found := s.ClockFindings(); len(found) > 0 {
				t.Errorf("it says %v", found)
			}
			closeAll()
		}
		s, closeAll := p.open(t)
		defer closeAll()
		time.Sleep(time.Minute)
		if deletedOf(t, s) != 0 {
			t.Error("after 36 days, what was deleted is not removed")
		}
	})
}
