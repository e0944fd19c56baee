package auth

import (
	"sync"

	"github.com/strongroom/strongroom/internal/secret"
)

// MinBudget is the smallest budget in bytes. With it, a caller can still send the
// largest body while no other request is in progress.
const MinBudget = 32 << 20

// freeBytes is the memory that a request may hold without a reservation, so that
// ordinary requests never lock the budget. The limits of connections and streams
// bound their number.
const freeBytes = 4 << 10

// A Budget limits the bytes of all request bodies and answers in progress. A caller may
// hold at most as much as it leaves free (the dynamic threshold of Choudhury and Hahne,
// "Dynamic queue length thresholds for shared-memory packet switches", 1998): one caller
// gets at most half of the budget, and n greedy callers still leave one part in n+1 free.
// It is safe for concurrent use.
type Budget struct {
	total int64

	mu       sync.Mutex // guards the fields below
	used     int64
	refused  uint64
	byCaller map[credential]int64
}

// NewBudget returns a budget of this many bytes, at least MinBudget.
func NewBudget(bytes int64) *Budget {
	return &Budget{total: max(bytes, MinBudget), byCaller: map[credential]int64{}}
}

// Total returns the size of the budget in bytes.
func (b *Budget) Total() int64 { return b.total }

// Used returns the number of reserved bytes.
func (b *Budget) Used() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used
}

// Refused returns the number of refused reservations.
func (b *Budget) Refused() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.refused
}

// take reserves bytes for the caller, and reports whether the budget allows it.
func (b *Budget) take(holder credential, bytes int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.byCaller[holder]+bytes > b.total-b.used-bytes {
		b.refused++
		return false
	}
	b.used += bytes
	b.byCaller[holder] += bytes
	return true
}

func (b *Budget) give(holder credential, bytes int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= bytes
	if b.byCaller[holder] -= bytes; b.byCaller[holder] == 0 {
		delete(b.byCaller, holder)
	}
}

// An account is the reservation of one request. Without a budget (nil) it is
// unlimited. It is used by one goroutine at a time.
type account struct {
	budget *Budget
	who    credential
	asked  int64
	held   int64
}

var _ secret.Memory = (*account)(nil)

// Hold implements [secret.Memory].
func (a *account) Hold(bytes int) error {
	a.asked += int64(bytes)
	if a.budget == nil || a.asked <= freeBytes {
		return nil
	}
	// A request larger than the budget runs alone instead of never.
	want := min(a.asked, a.budget.total/2)
	if want > a.held && !a.budget.take(a.who, want-a.held) {
		a.asked -= int64(bytes)
		return secret.ErrBusy
	}
	a.held = max(a.held, want)
	return nil
}

// close releases the memory of the request.
func (a *account) close() {
	if a.held > 0 {
		a.budget.give(a.who, a.held)
		a.held = 0
	}
}
