package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/strongroom/strongroom/internal/auth/apikey"
	"github.com/strongroom/strongroom/internal/keyring"
)

func readKeys(path string) ([]apikey.Key, error) {
	text, err := keyring.ReadPrivate(path)
	if err != nil {
		return nil, err
	}
	keys, err := apikey.ParseKeys(path, text)
	if err != nil {
		return nil, fmt.Errorf("%s:\n%w", path, err)
	}
	return keys, nil
}

// writeNew writes a file that must not exist yet, and makes it durable.
func writeNew(path string, content []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Sync(), f.Close())
}
