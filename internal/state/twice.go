//go:build twice

package state

// rehearse runs the jobs in a transaction that it rolls back. With the build tag twice, each
// closure therefore runs at least twice: see make twice.
func (f *File) rehearse(jobs []*job) {
	btx, err := f.db.Load().Begin(true)
	if err != nil {
		return
	}
	defer func() { _ = btx.Rollback() }()
	tx := &Tx{tx: btx, keys: f.keys, spent: f.reserve.spent}
	for _, j := range jobs {
		j.run(tx)
	}
}
