package contracttest

import (
	"fmt"
	"sync"
	"testing"
)

// Many callers at a time do not get into each other's way; and the race detector, which is
// in the server, has something to look at.
func TestManyAtATime(t *testing.T) {
	s := serve(t)
	inBoth(t, func(t *testing.T, d dialect) {
		var crowd sync.WaitGroup
		for i := range 8 {
			crowd.Go(func() {
				c := s.caller(t, d.key, []string{admin, "clerk"}[i%2])
				mine := fmt.Sprint("MINE", i)
				for range 5 {
					c.post(d.create, d.draft(mine)).etag()
					c.get(d.create).wantsStatus(200)
					c.put(d.create+"/"+mine, d.draft(mine)).etag()
					c.delete(d.create + "/" + mine).wantsStatus(200)
				}
			})
		}
		crowd.Wait()
	})
}

// Of those who want the same name, or to be the first to change something, one has it.
func TestOneOfManyWins(t *testing.T) {
	s := serve(t)
	inBoth(t, func(t *testing.T, d dialect) {
		c := s.caller(t, d.key, admin)
		winner := oneOf(t, d.made, d.taken, func() answer { return c.post(d.create, d.draft("MINE")) })
		late := c.with("If-Match", winner.etag())
		oneOf(t, 200, 412, func() answer { return late.put(d.path, d.update) })
		oneOf(t, 200, 404, func() answer { return c.delete(d.path) })
	})
}

// oneOf lets many ask at a time and returns the answer of the one who wins.
func oneOf(t *testing.T, won, lost int, ask func() answer) (winner answer) {
	t.Helper()
	answers := make(chan answer, 8)
	for range cap(answers) {
		go func() { answers <- ask() }()
	}
	count := map[int]int{}
	for range cap(answers) {
		a := <-answers
		count[a.status]++
		if a.status == won {
			winner = a
		}
	}
	if count[won] != 1 || count[lost] != cap(answers)-1 {
		t.Fatalf("%v, want %d once and otherwise %d", count, won, lost)
	}
	return winner
}
