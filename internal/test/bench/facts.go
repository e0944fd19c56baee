package main

import "fmt"

// facts prints where the time goes, in figures of this run.
func (p *printer) facts() {
	p.printf("\nWhere it goes\n")
	p.ownCPU("GET at 16 connections", p.contest("get", 16), theEcho)
	p.ownCPU("list at 16 connections", p.contest("list", 16), theEcho)
	p.ownCPU("PUT at 1 connection", p.contest("put", 1), theFloor)
	p.commit()
	if loaded := p.res.loaded; loaded.resident > 0 {
		p.printf("  After the last round the server holds %.1f MiB, %.1f of them its own and the rest the program and the state file.\n",
			mebibytes(loaded.resident), mebibytes(loaded.anonymous))
	}
}

// ownCPU compares the CPU time of a request in the server and in a floor.
func (p *printer) ownCPU(operation string, c map[string]*contender, floor string) {
	if c == nil {
		return
	}
	ours, theirs := medianOf(c[theServer].rounds, cpu), medianOf(c[floor].rounds, cpu)
	p.printf("  CPU for one %s: strongroom %s, %s %s, so %s are ours.\n", operation, micros(ours), floor, micros(theirs), micros(ours-theirs))
}

// commit prints the parts of a durable PUT. They are differences of medians, so on
// a busy machine one may be below zero.
func (p *printer) commit() {
	c := p.contest("put", 1)
	if c == nil {
		return
	}
	r := p.res.records
	p.printf("  Records in the journal, which the floor appends too: PUT %d bytes, POST %d, value read %d.\n", r.Put, r.Create, r.Reveal)
	at := func(name string) float64 { return medianOf(c[name].rounds, p50) }
	parts := []struct {
		what string
		time float64
	}{
		{"one fdatasync", at(theDisk)},
		{"HTTP", at(theFloor) - at(theDisk)},
		{"ours", at(theServer) - at(theFloor)},
	}
	line := fmt.Sprintf("  Of the %s of a PUT over one connection,", micros(at(theServer)))
	for i, part := range parts {
		if i > 0 {
			line += ","
		}
		line += fmt.Sprintf(" %s are %s", micros(part.time), part.what)
	}
	p.printf("%s.\n", line)
}
