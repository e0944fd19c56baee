package admin_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/strongroom/strongroom/internal/admin"
	"github.com/strongroom/strongroom/internal/seal"
	"github.com/strongroom/strongroom/internal/state"
)

// A keyring of an earlier version does not say that its state file has a MAC.
func TestKeyringOfAnEarlierVersionIsNotedAsSigned(t *testing.T) {
	kek, key := source{seal.NewKey()}, seal.NewKey().Encode()
	path := filepath.Join(t.TempDir(), "state.db")
	err := state.Create(path, func(id string) ([]byte, state.MACKey, error) {
		text := fmt.Sprintf(`{"primary":1,"keys":{"1":%q},"index":%q}`, key, key)
		wrapped := kek.key.Seal([]byte(text), seal.Place("keyring", id))
		ring, err := seal.Unwrap(wrapped, kek.key, id)
		if err != nil || ring.Signed() {
			return nil, nil, errors.Join(err, errors.New("it is signed already"))
		}
		return wrapped, ring.Derive("state chain"), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, when := range []string{"at the first start", "at the next start"} {
		file, keys, err := admin.OpenState(t.Context(), path, kek, state.Options{})
		if err != nil {
			t.Fatal(err)
		}
		wrapped, err := file.Keyring()
		if err != nil {
			t.Fatal(err)
		}
		stored, err := seal.Unwrap(wrapped, kek.key, file.ID())
		if err != nil || !stored.Signed() || !keys.Ring().Signed() {
			t.Errorf("%s: the keyring is not signed: %v", when, err)
		}
		if _, err := keys.Rotate(t.Context()); err != nil || !keys.Ring().Signed() {
			t.Errorf("%s: the rotated keyring is not signed: %v", when, err)
		}
		if err := errors.Join(file.Verify(), file.Close()); err != nil {
			t.Error(err)
		}
	}
}
