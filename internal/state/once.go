//go:build !twice

package state

func (f *File) rehearse([]*job) {}
