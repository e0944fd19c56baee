package config

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/duration"
)

// State is where all durable data of the server are: exactly one of path and postgres.
type State struct {
	// Path of the state file. `strongroom init` creates it; the server never does. Only
	// one process can have it open.
	Path string `yaml:"path"`
	// Postgres is a database in place of a state file. Any number of servers, the nodes,
	// can share it.
	Postgres *Postgres `yaml:"postgres"`
	// Key is where the key that opens the state comes from. All nodes need the same key.
	Key KeySource `yaml:"key"`
	// JournalBytes is the size of each of the two files of the journal beside the state
	// file. They take this space always, and a quarter of it is reserved for audit
	// entries on a full disk. At least 262144, in steps of 4096; default 16777216. A
	// change needs a restart.
	JournalBytes *int64 `yaml:"journal_bytes"`
}

// Postgres is a PostgreSQL database of version 15 or newer. `strongroom init` creates its
// tables. A change of any field needs a restart.
type Postgres struct {
	// URLFile has the URL of the database, as postgres://user:password@host/strongroom, with
	// the parameters of libpq, such as sslmode and sslrootcert. Several hosts are allowed: the
	// one that accepts writes is used. Only the file's owner and group may read it.
	URLFile string `yaml:"url_file"`
	// URLEnv is the name of an environment variable with the URL.
	URLEnv string `yaml:"url_env"`
	// Cache is a directory for this node's copy of the state, which no other process may
	// use. The server creates it, and it can be deleted while the server is stopped. The
	// socket for administration is there too.
	Cache string `yaml:"cache"`
	// Node is the name of this node, for administrators. Default: the name of the host.
	Node string `yaml:"node"`
}

// Reads configures how current the state of a node must be. Only with state.postgres.
type Reads struct {
	// Staleness lets a node answer requests without asking the database, for so long after it
	// last had all changes. Masked reads then go on for so long while the database is away;
	// without it, they get 503. A change, also a revoked key, counts on the other nodes that
	// much later, and a revocation waits that long for a node that does not confirm it. At
	// most 60s; default 0s: each request sees every change acknowledged before it.
	Staleness duration.Duration `yaml:"staleness"`
}

// File returns the path of this process's own file: the state file, or the cache of the
// database.
func (s State) File() string {
	if s.Postgres != nil {
		return filepath.Join(s.Postgres.Cache, "cache.db")
	}
	return s.Path
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

func (s *State) setDefaults() {
	if s.Postgres == nil {
		setDefault(&s.JournalBytes, 16<<20)
	} else if s.Postgres.Node == "" {
		s.Postgres.Node, _ = os.Hostname() // an empty name is only less helpful
	}
}

func (s State) validate(m *problems) {
	m.bad(!exactlyOne(s.Path != "", s.Postgres != nil), "state: must set exactly one of path, postgres")
	s.Key.validate(m)
	s.Postgres.validate(m)
	m.bad(s.Postgres != nil && s.JournalBytes != nil, "state.journal_bytes: must not be set with state.postgres, which needs no journal")
	if size := s.JournalBytes; size != nil {
		m.bad(*size < minJournal || *size > maxJournal || *size%journalStep != 0,
			"state.journal_bytes: must be %d to %d, in steps of %d", minJournal, maxJournal, journalStep)
	}
}

func (p *Postgres) validate(m *problems) {
	if p == nil {
		return
	}
	m.bad(!exactlyOne(p.URLFile != "", p.URLEnv != ""), "state.postgres: must set exactly one of url_file, url_env")
	m.bad(strings.Contains(p.URLFile, "://"), "state.postgres.url_file: must be the path of a file with the URL, because a URL has a password")
	m.bad(p.URLEnv != "" && !variableName.MatchString(p.URLEnv), "state.postgres.url_env: must be the name of an environment variable, not the URL")
	m.bad(p.Cache == "", "state.postgres.cache: must be set")
	m.bad(p.Node != "" && !nodeName.MatchString(p.Node), "state.postgres.node: must be up to 64 letters, digits, dots, hyphens and underscores")
}

// nodeName matches every name of a host, and variableName those of environment variables.
var (
	nodeName     = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)
	variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

func (r Reads) validate(m *problems, s State) {
	m.bad(r.Staleness < 0 || time.Duration(r.Staleness) > maxStaleness, "reads.staleness: must be 0s to 60s")
	m.bad(r.Staleness > 0 && s.Postgres == nil, "reads.staleness: needs state.postgres; with a state file, each request sees all changes")
}

// maxStaleness bounds the time that a revocation can wait for another node.
const maxStaleness = time.Minute

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
