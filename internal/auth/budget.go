package auth

import (
	"sync"

	"github.com/strongroom/strongroom/internal/secret"
)

// MinBudget is the smallest budget in bytes: with it, a caller can still send
// the largest body while nothing else is in flight.
const MinBudget = 32 << 20

// freeBytes is what a request may hold without asking the budget: ordinary
// requests never touch it. Connections and streams bound how many there are.
const freeBytes = 4 << 10

// A Budget bounds the bytes of all request bodies and answers in flight. A
// caller may hold no more than it leaves free for others (the dynamic threshold
// of Choudhury and Hahne, "Dynamic queue length thresholds for shared-memory
// packet switches", 1998): a single one gets half of the budget, and n greedy
// ones still leave one part in n+1 free. It is safe for concurrent use.
type Budget struct {
	total int64

	mu       sync.Mutex // guards the fields below
	used     int64
	byCaller map[credential]int64
}

// NewBudget returns a budget of so many bytes, at least MinBudget.
func NewBudget(bytes int64) *Budget {
	return &Budget{total: max(bytes, MinBudget), byCaller: map[credential]int64{}}
}

// Used returns how many bytes are held.
func (b *Budget) Used() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used
}

// take reports whether the caller may hold so many bytes more.
func (b *Budget) take(who credential, bytes int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.byCaller[who]+bytes > b.total-b.used-bytes {
		return false
	}
	b.used += bytes
	b.byCaller[who] += bytes
	return true
}

func (b *Budget) give(who credential, bytes int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= bytes
	if b.byCaller[who] -= bytes; b.byCaller[who] == 0 {
		delete(b.byCaller, who)
	}
}

// An account is what one request holds of a budget; without a budget (nil) it
// may hold anything. It is used by one goroutine at a time.
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
