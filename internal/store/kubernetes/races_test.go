package kubernetes_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/test/kubetest"
)

// lostAfter serves the first request of the method, calls do, and drops the answer.
func lostAfter(method string, do func()) kubetest.Fault {
	var once sync.Once
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		first := false
		if r.Method == method {
			once.Do(func() { first = true })
		}
		if !first {
			next.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(httptest.NewRecorder(), r)
		do()
		panic(http.ErrAbortHandler)
	}
}

// A repeated deletion applies only to the object that was read, not to a new one of
// the same name.
func TestRepeatedDeletionKeepsANewSecret(t *testing.T) {
	server := installed(t)
	for _, conditional := range []bool{false, true} {
		st, proxy, namespace := staged(t, server, 20*time.Second)
		other := open(t, asStrongroom(t, server), namespace)
		op := at("db")
		if conditional {
			info, err := st.Head(t.Context(), op.Ref)
			if err != nil {
				t.Fatal(err)
			}
			op.OnlyIf = info.Revision
		}
		proxy.Set(lostAfter(http.MethodDelete, func() {
			if _, err := other.Create(t.Context(), at("db"), secret.Draft{Data: data{"new": "v"}}); err != nil {
				t.Error(err)
			}
		}))
		if err := st.Delete(t.Context(), op); err != nil {
			t.Errorf("conditional %t: %v", conditional, err)
		}
		if _, values, err := other.Reveal(t.Context(), at("db")); err != nil || values["new"] != "v" {
			t.Errorf("conditional %t: the new one: %v", conditional, err)
		}
	}
}

// The first write looks for unfinished renames, and may find one that another
// process is finishing. The write must still succeed.
func TestWriteSucceedsWhileAnotherProcessFinishesARename(t *testing.T) {
	server := installed(t)
	for _, copied := range []bool{true, false} {
		st, proxy, namespace := staged(t, server, 2*time.Second)
		other := open(t, asStrongroom(t, server), namespace)
		if _, err := other.Create(t.Context(), at("bystander"), secret.Draft{Data: data{"k": "v"}}); err != nil {
			t.Fatal(err)
		}
		var patches atomic.Int32
		proxy.Set(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			switch {
			case copied && r.Method == http.MethodDelete,
				!copied && (r.Method == http.MethodPost || (r.Method == http.MethodPatch && patches.Add(1) > 1)):
				kubetest.Cut(w, r, next)
			default:
				next.ServeHTTP(w, r)
			}
		})
		_, err := st.Describe(t.Context(), at("db"), "renamed", "")
		wantError(t, "the rename", err, secret.ErrUnavailable)

		// A third process finishes the rename at the same time as the first.
		third := open(t, asStrongroom(t, server), namespace)
		var once atomic.Bool
		proxy.Set(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if (r.Method == http.MethodDelete || r.Method == http.MethodPatch) && strings.HasPrefix(r.URL.Path, "/api/v1/") && !once.Swap(true) {
				if err := third.Check(t.Context()); err != nil {
					t.Error(err)
				}
			}
			next.ServeHTTP(w, r)
		})
		if _, err := st.Replace(t.Context(), at("bystander"), secret.Change{Set: data{"k": "w"}}); err != nil {
			t.Errorf("copied %t: a write to another secret: %v", copied, err)
		}
		want := []string{"bystander", "db"}
		if copied {
			want[1] = "renamed"
		}
		if got := namesIn(t, other); !slices.Equal(got, want) {
			t.Errorf("copied %t: there are %v, want %v", copied, got, want)
		}
	}
}

// If it is unknown whether the copy was created, the next write searches for it.
func TestRenameIsFinishedWhenTheCopysAnswerWasLost(t *testing.T) {
	server := installed(t)
	for name, fault := range map[string]func() kubetest.Fault{
		"504 after it was served": func() kubetest.Fault {
			return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				next.ServeHTTP(httptest.NewRecorder(), r)
				kubetest.Answer(http.StatusGatewayTimeout, "Timeout")(w, r, next)
			}
		},
		"lost, and then cut": func() kubetest.Fault {
			var posts atomic.Int32
			return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				if posts.Add(1) == 1 {
					kubetest.LoseReply(w, r, next)
				}
				kubetest.Cut(w, r, next)
			}
		},
	} {
		st, proxy, namespace := staged(t, server, 20*time.Second)
		onPost := fault()
		proxy.Set(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if r.Method == http.MethodPost {
				onPost(w, r, next)
				return
			}
			next.ServeHTTP(w, r)
		})
		_, err := st.Describe(t.Context(), at("db"), "renamed", "")
		wantError(t, name, err, secret.ErrUnavailable)
		proxy.Set(nil)
		if _, err := st.Replace(t.Context(), at("renamed"), secret.Change{Set: data{"a": "w"}}); err != nil {
			t.Errorf("%s: a write to it by its new name: %v", name, err)
		}
		if got := namesIn(t, open(t, asStrongroom(t, server), namespace)); !slices.Equal(got, []string{"renamed"}) {
			t.Errorf("%s: there are %v", name, got)
		}
	}
}
