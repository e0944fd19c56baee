package state

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/strongroom/strongroom/internal/state/change"
	"github.com/strongroom/strongroom/internal/state/journal"
)

// smallJournal is the size of a journal's files that [Open] makes, in bytes.
const smallJournal = 256 << 10

// openJournal opens the journal of the file, applies its change sets to the overlay and
// authenticates them.
func (f *File) openJournal(h header, unlock Unlock) error {
	var replayed []change.Record
	j, err := journal.Open(f.path, h.identity())
	if h.complete {
		j, err = f.beginJournal(j, h, f.options.JournalBytes, err)
	} else if err == nil {
		replayed, err = f.replay(j, h)
	}
	if j != nil {
		f.log = j
	}
	if err == nil {
		err = f.authenticate(h, replayed, unlock)
	}
	if err != nil {
		return f.explain(err)
	}
	f.beside = nil
	for _, file := range j.Files() {
		info, err := file.Stat()
		if err != nil {
			return err
		}
		f.beside = append(f.beside, info)
	}
	return nil
}

// beginJournal begins the journal of a complete file, and makes it if there is none of
// the right size. opened is the outcome of opening it, which returned j.
func (f *File) beginJournal(j *journal.Journal, h header, size int64, opened error) (*journal.Journal, error) {
	if errors.Is(opened, journal.ErrForeign) {
		return j, opened
	}
	if opened == nil {
		beyond, err := j.Beyond(h.applied.seq)
		switch {
		case err != nil:
			return j, err
		case beyond:
			return j, fmt.Errorf("%w: it has changes behind change %d, with which the state file is complete", journal.ErrGap, h.applied.seq)
		case size == 0 || size == j.Bytes():
			return j, j.Turn(h.applied.seq + 1)
		}
		if err := j.Close(); err != nil {
			return nil, err
		}
	}
	if size == 0 {
		size = smallJournal
	}
	err := journal.Create(f.path, h.identity(), size, h.applied.seq+1)
	if err == nil {
		j, err = journal.Open(f.path, h.identity())
	}
	if isNoRoom(err) {
		err = fmt.Errorf("%w: making a journal of two files of %d bytes: %w", ErrFull, size, err)
	}
	if err != nil {
		return nil, err
	}
	return j, j.Turn(h.applied.seq + 1)
}

// replay applies the change sets of the journal to the overlay. The next checkpoint moves
// them into bbolt, which takes longer; the file can be used before. It returns the records,
// which have not been authenticated.
func (f *File) replay(j *journal.Journal, h header) (records []change.Record, err error) {
	g := generation{db: f.gen.Load().db, live: overlay{}, at: h.applied, until: h.applied}
	err = j.Replay(h.applied.seq, func(r change.Record) error {
		set, err := change.Decode(r.Content)
		if err != nil {
			return fmt.Errorf("%w: record %d: %w", journal.ErrDamaged, r.Seq, err)
		}
		g.live.apply(set)
		g.at = position{r.Seq, r.Chain}
		records = append(records, r)
		return nil
	})
	if !j.Released() {
		// A crash interrupted a checkpoint: its file must be freed before the next one.
		g.frozen, g.live, g.until = g.live, overlay{}, g.at
	}
	f.gen.Store(&g)
	return records, err
}

// explain says what to do about a journal that does not fit.
func (f *File) explain(err error) error {
	files := fmt.Sprintf("%s and …1", journal.Paths(f.path)[0])
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("%w: the state file was not closed cleanly, so its last changes are in %s, which are missing: "+
			"put them back beside it, or restore a backup (%w)", ErrJournal, files, err)
	case errors.Is(err, journal.ErrForeign), errors.Is(err, journal.ErrGap):
		return fmt.Errorf("%w: %w: put the state file and %s of the same moment together; "+
			"if the state file is the right one and was closed cleanly, move the journal files away", ErrJournal, err, files)
	case errors.Is(err, journal.ErrDamaged):
		return damaged("%w: restore a backup", err)
	}
	return err
}

// authenticate gets the key of the chain from the keyring, and checks the chain of the
// replayed records. Until it succeeds, no other code has the file. Errors: a LockedError,
// ErrDamaged.
func (f *File) authenticate(h header, replayed []change.Record, unlock Unlock) error {
	wrapped, err := f.Keyring()
	if err != nil {
		return err
	}
	keys, err := unlock.call(f.id, wrapped)
	if err != nil {
		return err
	}
	chain := h.applied.chain
	for _, r := range replayed {
		if chain.Next(keys.MAC, r.Seq, r.Content) != r.Chain {
			return damaged("change %d in its journal does not belong behind the one before: restore a backup", r.Seq)
		}
		chain = r.Chain
	}
	f.chainKey, f.auth = keys.MAC, newAuthenticator(keys.MAC)
	return f.compare(h, keys.Signed, reaches(h, replayed))
}

// reaches reports whether the state file and the records have all changes up to the last
// one of which the state file has a part.
func reaches(h header, records []change.Record) bool {
	if h.mac == nil {
		return true
	}
	until := h.until()
	return until == h.applied || slices.ContainsFunc(records, func(r change.Record) bool {
		return until == position{r.Seq, r.Chain}
	})
}
