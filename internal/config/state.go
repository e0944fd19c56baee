package config

import "strings"

// State is the state file. Only one process can have it open.
type State struct {
	// Path of the file. `strongroom init` creates it; the server never does.
	Path string `yaml:"path"`
	// Key is where the key that opens the file comes from.
	Key KeySource `yaml:"key"`
	// JournalBytes is the size of each of the two files of the journal beside the state
	// file. They take this space always, and a quarter of it is reserved for audit
	// entries on a full disk. At least 262144, in steps of 4096; default 16777216. A
	// change needs a restart.
	JournalBytes *int64 `yaml:"journal_bytes"`
}

// KeySource is the source of the key-encryption key: exactly one of these. The key is 32 random
// bytes in base64.
type KeySource struct {
	// File with the key. Only its owner and group may read it.
	File string `yaml:"file"`
	// Env is the name of an environment variable.
	Env string `yaml:"env"`
	// Credential is the name of a systemd credential (LoadCredential=).
	Credential string `yaml:"credential"`
}

func (s State) validate(m *problems) {
	m.bad(s.Path == "", "state.path: must be set")
	s.Key.validate(m)
	if size := s.JournalBytes; size != nil {
		m.bad(*size < minJournal || *size > maxJournal || *size%journalStep != 0,
			"state.journal_bytes: must be %d to %d, in steps of %d", minJournal, maxJournal, journalStep)
	}
}

func (k KeySource) validate(m *problems) {
	m.bad(!exactlyOne(k.File != "", k.Env != "", k.Credential != ""), "state.key: must set exactly one of file, env, credential")
	m.bad(strings.Contains(k.Credential, "/"), "state.key.credential: must be a name, not a path")
}

// Limits of the journal's files; the upper one is journal.MaxBytes.
const (
	minJournal  = 256 << 10
	maxJournal  = 1 << 30
	journalStep = 4096
)
