package config_test

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"github.com/strongroom/strongroom/internal/config"
)

// FuzzLoad checks that an accepted config has everything that the program
// relies on.
func FuzzLoad(f *testing.F) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) == 0 {
		f.Fatalf("no files: %v", err)
	}
	for _, file := range append(files, "../../cmd/strongroom/init.yaml") {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	path := filepath.Join(f.TempDir(), "config.yaml")
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := config.Load(path)
		again, errAgain := config.Load(path)
		if (err == nil) != (errAgain == nil) || err != nil && err.Error() != errAgain.Error() || !reflect.DeepEqual(c, again) {
			t.Fatalf("two reads of the same file differ: %v, %v", err, errAgain)
		}
		if err != nil {
			return
		}
		if c.Listen.Address == "" || c.Listen.Drain <= 0 || !filepath.IsAbs(c.State.Path) {
			t.Errorf("accepted without an address, a drain or a state file: %+v", c)
		}
		for name, s := range c.Stores {
			b, k := s.Bolt, s.Kubernetes
			if countSet(b != nil, k != nil) != 1 {
				t.Errorf("accepted a store %q of no kind, or two", name)
			}
			if b != nil && (b.Versions == nil || b.DeletedFor == nil || b.PastBytes == nil) || k != nil && (k.Namespace == "" || k.Timeout <= 0) {
				t.Errorf("accepted a store %q that lacks a required field", name)
			}
		}
		used := map[string][]string{}
		if api := c.APIs.OpenHands; api != nil {
			used[api.Store] = slices.Concat(api.Auth, api.AgentServer.Auth, api.V1.Auth, api.Sandboxes.Auth)
		}
		if api := c.APIs.Nx1; api != nil {
			used[api.Store] = append(used[api.Store], api.Auth...)
		}
		for name, s := range c.Auth {
			if o := s.OIDC; o != nil && (o.Issuer == "" || (o.Audience == "") != o.AnyAudience || len(o.Algorithms) == 0 || len(o.TokenTypes) == 0 || len(o.RolesPath()) == 0 || o.UserClaim == "") {
				t.Errorf("accepted a strategy %q that lacks a required field", name)
			}
		}
		if len(used) == 0 {
			t.Error("accepted without an API")
		}
		for store, strategies := range used {
			if _, ok := c.Stores[store]; !ok {
				t.Errorf("accepted an API on the store %q, which does not exist", store)
			}
			for _, name := range strategies {
				if s := c.Auth[name]; countSet(s.APIKey != nil, s.OIDC != nil, s.ServiceAccount != nil, s.Anonymous != nil) != 1 {
					t.Errorf("accepted the strategy %q of no kind, or several", name)
				}
			}
		}
	})
}

func countSet(set ...bool) (n int) {
	for _, is := range set {
		if is {
			n++
		}
	}
	return n
}
