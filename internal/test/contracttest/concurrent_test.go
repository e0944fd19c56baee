package contracttest

import (
	"fmt"
	"sync"
	"testing"
)

// Concurrent callers do not disturb each other. The server runs with the race detector.
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

// Of concurrent requests for the same name or the same condition, exactly one succeeds.
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

// oneOf sends many requests concurrently and returns the answer of the successful one.
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
