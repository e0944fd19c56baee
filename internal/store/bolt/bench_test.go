package bolt_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/secret"
)

// The changes share commits, so this measures mostly what runs one after the other.
func BenchmarkReplaceBy64(b *testing.B) {
	s := newStack(b)
	defer func() { _ = s.Close() }()
	value := secret.Value(strings.Repeat("v", 200))
	var refs [64]secret.Ref
	for n := range refs {
		refs[n] = secret.Ref{Owner: secret.User(fmt.Sprint("user-", n)), Name: "db"}
		if _, err := s.Create(b.Context(), secret.Op{Ref: refs[n]}, secret.Draft{Data: map[string]secret.Value{"k": value}}); err != nil {
			b.Fatal(err)
		}
	}
	var next atomic.Int64
	b.SetParallelism(64)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			ref := refs[next.Add(1)%64]
			op := secret.Op{Ref: ref, Event: &secret.Event{
				Time: time.Now(), Subject: "ann", CredentialID: "k7q2", From: "127.0.0.1", Request: "Zx81", Action: secret.Write, Ref: ref,
			}}
			if _, err := s.Replace(b.Context(), op, secret.Change{Set: map[string]secret.Value{"k": value}}); err != nil {
				b.Error(err)
			}
		}
	})
}
