package audit

import (
	"sync"
	"time"
)

// A routine calls a function periodically until it is stopped, and then once more.
type routine struct {
	once sync.Once
	stop chan struct{}
	done chan struct{}
}

func every(period time.Duration, fn func()) *routine {
	r := &routine{stop: make(chan struct{}), done: make(chan struct{})}
	go r.run(period, fn)
	return r
}

func (r *routine) run(period time.Duration, fn func()) {
	defer close(r.done)
	tick := time.NewTicker(period)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			fn()
		case <-r.stop:
			fn()
			return
		}
	}
}

func (r *routine) end() {
	r.once.Do(func() { close(r.stop) })
	<-r.done
}
