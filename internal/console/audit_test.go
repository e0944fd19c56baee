package console

import (
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/audit"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/state"
)

// openLog returns an audit log with n entries about user/a, one for each minute since the
// time.
func openLog(t *testing.T, n int, since time.Time) *audit.Log {
	t.Helper()
	file, _, log := openFile(t)
	err := file.Update(t.Context(), func(tx *state.Tx) error {
		for i := range n {
			event := secret.Event{
				Time: since.Add(time.Duration(i) * time.Minute), Subject: "alice", Action: secret.Reveal,
				Ref: secret.Ref{Owner: secret.User("a"), Name: "db"}, Outcome: secret.Done,
			}
			if err := log.Append(tx, event); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return log
}

func TestPagesOfTheAuditLogShowEachEntryOnce(t *testing.T) {
	since := time.Now().UTC().Truncate(time.Second).Add(-24 * time.Hour)
	const all, pruned = 1200, 700
	caller := secret.Caller{Grants: []secret.Grant{{Actions: []secret.Action{secret.Admin}, Owner: secret.User("a")}}}
	for _, prune := range []bool{false, true} {
		log := openLog(t, all, since)
		want := all
		if prune {
			dropped, err := log.Prune(t.Context(), since.Add(pruned*time.Minute), secret.Event{Time: time.Now().UTC(), Subject: "root", Action: "audit prune"})
			if err != nil || dropped < pruned {
				t.Fatalf("Prune dropped %d entries: %v", dropped, err)
			}
			want = all - pruned
		}
		c := &Console{Options: Options{Audit: log, Kinds: []Kind{{Kind: secret.KindUser}}}}
		for _, most := range []int{100, 10_000} {
			var seen []uint64
			before := uint64(0)
			for range 2 * all / 100 {
				found, next, err := c.entries(caller, filter{}, before, most)
				if err != nil {
					t.Fatal(err)
				}
				for _, e := range found {
					seen = append(seen, e.Seq)
				}
				if before = next; next == 0 {
					break
				}
			}
			for i, seq := range seen {
				if i > 0 && seq != seen[i-1]-1 {
					t.Fatalf("pruned: %t, %d to a page: entry %d follows %d", prune, most, seq, seen[i-1])
				}
			}
			if before != 0 || len(seen) != want {
				t.Errorf("pruned: %t, %d to a page: %d entries, want %d; the next is %d, want 0", prune, most, len(seen), want, before)
			}
		}
	}
}

func TestEntriesAreShownOnlyToAdministratorsOfTheirSecrets(t *testing.T) {
	c := &Console{Options: Options{Kinds: []Kind{{Kind: secret.KindUser}, {Kind: secret.KindApp}}}}
	admin := func(owner secret.Owner, names ...string) secret.Grant {
		return secret.Grant{Actions: []secret.Action{secret.Admin}, Owner: owner, Names: names}
	}
	a, app := secret.User("a"), secret.App("0f8fad5b-d9cb-469f-a165-70867728950e")
	everything := []secret.Grant{admin(secret.User(secret.AnyID)), admin(secret.App(secret.AnyID))}
	denied := secret.Grant{Actions: []secret.Action{secret.Admin}, Owner: a, Names: []string{"other"}, Deny: true}
	about := func(owner secret.Owner, name string) audit.Entry {
		return audit.Entry{Event: secret.Event{Ref: secret.Ref{Owner: owner, Name: name}}}
	}
	renamed, several := about(a, "db"), about(a, "")
	renamed.Event.NewName, several.Names = "other", map[string]int{"db": 2, "other": 1}
	server := about(secret.Owner{Kind: "session", ID: "x"}, "")
	for _, tc := range []struct {
		name   string
		grants []secret.Grant
		entry  audit.Entry
		want   bool
	}{
		{"of its secret", []secret.Grant{admin(a, "db")}, about(a, "db"), true},
		{"of another secret of the owner", []secret.Grant{admin(a, "db")}, about(a, "other"), false},
		{"of its secret with a new name", []secret.Grant{admin(a, "db")}, renamed, false},
		{"of its secret and another", []secret.Grant{admin(a, "db")}, several, false},
		{"of both secrets", []secret.Grant{admin(a, "db", "other")}, several, true},
		{"of a list of the owner's", []secret.Grant{admin(a, "db")}, about(a, ""), true},
		{"of the owner", []secret.Grant{admin(a)}, renamed, true},
		{"of a denied secret", []secret.Grant{admin(a), denied}, about(a, "other"), false},
		{"of another owner", []secret.Grant{admin(a)}, about(app, "db"), false},
		{"of the server, to the administrator of one owner", []secret.Grant{admin(a)}, server, false},
		{"of the server, to the administrator of one kind", everything[:1], server, false},
		{"of the server, to its administrator", everything, server, true},
		{"to a reader", []secret.Grant{{Actions: []secret.Action{secret.List, secret.Reveal}, Owner: a}}, about(a, "db"), false},
	} {
		if got := c.mayRead(secret.Caller{Grants: tc.grants}, tc.entry); got != tc.want {
			t.Errorf("an entry %s: mayRead = %t, want %t", tc.name, got, tc.want)
		}
	}
}
