//go:build twice

package state

// rehearse runs the jobs in a transaction that it drops. With the build tag twice, each
// closure therefore runs at least twice: see make twice.
func (f *File) rehearse(jobs []*job) {
	g, bolt, err := f.begin()
	if err != nil {
		return
	}
	defer func() { _ = bolt.Rollback() }()
	tx := f.newTx(g, bolt)
	for _, j := range jobs {
		j.run(tx)
	}
}
