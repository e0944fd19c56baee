package admin

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/strongroom/strongroom/internal/keyring"
)

// A Finding is the result of one check of the doctor.
type Finding struct {
	About string
	OK    bool
	// Warning marks a finding that may be intended; OK is then true.
	Warning bool
	Text    string // the result, and for a problem what to do about it
}

func fine(about, format string, args ...any) Finding {
	return Finding{About: about, OK: true, Text: fmt.Sprintf(format, args...)}
}

func wrong(about, format string, args ...any) Finding {
	return Finding{About: about, Text: fmt.Sprintf(format, args...)}
}

// Warns reports whether the finding belongs in the log and the status.
func (f Finding) Warns() bool { return f.Warning || !f.OK }

// lowSpace is the free space in bytes below which the doctor reports a problem.
const lowSpace = 256 << 20

// networkFileSystems are file systems with unreliable locks and caches, by the magic
// numbers of statfs(2): NFS, SMB, CIFS, SMB2, FUSE and 9P.
var networkFileSystems = []int64{0x6969, 0x517b, 0xff534d42, 0xfe534d42, 0x65735546, 0x01021997}

// Examine runs all checks of the state file and its environment.
func (s *Service) Examine(ctx context.Context) ([]Finding, error) {
	findings := slices.Concat(s.examineFiles(), s.examineDisk(), s.examineClock(), s.ClockFindings(), s.examineKeyring(), s.KeyFindings(ctx), s.CompactionFindings())
	report, err := s.Audit.Verify(ctx)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		findings = append(findings, wrong("audit log", "%v. Keep the file unchanged for an investigation.", err))
	default:
		findings = append(findings, fine("audit log", "%d entries, and the chain is intact", report.Entries))
	}
	keys, err := s.examineKeys()
	if err != nil {
		return nil, err
	}
	findings = append(findings, keys...)
	others, err := s.examineOthers()
	if err != nil {
		return nil, err
	}
	findings = append(findings, others...)
	for _, name := range s.StoreNames() {
		more, err := s.examineStore(ctx, name)
		if err != nil {
			return nil, err
		}
		findings = append(findings, more...)
	}
	return findings, nil
}

func (s *Service) examineFiles() []Finding {
	findings := []Finding{examineMode(s.File.Path(), 0o077), examineMode(filepath.Dir(s.File.Path()), 0o007)}
	for _, path := range s.File.Journal() {
		findings = append(findings, examineMode(path, 0o077))
	}
	remedy := "Keep the file unchanged for an investigation."
	if s.File.IsCache() {
		remedy = "Stop the node and delete its cache: the next start fills it from the database."
	}
	if err := s.File.Verify(); err != nil {
		findings = append(findings, wrong(s.fileKind(), "%v. %s", err, remedy))
	} else {
		findings = append(findings, fine(s.fileKind(), "all rows are those that were written"))
	}
	if damage := s.File.Damage(); damage != "" {
		findings = append(findings, wrong(s.fileKind(), "%s. The rest is intact; take a backup.", damage))
	}
	return findings
}

// fileKind names the file of this process for people.
func (s *Service) fileKind() string {
	if s.File.IsCache() {
		return "cache"
	}
	return "state file"
}

func examineMode(path string, forbidden os.FileMode) Finding {
	info, err := os.Stat(path)
	if err != nil {
		return wrong("permissions", "%v", err)
	}
	if mode := info.Mode().Perm(); mode&forbidden != 0 {
		return wrong("permissions", "other users can access %s (mode %04o): run chmod go-rwx on it", path, mode)
	}
	return fine("permissions", "no other user can access %s", path)
}

func (s *Service) examineDisk() []Finding {
	var fs unix.Statfs_t
	dir := filepath.Dir(s.File.Path())
	if err := unix.Statfs(dir, &fs); err != nil {
		return []Finding{wrong("disk", "%v", err)}
	}
	free := int64(fs.Bavail) * fs.Bsize // #nosec G115 -- blocks of one file system, far under 2^63
	space := fine("disk", "%d MiB are free", free>>20)
	if free < lowSpace {
		space = wrong("disk", "only %d MiB are free: make room before writes are refused", free>>20)
	}
	kind := fine("file system", "it is local")
	if slices.Contains(networkFileSystems, int64(fs.Type)) {
		kind = wrong("file system", "locks and fsync may be unreliable on a network or user-space file system: move the %s to a local disk", s.fileKind())
	}
	return []Finding{space, kind}
}

// examineClock compares the clock with the last audit entry. It can be behind only if it
// was set back.
func (s *Service) examineClock() []Finding {
	last, err := s.Audit.Tail(1)
	if err != nil || len(last) == 0 {
		return nil // VerifyAudit reports problems of the log
	}
	if ahead := time.Until(last[0].Event.Time); ahead > time.Minute {
		return []Finding{wrong("clock", "it is %s behind the last entry of the audit log: set it right", ahead.Round(time.Second))}
	}
	if ahead := s.Keys.Ahead(); ahead > time.Minute {
		return []Finding{wrong("clock", "it was set back by %s: issued keys continue from the time before and expire that much earlier than shown",
			ahead.Round(time.Second))}
	}
	return []Finding{fine("clock", "it has not gone back since the last entry of the audit log")}
}

func (s *Service) examineKeyring() []Finding {
	k := s.KeyringNow()
	switch retired := len(k.IDs) - 1; {
	case k.Resealing:
		return []Finding{fine("keyring", "key %d seals; resealing records, %d rows so far", k.Primary, k.Resealed)}
	case retired > 0:
		return []Finding{fine("keyring", "key %d seals; %d retired: drop them with keyring prune", k.Primary, retired)}
	default:
		return []Finding{fine("keyring", "key %d seals; there are no retired keys", k.Primary)}
	}
}

// KeyFindings checks that the configured key opens the keyring, as
// the next start needs. The configured key may differ from
// the one that opened the keyring: see Rewrap.
func (s *Service) KeyFindings(ctx context.Context) []Finding {
	if err := keyring.Check(ctx, s.File, s.KeySource); err != nil {
		return []Finding{wrong("key", "the server will not start again with the configured key: %v", err)}
	}
	return []Finding{fine("key", "the configured key opens the keyring")}
}

func (s *Service) examineKeys() (findings []Finding, err error) {
	const about = "issued keys"
	n, problems, err := s.Keys.Verify()
	for _, problem := range problems {
		findings = append(findings, wrong(about, "%s. The key does not work: issue another.", problem))
	}
	if len(findings) == 0 {
		findings = append(findings, fine(about, "%d, all readable", n))
	}
	return findings, err
}

// examineOthers examines the rows that can be lost without harm.
func (s *Service) examineOthers() (findings []Finding, err error) {
	accesses, accessErr := s.LastAccess.Verify()
	for _, problem := range accesses {
		findings = append(findings, wrong("last access", "%s. The audit log still has it.", problem))
	}
	sessions, sessionErr := s.Sessions.Verify()
	for _, problem := range sessions {
		findings = append(findings, wrong("console sessions", "%s. Sign in again.", problem))
	}
	return findings, errors.Join(accessErr, sessionErr)
}

func (s *Service) examineStore(ctx context.Context, name string) ([]Finding, error) {
	about := "store " + name
	if elsewhere, ok := s.Elsewhere[name]; ok {
		if err := elsewhere.Check(ctx); err != nil {
			return []Finding{wrong(about, "%v", err)}, nil
		}
		return []Finding{fine(about, "it is available")}, nil
	}
	report, err := s.Stores[name].Verify(ctx)
	if err != nil {
		return nil, err
	}
	var findings []Finding
	for _, problem := range report.Problems {
		findings = append(findings, wrong(about, "%s. Restore it from a backup, or destroy it.", problem))
	}
	if len(findings) == 0 {
		findings = append(findings, fine(about, "%d secrets of %d owners, %d earlier versions, %d deleted: all readable",
			report.Secrets, report.Owners, report.Versions, report.Deleted))
	}
	return findings, nil
}
