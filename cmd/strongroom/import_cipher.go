package main

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/strongroom/strongroom/internal/fernet"
	"github.com/strongroom/strongroom/internal/safefile"
)

// An openHandsCipher opens the values that OpenHands' agent server has
// encrypted: Fernet tokens under the SHA-256 of OH_SECRET_KEY, or of one of the
// keys before it (openhands/sdk/utils/cipher.py).
type openHandsCipher []fernet.Key

// readSecretKeys reads files with one key a line, the earlier ones included.
func readSecretKeys(files []string) (c openHandsCipher, err error) {
	for _, file := range files {
		text, err := safefile.Read(file)
		if err != nil {
			return nil, fmt.Errorf("--secret-key-file: %w", err)
		}
		before := len(c)
		for line := range strings.Lines(string(text)) {
			if key := strings.TrimSpace(line); key != "" {
				c = append(c, fernet.Key(sha256.Sum256([]byte(key))))
			}
		}
		if len(c) == before {
			return nil, fmt.Errorf("--secret-key-file: there is no key in %s", file)
		}
	}
	return c, nil
}

// open returns the decrypted value, or the reason why it cannot be imported.
func (c openHandsCipher) open(value string) (opened, wrong string) {
	switch {
	case value != "" && strings.Trim(value, "*") == "":
		return "", "its value is only asterisks, the mask of OpenHands"
	case !strings.HasPrefix(value, fernet.Prefix):
		return value, ""
	case len(c) == 0:
		return "", "its value is encrypted: name a file with OH_SECRET_KEY with --secret-key-file"
	}
	for _, key := range c {
		if text, err := key.Open(value); err == nil && utf8.Valid(text) {
			return string(text), ""
		}
	}
	return "", "its value is encrypted under a key that is not in --secret-key-file"
}
