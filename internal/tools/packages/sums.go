package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// sums has the hashes of all packages, for sha256sum --check.
const sums = "SHA256SUMS"

// seal writes the hashes of everything built, and signs them if there is a key.
// ssh-keygen -Y verify, which is installed almost everywhere, checks the signature; its
// namespace is file.
func (r *release) seal() error {
	files, err := filepath.Glob(filepath.Join(r.out, "*"))
	if err != nil {
		return err
	}
	var b strings.Builder
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%x  %s\n", sha256.Sum256(content), filepath.Base(file))
	}
	path := filepath.Join(r.out, sums)
	if err := put(path, []byte(b.String())); err != nil || r.signKey == "" {
		return err
	}
	_, err = r.run(nil, "ssh-keygen", "-q", "-Y", "sign", "-n", "file", "-f", r.signKey, path)
	return err
}
