package kubernetes_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/objectname"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/store/kubernetes"
	"github.com/strongroom/strongroom/internal/test/kubetest"
)

func wantError(t testing.TB, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: got error %v, want %v", what, got, want)
	}
}

// An act is an operation on the secret db, which has the data keys a and b.
type act struct {
	name  string
	write bool
	do    func(ctx context.Context, st secret.Store) error
}

func acts() []act {
	return []act{
		{"List", false, func(ctx context.Context, st secret.Store) error {
			_, err := st.List(ctx, shop, secret.Page{})
			return err
		}},
		{"Head", false, func(ctx context.Context, st secret.Store) error { _, err := st.Head(ctx, at("db").Ref); return err }},
		{"Reveal", false, func(ctx context.Context, st secret.Store) error { _, _, err := st.Reveal(ctx, at("db")); return err }},
		{"Owners", false, func(ctx context.Context, st secret.Store) error { _, err := st.Owners(ctx, secret.Page{}); return err }},
		{"Create", true, func(ctx context.Context, st secret.Store) error {
			_, err := st.Create(ctx, at("new"), secret.Draft{Data: data{"k": "v"}})
			return err
		}},
		{"Replace", true, func(ctx context.Context, st secret.Store) error {
			_, err := st.Replace(ctx, at("db"), secret.Change{Set: data{"a": "new"}})
			return err
		}},
		{"Replace that keeps", true, func(ctx context.Context, st secret.Store) error {
			_, err := st.Replace(ctx, at("db"), secret.Change{Set: data{"a": "newer"}, Keep: []string{"b"}})
			return err
		}},
		{"Describe", true, func(ctx context.Context, st secret.Store) error {
			_, err := st.Describe(ctx, at("db"), "db", "described")
			return err
		}},
		{"rename", true, func(ctx context.Context, st secret.Store) error {
			_, err := st.Describe(ctx, at("db"), "renamed", "")
			return err
		}},
		{"Delete", true, func(ctx context.Context, st secret.Store) error { return st.Delete(ctx, at("db")) }},
	}
}

// staged returns a store behind a proxy that has only the secret db.
func staged(t *testing.T, server *kubetest.Server, timeout time.Duration) (st *kubernetes.Store, proxy *kubetest.Proxy, namespace string) {
	t.Helper()
	direct, namespace := ready(t, server)
	if _, err := direct.Create(t.Context(), at("db"), secret.Draft{Data: data{"a": "canary-old", "b": "canary-kept"}}); err != nil {
		t.Fatal(err)
	}
	proxy = server.NewProxy(t)
	st, err := kubernetes.Open(proxy.Config(asStrongroom(t, server)), kubernetes.Options{Namespace: namespace, Timeout: timeout})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	// The timeout is for the fault. A busy machine may exceed it even before the fault.
	await(t, "the store to be ready", func() bool { return st.Check(t.Context()) == nil })
	return st, proxy, namespace
}

// While the API server does not answer, every operation fails within its deadline
// as unavailable.
func TestUnreachableClusterIsUnavailableWithinTheDeadline(t *testing.T) {
	server := installed(t)
	for name, fault := range map[string]kubetest.Fault{
		"cut":              kubetest.Cut,
		"silent":           kubetest.Stall,
		"overloaded":       kubetest.Answer(http.StatusTooManyRequests, "TooManyRequests"),
		"unavailable":      kubetest.Answer(http.StatusServiceUnavailable, "ServiceUnavailable"),
		"timing out":       kubetest.Answer(http.StatusGatewayTimeout, "Timeout"),
		"without its etcd": kubetest.Answer(http.StatusInternalServerError, "InternalError"),
		"always in conflict": func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if r.Method == http.MethodGet {
				next.ServeHTTP(w, r)
				return
			}
			kubetest.Answer(http.StatusConflict, "Conflict")(w, r, next)
		},
	} {
		t.Run(name, func(t *testing.T) {
			st, proxy, _ := staged(t, server, time.Second)
			for _, a := range acts() {
				if name == "always in conflict" && !a.write {
					continue
				}
				proxy.Set(fault)
				start := time.Now()
				err := a.do(t.Context(), st)
				wantError(t, a.name, err, secret.ErrUnavailable)
				if took := time.Since(start); took > 20*time.Second { // a busy machine may take this long
					t.Errorf("%s: answered after %v, and had a second", a.name, took)
				}
				proxy.Set(nil)
			}
			if _, values, err := st.Reveal(t.Context(), at("db")); err != nil || len(values) != 2 {
				t.Errorf("afterwards: got %d values, %v", len(values), err)
			}
			if err := st.Delete(t.Context(), at("db")); err != nil {
				t.Errorf("a write afterwards: %v", err)
			}
		})
	}
}

// A conflict without a condition of the caller is retried.
func TestOneConflictIsRetried(t *testing.T) {
	server := installed(t)
	for _, a := range acts() {
		if !a.write {
			continue
		}
		st, proxy, _ := staged(t, server, 20*time.Second)
		conflict := kubetest.Once(kubetest.Answer(http.StatusConflict, "Conflict"))
		proxy.Set(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if r.Method == http.MethodGet {
				next.ServeHTTP(w, r)
				return
			}
			conflict(w, r, next)
		})
		if err := a.do(t.Context(), st); err != nil {
			t.Errorf("%s: %v", a.name, err)
		}
		wantActed(t, st, a.name)
	}
}

// A client that disconnects during a readiness check does not affect other clients.
func TestDisconnectDuringACheckAffectsNoOtherClient(t *testing.T) {
	st, proxy, _ := staged(t, installed(t), time.Minute)
	time.Sleep(1100 * time.Millisecond) // longer than an answer is cached
	proxy.Set(kubetest.Stall)
	ctx, hangUp := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer hangUp()
	if err := st.Check(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("who hung up: %v", err)
	}
	proxy.Set(nil)
	if err := st.Check(t.Context()); err != nil {
		t.Errorf("the next: %v", err)
	}
}

// A caller's own deadline is kept and not blamed on the cluster.
func TestCallersDeadlineIsRespected(t *testing.T) {
	st, proxy, _ := staged(t, installed(t), time.Minute)
	proxy.Set(kubetest.Stall)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	for _, a := range acts() {
		wantError(t, a.name, a.do(ctx, st), context.DeadlineExceeded)
	}
}

// Each operation succeeds although one of its answers, any of them, is lost after
// the request was served.
func TestLostAnswerDoesNotLoseTheWrite(t *testing.T) {
	server := installed(t)
	for _, a := range acts() {
		for lost := range 5 {
			st, proxy, namespace := staged(t, server, 20*time.Second)
			before := len(server.Requests(t, namespace))
			var n atomic.Int32
			proxy.Set(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				if n.Add(1) == int32(lost+1) {
					kubetest.LoseReply(w, r, next)
				}
				next.ServeHTTP(w, r)
			})
			if err := a.do(t.Context(), st); err != nil {
				t.Errorf("%s, with answer %d lost: %v", a.name, lost+1, err)
			}
			wantActed(t, st, a.name)
			if made := len(server.Requests(t, namespace)) - before; made <= lost+1 {
				break // there was no such answer
			}
		}
	}
}

// A list is decoded item by item, and restarted if it breaks off.
func TestInterruptedListIsRestarted(t *testing.T) {
	st, proxy, _ := staged(t, installed(t), 20*time.Second)
	for _, name := range []string{"a", "b", "c"} {
		if _, err := st.Create(t.Context(), at(name), secret.Draft{}); err != nil {
			t.Fatal(err)
		}
	}
	proxy.Set(kubetest.Once(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		answer := httptest.NewRecorder()
		next.ServeHTTP(answer, r)
		text := answer.Body.Bytes()
		_, _ = w.Write(text[:bytes.LastIndex(text, []byte(`"metadata"`))])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}))
	if names := strings.Join(namesIn(t, st), " "); names != "a b c db" {
		t.Errorf("the list is %q", names)
	}
}

// The part of an answer read before it broke off does not appear in the next one.
func TestInterruptedAnswerIsReadAgain(t *testing.T) {
	st, proxy, _ := staged(t, installed(t), 20*time.Second)
	broken := false
	proxy.Set(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if broken {
			next.ServeHTTP(w, r)
			return
		}
		broken = true
		answer := httptest.NewRecorder()
		next.ServeHTTP(answer, r)
		if _, err := st.Replace(t.Context(), at("db"), secret.Change{Set: data{"b": "new"}}); err != nil {
			t.Errorf("Replace: %v", err)
		}
		text := answer.Body.Bytes()
		_, _ = w.Write(text[:bytes.LastIndex(text, []byte(`"type"`))])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	_, values, err := st.Reveal(t.Context(), at("db"))
	if err != nil || len(values) != 1 || values["b"] != "new" {
		t.Errorf("got %d values, %v, want the one that is stored", len(values), err)
	}
}

// Protocol buffers can put bytes into a secret that are not text. Such a secret is
// listed, found and refused like any other.
func TestAnswersAreReadLeniently(t *testing.T) {
	st, proxy, _ := staged(t, installed(t), 20*time.Second)
	proxy.Set(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Method == http.MethodPatch {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = w.Write([]byte("{\"message\":\"\xff\",\"message\":\"\",\"reason\":\"ServiceUnavailable\"}"))
			return
		}
		answer := httptest.NewRecorder()
		next.ServeHTTP(answer, r)
		_, _ = w.Write(bytes.ReplaceAll(answer.Body.Bytes(), []byte(`"annotations":{`), []byte("\"annotations\":{\"odd\":\"\xff\",\"odd\":\"\",")))
	})
	if names := strings.Join(namesIn(t, st), " "); names != "db" {
		t.Errorf("the list is %q", names)
	}
	if _, err := st.Head(t.Context(), at("db").Ref); err != nil {
		t.Errorf("Head: %v", err)
	}
	_, err := st.Replace(t.Context(), at("db"), secret.Change{})
	wantError(t, "Replace", err, secret.ErrUnavailable)
	if err != nil && !strings.HasSuffix(err.Error(), "503 ServiceUnavailable") {
		t.Errorf("Replace: %v", err)
	}
}

// wantActed checks for the result of the operation and nothing else.
func wantActed(t *testing.T, st secret.Store, name string) {
	t.Helper()
	want := map[string]string{
		"Create": "db:a,b new:k", "Replace": "db:a", "rename": "renamed:a,b", "Delete": "",
	}
	left, known := want[name]
	if !known {
		left = "db:a,b"
	}
	infos, err := st.List(t.Context(), shop, secret.Page{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, i := range infos {
		got = append(got, i.Name+":"+strings.Join(i.Keys, ","))
	}
	if got := strings.Join(got, " "); got != left {
		t.Errorf("%s left %q, want %q", name, got, left)
	}
}

// A rename interrupted at any of its requests leaves the secret under one or both
// names, and under one as soon as the next process writes.
func TestInterruptedRenameIsFinishedByTheNextProcess(t *testing.T) {
	server := installed(t)
	for served := range 6 {
		for _, lose := range []bool{true, false} {
			st, proxy, namespace := staged(t, server, 2*time.Second)
			var n atomic.Int32
			proxy.Set(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				switch at := int(n.Add(1)); {
				case at < served+1:
					next.ServeHTTP(w, r)
				case at == served+1 && lose:
					kubetest.LoseReply(w, r, next)
				default:
					kubetest.Cut(w, r, next)
				}
			})
			_, err := st.Describe(t.Context(), at("db"), "renamed", "described")
			direct := open(t, asStrongroom(t, server), namespace)
			if names := namesIn(t, direct); len(names) == 0 {
				t.Fatalf("cut off after %d: the secret has no name", served)
			}
			if err := direct.Check(t.Context()); err != nil {
				t.Fatal(err)
			}
			names := namesIn(t, direct)
			if len(names) != 1 || (err == nil && names[0] != "renamed") {
				t.Errorf("cut off after %d (answer lost: %t): it is settled as %q, and was answered with %v", served, lose, names, err)
				continue
			}
			_, values, err := direct.Reveal(t.Context(), at(names[0]))
			if err != nil || values["a"] != "canary-old" || values["b"] != "canary-kept" {
				t.Errorf("cut off after %d: %q has other values, or %v", served, names[0], err)
			}
			if _, err := direct.Replace(t.Context(), at(names[0]), secret.Change{Set: data{"a": "new"}}); err != nil {
				t.Errorf("cut off after %d: replacing it under its name: %v", served, err)
			}
			if err := direct.Delete(t.Context(), at(names[0])); err != nil || len(namesIn(t, direct)) != 0 {
				t.Errorf("cut off after %d: deleting it: %v", served, err)
			}
		}
	}
}

func namesIn(t *testing.T, st secret.Store) (names []string) {
	t.Helper()
	infos, err := st.List(t.Context(), shop, secret.Page{})
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range infos {
		names = append(names, i.Name)
	}
	return names
}

// A change of the original since the copy wins over an unfinished rename: nothing
// is deleted.
func TestFinishingARenameKeepsAnOutsideChange(t *testing.T) {
	server := installed(t)
	st, proxy, namespace := staged(t, server, 2*time.Second)
	proxy.Set(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Method == http.MethodDelete {
			kubetest.Cut(w, r, next)
		}
		next.ServeHTTP(w, r)
	})
	_, err := st.Describe(t.Context(), at("db"), "renamed", "")
	wantError(t, "a rename that cannot delete", err, secret.ErrUnavailable)
	path := "/api/v1/namespaces/" + namespace + "/secrets/" + objectname.Of(at("db").Ref)
	kubetest.JSONPatch(t, server.Admin(), path, `[{"op":"add","path":"/data/a","value":"ZnJvbSBvdXRzaWRl"}]`)
	proxy.Set(nil)
	if err := st.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]secret.Value{"db": "from outside", "renamed": "canary-old"} {
		if _, values, err := st.Reveal(t.Context(), at(name)); err != nil || values["a"] != want {
			t.Errorf("%s: another value, or %v", name, err)
		}
	}
	if _, err := st.Replace(t.Context(), at("db"), secret.Change{Set: data{"a": "on"}}); err != nil {
		t.Errorf("a write afterwards: %v", err)
	}
}

// A process that ignores the mark changes the original. Neither its change nor the
// secret is lost.
func TestRenameRestartsAfterAnOutsideChange(t *testing.T) {
	server := installed(t)
	st, proxy, namespace := staged(t, server, 20*time.Second)
	path := "/api/v1/namespaces/" + namespace + "/secrets/" + objectname.Of(at("db").Ref)
	var changed atomic.Bool
	proxy.Set(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		next.ServeHTTP(w, r)
		if r.Method == http.MethodPost && !changed.Swap(true) { // the copy is made
			kubetest.JSONPatch(t, server.Admin(), path, `[{"op":"add","path":"/data/a","value":"ZnJvbSBvdXRzaWRl"}]`)
		}
	})
	if _, err := st.Describe(t.Context(), at("db"), "renamed", ""); err != nil {
		t.Fatal(err)
	}
	_, values, err := st.Reveal(t.Context(), at("renamed"))
	if err != nil || values["a"] != "from outside" {
		t.Errorf("the change from outside is lost: %v", err)
	}
	if names := namesIn(t, st); len(names) != 1 {
		t.Errorf("it is there as %q", names)
	}
}

// A right that the cluster denies the server is the server's error, not the caller's.
func TestClusterRefusalsAreNotReportedAsTheCallersError(t *testing.T) {
	server := installed(t)
	t.Run("rights withdrawn", func(t *testing.T) {
		st, namespace := ready(t, server)
		if _, err := st.Create(t.Context(), at("db"), secret.Draft{}); err != nil {
			t.Fatal(err)
		}
		role := "/apis/rbac.authorization.k8s.io/v1/namespaces/" + namespace + "/roles/strongroom"
		status, answer := kubetest.JSONPatch(t, server.Admin(), role, `[{"op":"replace","path":"/rules/0/verbs","value":["get"]}]`)
		if status != http.StatusOK {
			t.Fatalf("%d: %v", status, answer["message"])
		}
		await(t, "readiness to name what is missing", func() bool {
			err := st.Check(t.Context())
			return err != nil && strings.Contains(err.Error(), "we may not create, list, patch, delete secrets")
		})
		for _, a := range acts() {
			if a.write {
				wantTrouble(t, a.name, a.do(t.Context(), st))
			}
		}
	})
	t.Run("an expired token", func(t *testing.T) {
		_, namespace := ready(t, server)
		st := open(t, server.As(server.TokenUntil(t, "strongroom", "strongroom", time.Now().Add(-time.Minute))), namespace)
		for _, a := range acts() {
			wantTrouble(t, a.name, a.do(t.Context(), st))
		}
	})
	t.Run("a webhook that refuses", func(t *testing.T) {
		st, proxy, _ := staged(t, server, 20*time.Second)
		proxy.Set(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if r.Method == http.MethodGet {
				next.ServeHTTP(w, r)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusUnprocessableEntity)
			_, _ = fmt.Fprint(w, `{"kind":"Status","status":"Failure","code":422,"reason":"Invalid","message":"admission webhook \"x\" denied the request: canary-old"}`)
		})
		for _, a := range acts() {
			if a.write {
				wantTrouble(t, a.name, a.do(t.Context(), st))
			}
		}
	})
}

// wantTrouble checks that the error is not one of package secret and quotes nothing from
// the API server.
func wantTrouble(t *testing.T, call string, err error) {
	t.Helper()
	if secret.OutcomeOf(err) != secret.Failed {
		t.Errorf("%s: got %v, want an error of ours", call, err)
	}
	if err != nil && (strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), "system:serviceaccount")) {
		t.Errorf("%s: repeats the text of the API server: %v", call, err)
	}
}

// A token file that the kubelet replaces is reread at the latest when the old
// token is refused.
func TestRotatedTokenIsUsed(t *testing.T) {
	server := installed(t)
	_, namespace := ready(t, server)
	file := filepath.Join(t.TempDir(), "token")
	write := func(token string) {
		if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(server.TokenUntil(t, "strongroom", "strongroom", time.Now().Add(-time.Minute)))
	cfg := server.As("")
	cfg.BearerTokenFile = file
	st := open(t, cfg, namespace)
	if _, err := st.List(t.Context(), shop, secret.Page{}); err == nil {
		t.Fatal("an expired token was accepted")
	}
	write(server.Token(t, "strongroom", "strongroom"))
	if _, err := st.List(t.Context(), shop, secret.Page{}); err != nil {
		t.Errorf("with a new token: %v", err)
	}
}

func TestMissingOrTerminatingNamespaceFailsTheCheck(t *testing.T) {
	server := installed(t)
	st, namespace := ready(t, server)
	if _, err := st.Create(t.Context(), at("db"), secret.Draft{Data: data{"k": "v"}}); err != nil {
		t.Fatal(err)
	}
	// No controller runs here that would empty and remove it.
	server.Must(t, http.MethodDelete, "/api/v1/namespaces/"+namespace, nil)
	_, err := st.Create(t.Context(), at("new"), secret.Draft{})
	wantError(t, "Create in a namespace that is being deleted", err, secret.ErrUnavailable)
	await(t, "readiness to notice", func() bool {
		err := st.Check(t.Context())
		return err != nil && strings.Contains(err.Error(), "is being deleted")
	})
	if _, err := st.Replace(t.Context(), at("db"), secret.Change{Set: data{"k": "w"}}); err != nil {
		t.Errorf("Replace of what is still there: %v", err)
	}

	nowhere := open(t, server.Admin(), "nowhere")
	_, err = nowhere.Create(t.Context(), at("new"), secret.Draft{})
	wantError(t, "Create where there is no namespace", err, secret.ErrUnavailable)
	if err := nowhere.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "it does not exist") {
		t.Errorf("Check: got %v", err)
	}
}

// Some messages of the API server quote the whole Secret.
func TestErrorsContainNoValues(t *testing.T) {
	server := installed(t)
	st, proxy, namespace := staged(t, server, 20*time.Second)
	path := "/api/v1/namespaces/" + namespace + "/secrets/" + objectname.Of(at("db").Ref)
	_, answer := kubetest.JSONPatch(t, server.Admin(), path, `[{"op":"add","path":"/data/c","value":"not base64"}]`)
	if said, _ := answer["message"].(string); !strings.Contains(said, "Y2FuYXJ5LW9sZA==") {
		t.Fatalf("the API server no longer repeats a Secret: %q", said)
	}
	proxy.Set(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Method != http.MethodPatch {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnprocessableEntity)
		_, _ = fmt.Fprintf(w, `{"kind":"Status","code":422,"reason":"Invalid","message":%q,"details":{"name":"canary","kind":"Secret","causes":[{"reason":"FieldValueInvalid","field":"patch","message":"canary"}]}}`, answer["message"])
	})
	_, err := st.Replace(t.Context(), at("db"), secret.Change{Set: data{"a": "new"}})
	wantTrouble(t, "Replace", err)
}

func TestInputThatTheClusterRejectsIsInvalid(t *testing.T) {
	server := installed(t)
	st, namespace := ready(t, server)
	if _, err := st.Create(t.Context(), at("db"), secret.Draft{Data: data{"k": "v"}}); err != nil {
		t.Fatal(err)
	}
	path := "/api/v1/namespaces/" + namespace + "/secrets/" + objectname.Of(at("db").Ref)
	kubetest.JSONPatch(t, server.Admin(), path, `[{"op":"add","path":"/immutable","value":true}]`)
	large := secret.Value(strings.Repeat("x", secret.MaxValueBytes+1))
	for name, do := range map[string]func() error{
		"immutable": func() error {
			_, err := st.Replace(t.Context(), at("db"), secret.Change{Set: data{"k": "w"}})
			return err
		},
		"too large": func() error {
			_, err := st.Create(t.Context(), at("big"), secret.Draft{Data: data{"k": large}})
			return err
		},
		"far too large": func() error {
			_, err := st.Create(t.Context(), at("big"), secret.Draft{Data: data{"k": large + large + large}})
			return err
		},
		"a key of no kind": func() error {
			_, err := st.Create(t.Context(), at("odd"), secret.Draft{Data: data{"a b": "v"}})
			return err
		},
	} {
		err := do()
		invalid, ok := errors.AsType[*secret.InvalidError](err)
		if !ok || invalid.Field != "data" {
			t.Errorf("%s: got %v, want an InvalidError about data", name, err)
		}
	}
}

func TestExhaustedQuotaIsFull(t *testing.T) {
	st, proxy, _ := staged(t, installed(t), 20*time.Second)
	proxy.Set(func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusForbidden)
		_, _ = fmt.Fprint(w, `{"kind":"Status","code":403,"reason":"Forbidden","message":"secrets \"x\" is forbidden: exceeded quota: q, requested: count/secrets=1","details":{"name":"x","kind":"secrets"}}`)
	})
	_, err := st.Create(t.Context(), at("new"), secret.Draft{})
	wantError(t, "Create", err, secret.ErrFull)
}

// A hundred writers change ten secrets through a proxy that sometimes cuts
// connections, loses answers and refuses. Every acknowledged change is there, and
// each secret has the content of one of its writers.
func TestConcurrentWritersAndFaultsLoseNothing(t *testing.T) {
	server := installed(t)
	st, proxy, namespace := staged(t, server, 20*time.Second)
	secrets := "/api/v1/namespaces/" + namespace + "/secrets"
	server.Must(t, http.MethodPost, secrets, object{"metadata": object{"name": "foreign"}, "data": object{"k": "dg=="}})
	foreign := server.Must(t, http.MethodGet, secrets+"/foreign", nil)
	const writers, names, each = 100, 10, 3
	name := func(i int) secret.Op { return at(fmt.Sprint("storm", i%names)) }
	for i := range names {
		if _, err := st.Create(t.Context(), name(i), secret.Draft{Data: data{"w0": "", "log": ""}}); err != nil {
			t.Fatal(err)
		}
	}
	var n atomic.Int64
	proxy.Set(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		switch n.Add(1) % 23 {
		case 3:
			kubetest.Cut(w, r, next)
		case 7:
			kubetest.LoseReply(w, r, next)
		case 11:
			kubetest.Answer(http.StatusTooManyRequests, "TooManyRequests")(w, r, next)
		case 13:
			kubetest.Answer(http.StatusConflict, "Conflict")(w, r, next)
		default:
			next.ServeHTTP(w, r)
		}
	})
	// Every writer adds its own data key to a secret, on condition that the secret
	// is unchanged since it was read, so a lost update is noticed.
	acknowledged := make([]int, writers)
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			for tries := 0; acknowledged[i] < each && tries < 2000; tries++ {
				if addKey(t, st, name(i), fmt.Sprintf("w%d-%d", i, acknowledged[i])) {
					acknowledged[i]++
				}
			}
		})
	}
	wg.Wait()
	proxy.Set(nil)
	for i := range writers {
		if acknowledged[i] < each {
			t.Errorf("writer %d came through %d times only", i, acknowledged[i])
		}
		info, err := st.Head(t.Context(), name(i).Ref)
		if err != nil {
			t.Fatal(err)
		}
		for k := range acknowledged[i] {
			if key := fmt.Sprintf("w%d-%d", i, k); !contains(info.Keys, key) {
				t.Errorf("%s: what %s was acknowledged to have written is lost", info.Name, key)
			}
		}
	}
	if after := server.Must(t, http.MethodGet, secrets+"/foreign", nil); fmt.Sprint(after) != fmt.Sprint(foreign) {
		t.Error("a foreign Secret was touched")
	}
}

func contains(keys []string, key string) bool {
	for _, k := range keys {
		if k == key {
			return true
		}
	}
	return false
}

// addKey reports whether the data key was added.
func addKey(t *testing.T, st secret.Store, op secret.Op, key string) bool {
	info, err := st.Head(t.Context(), op.Ref)
	if err != nil {
		wantError(t, "Head", err, secret.ErrUnavailable)
		return false
	}
	if contains(info.Keys, key) {
		return true // an earlier attempt had succeeded, although it returned an error
	}
	op.OnlyIf = info.Revision
	_, err = st.Replace(t.Context(), op, secret.Change{Set: data{key: secret.Value(rand.Text())}, Keep: info.Keys})
	if err != nil && !errors.Is(err, secret.ErrUnavailable) && !errors.Is(err, secret.ErrChanged) {
		t.Errorf("Replace: %v", err)
	}
	return err == nil
}
