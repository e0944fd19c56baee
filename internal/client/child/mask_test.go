package child_test

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/internal/client/child"
	"github.com/strongroom/strongroom/internal/secret"
)

func TestMaskHidesValuesHoweverTheyAreWritten(t *testing.T) {
	values := []secret.Value{"hunter2", "hunter2-long", "aaaab", "line one\nline two\n", "x"}
	text := strings.Repeat("a hunter2 b hunter2-long c aaaaaab line one\nline two\n x line two huntehunter2\n", 20)
	want := strings.Repeat("a **** b **** c aa**** ****\n x **** hunte****\n", 20)
	r := rand.New(rand.NewPCG(1, 1))
	for range 200 {
		var out bytes.Buffer
		m := child.NewMask(&out, values)
		for rest := text; rest != ""; {
			n := min(len(rest), 1+r.IntN(9))
			if _, err := m.Write([]byte(rest[:n])); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
		if out.String() != want {
			t.Fatalf("got\n%s\nwant\n%s", out.String(), want)
		}
	}
}

func TestMaskHoldsBackNoMoreThanNeeded(t *testing.T) {
	var out bytes.Buffer
	m := child.NewMask(&out, []secret.Value{"hunter2"})
	if _, err := m.Write([]byte("prompt> hun")); err != nil || out.String() != "prompt> " {
		t.Errorf("got %q, %v", out.String(), err)
	}
	if err := m.Close(); err != nil || out.String() != "prompt> hun" {
		t.Errorf("at the end got %q, %v", out.String(), err)
	}
}
