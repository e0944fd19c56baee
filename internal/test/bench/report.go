package main

import (
	"cmp"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"time"
)

// report prints the measurements as tables, and returns the number of missed
// bars.
func report(w io.Writer, opts options, res *results) (missed int) {
	p := &printer{w: w, res: res}
	p.printf("%s, %s/%s, %d CPUs. Medians of %d rounds, in which each contender runs %d times for %s.\n",
		runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), opts.rounds, turns, opts.slice)
	p.printf("%s secrets; requests use %s of them. HTTP/1.1 over loopback, connections kept alive, one request at a time on each.\n",
		thousands(apps*secretsPer), thousands(float64(opts.apps*secretsPer)))
	p.table()
	p.bars()
	p.facts()
	return p.missed
}

type printer struct {
	w      io.Writer
	res    *results
	missed int
}

func (p *printer) printf(format string, args ...any) { _, _ = fmt.Fprintf(p.w, format, args...) }

// table has a line for each contender of each contest.
func (p *printer) table() {
	last := ""
	for _, r := range p.res.contests {
		if r.op.name != last {
			last = r.op.name
			p.printf("\n%-36s %10s %10s %10s %10s %8s   %s\n", last, "a second", "p50", "p99", "its CPU", "client", "strongroom's rate over it")
		}
		for i, c := range r.contenders {
			conns := ""
			if i == 0 {
				conns = fmt.Sprint(r.conns)
			}
			p.line(conns, c, r)
		}
	}
}

func (p *printer) line(conns string, c *contender, r *contest) {
	of := func(get func(figures) float64) float64 { return medianOf(c.rounds, get) }
	p.printf("  %4s  %-28s %10s %10s %10s", conns, c.name, thousands(of(rate)), micros(of(p50)), micros(of(p99)))
	if c.process == nil {
		p.printf("\n")
		return
	}
	p.printf(" %10s %7.0f%%", micros(of(cpu)), 100*of(share))
	if c.name != theServer {
		p.printf("   %s", overRounds(r.contenders[0], c, rate))
	}
	p.printf("\n")
}

func rate(f figures) float64  { return f.rate }
func p50(f figures) float64   { return float64(f.p50) }
func p99(f figures) float64   { return float64(f.p99) }
func cpu(f figures) float64   { return float64(f.cpu) }
func share(f figures) float64 { return f.client }

// A ratio is the median over rounds, with minimum and maximum.
type ratio struct{ median, least, most float64 }

func (r ratio) String() string { return fmt.Sprintf("%.2f (%.2f to %.2f)", r.median, r.least, r.most) }

// overRounds compares two contenders round by round.
func overRounds(a, b *contender, get func(figures) float64) ratio {
	var ratios []float64
	for i := range a.rounds {
		if get(b.rounds[i]) > 0 { // a disk can stall for a whole round
			ratios = append(ratios, get(a.rounds[i])/get(b.rounds[i]))
		}
	}
	if len(ratios) == 0 {
		return ratio{}
	}
	return ratio{median(ratios), slices.Min(ratios), slices.Max(ratios)}
}

func medianOf[T any](of []T, get func(T) float64) float64 {
	var values []float64
	for _, v := range of {
		values = append(values, get(v))
	}
	return median(values)
}

func median[T cmp.Ordered](values []T) T {
	slices.Sort(values)
	return values[len(values)/2]
}

// bars prints the ratios that the server has to reach.
func (p *printer) bars() {
	p.printf("\nBars\n")
	if c := p.contest("get", 16); c != nil {
		p.atLeast("GET at 16 connections: rate over echo's", overRounds(c[theServer], c[theEcho], rate), 0.75)
	}
	if c := p.contest("list", 16); c != nil {
		p.atLeast("list at 16 connections: rate over echo's", overRounds(c[theServer], c[theEcho], rate), 0.6)
	}
	if c := p.contest("token", 1); c != nil {
		p.atMost("GET by token at 1 connection: p50 over by key", overRounds(c[theServer], c[byKey], p50), 1.15)
	}
	p.changeBars()
	p.kubernetesBars()
	p.nodesBars()
	if starts := p.res.starts; len(starts) > 0 {
		p.below("idle memory (RSS)", medianOf(starts, func(s start) float64 { return mebibytes(s.idle.resident) }), 30, "MiB")
		p.below("ready, from exec to the first 200 of /readyz", medianOf(starts, func(s start) float64 { return millis(s.ready) }), 50, "ms")
	}
}

// changeBars prints the bars of requests that append to the journal.
func (p *printer) changeBars() {
	for _, bar := range []struct {
		part, what string
		most       float64
	}{{"put", "PUT", 1.6}, {"create", "POST", 1.6}, {"reveal", "values", 1.5}} {
		if c := p.contest(bar.part, 1); c != nil {
			p.atMost(bar.what+" at 1 connection: p50 over the floor's", overRounds(c[theServer], c[theFloor], p50), bar.most)
		}
	}
	if c := p.contest("put", 64); c != nil {
		p.atLeast("PUT at 64 connections: rate over the floor's", overRounds(c[theServer], c[theFloor], rate), 0.35)
	}
	p.etcdBars()
	for _, bar := range []struct {
		conns int
		least float64
	}{{1, 0.6}, {64, 0.5}} {
		if c, get := p.contest("reveal", bar.conns), p.contest("get", bar.conns); c != nil && get != nil {
			p.atLeast(fmt.Sprintf("values, written, at %d: rate over masked GET's", bar.conns), overRounds(c[theWritten], get[theServer], rate), bar.least)
		}
	}
}

// etcdBars compares a PUT with etcd's put of the same data, if etcd took part.
func (p *printer) etcdBars() {
	if c := p.contest("put", 1); c != nil && c[theEtcd] != nil {
		p.atMost("PUT at 1 connection: p50 over etcd's", overRounds(c[theServer], c[theEtcd], p50), 0.9)
	}
	if c := p.contest("put", 64); c != nil && c[theEtcd] != nil {
		p.atLeast("PUT at 64 connections: rate over etcd's", overRounds(c[theServer], c[theEtcd], rate), 1.1)
		p.atMost("PUT at 64 connections: p99 over etcd's", overRounds(c[theServer], c[theEtcd], p99), 1.5)
	}
}

// kubernetesBars prints the bars of a PUT into a cluster. It adds a commit of the
// audit log to the cluster's time. Many connections share a commit, one cannot.
func (p *printer) kubernetesBars() {
	one := p.contest("kubernetes", kubeConns[0])
	if one == nil {
		return
	}
	for _, conns := range kubeConns {
		c := p.contest("kubernetes", conns)
		sum := &contender{}
		for i, f := range c[thePatch].rounds {
			sum.rounds = append(sum.rounds, figures{p50: f.p50 + one[theRaw].rounds[i].p50})
		}
		p.atMost(fmt.Sprintf("cluster PUT at %d: p50 over patch + commit", conns), overRounds(c[theServer], sum, p50), 1.15)
		p.atMost(fmt.Sprintf("cluster PUT at %d: p50 over a commit, then the patch", conns), overRounds(c[theServer], c[theBoth], p50), 1.15)
		p.atMost(fmt.Sprintf("cluster PUT at %d: p50 over echo + bbolt + patch's", conns), overRounds(c[theServer], c[theHandler], p50), 1.15)
		if conns > 1 {
			p.atLeast(fmt.Sprintf("cluster PUT at %d: rate over the patch's", conns), overRounds(c[theServer], c[thePatch], rate), 0.8)
		}
	}
}

// contest returns the contenders of a contest by name, nil without such a contest.
func (p *printer) contest(part string, conns int) map[string]*contender {
	for _, r := range p.res.contests {
		if r.op.part == part && r.conns == conns {
			byName := map[string]*contender{}
			for _, c := range r.contenders {
				byName[c.name] = c
			}
			return byName
		}
	}
	return nil
}

func (p *printer) atLeast(what string, r ratio, want float64) {
	p.bar(what, r.String(), fmt.Sprintf("want ≥ %.4g", want), r.median >= want)
}

func (p *printer) atMost(what string, r ratio, want float64) {
	p.bar(what, r.String(), fmt.Sprintf("want ≤ %.4g", want), r.median <= want)
}

func (p *printer) below(what string, got, want float64, unit string) {
	p.bar(what, fmt.Sprintf("%.1f %s", got, unit), fmt.Sprintf("want < %.4g", want), got < want)
}

func (p *printer) bar(what, got, want string, ok bool) {
	verdict := "OK"
	if !ok {
		verdict = "MISS"
		p.missed++
	}
	p.printf("  %-54s %-24s %-12s  %s\n", what, got, want, verdict)
}

// thousands writes 12345 as 12,345.
func thousands(n float64) string {
	s := fmt.Sprintf("%.0f", n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func micros(ns float64) string { return fmt.Sprintf("%s µs", strings.TrimSpace(microDigits(ns))) }

func microDigits(ns float64) string {
	if us := ns / 1e3; us < 10 {
		return fmt.Sprintf("%.1f", us)
	}
	return thousands(ns / 1e3)
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
func mebibytes(bytes int64) float64  { return float64(bytes) / (1 << 20) }
