package state

import (
	"errors"
	"fmt"
	"os"

	"github.com/strongroom/strongroom/internal/state/change"
	"github.com/strongroom/strongroom/internal/state/journal"
)

// smallJournal is the size of a journal's files that [Open] makes, in bytes.
const smallJournal = 256 << 10

// openJournal opens the journal of the file, and applies its change sets to the overlay.
func (f *File) openJournal(h header, size int64) (err error) {
	f.log, err = journal.Open(f.path, h.identity())
	if h.complete {
		err = f.beginJournal(h, size, err)
	} else if err == nil {
		err = f.replay(h)
	}
	if err != nil {
		return f.explain(err)
	}
	f.beside = nil
	for _, file := range f.log.Files() {
		info, err := file.Stat()
		if err != nil {
			return err
		}
		f.beside = append(f.beside, info)
	}
	return nil
}

// beginJournal begins the journal of a complete file, and makes it if there is none of
// the right size. opened is the outcome of opening it.
func (f *File) beginJournal(h header, size int64, opened error) error {
	if errors.Is(opened, journal.ErrForeign) {
		return opened
	}
	if opened == nil {
		beyond, err := f.log.Beyond(h.applied.seq)
		switch {
		case err != nil:
			return err
		case beyond:
			return fmt.Errorf("%w: it has changes behind change %d, with which the state file is complete", journal.ErrGap, h.applied.seq)
		case size == 0 || size == f.log.Bytes():
			return f.log.Turn(h.applied.seq + 1)
		}
		if err := f.log.Close(); err != nil {
			return err
		}
	}
	if size == 0 {
		size = smallJournal
	}
	err := journal.Create(f.path, h.identity(), size, h.applied.seq+1)
	if err == nil {
		f.log, err = journal.Open(f.path, h.identity())
	}
	if isNoRoom(err) {
		err = fmt.Errorf("%w: making a journal of two files of %d bytes: %w", ErrFull, size, err)
	}
	if err != nil {
		return err
	}
	return f.log.Turn(h.applied.seq + 1)
}

// replay applies the change sets of the journal to the overlay. The next checkpoint moves
// them into bbolt, which takes longer; the file can be used before.
func (f *File) replay(h header) error {
	f.start = h.applied.chain
	g := generation{db: f.gen.Load().db, live: overlay{}, at: h.applied, until: h.applied}
	err := f.log.Replay(h.applied.seq, func(r journal.Record) error {
		set, err := change.Decode(r.Content)
		if err != nil {
			return fmt.Errorf("%w: record %d: %w", journal.ErrDamaged, r.Seq, err)
		}
		g.live.apply(set)
		g.at = position{r.Seq, r.Chain}
		f.replayed = append(f.replayed, r)
		return nil
	})
	if !f.log.Released() {
		// A crash interrupted a checkpoint: its file must be freed before the next one.
		g.frozen, g.live, g.until = g.live, overlay{}, g.at
	}
	f.gen.Store(&g)
	return err
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

// Authenticate sets the key of the chain over all change sets, and checks the chain of
// those that the journal had at the start. Call it before the first change. Without it
// the chain detects accidents only. Error: ErrDamaged.
func (f *File) Authenticate(key change.MACKey) error {
	for at, next := range f.replayed {
		before := f.start
		if at > 0 {
			before = f.replayed[at-1].Chain
		}
		if before.Next(key, next.Seq, next.Content) != next.Chain {
			return damaged("change %d in its journal does not belong behind the one before: restore a backup", next.Seq)
		}
	}
	f.chainKey, f.replayed = key, nil
	return nil
}
