package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// tick is the unit of CPU time in /proc, the same on every Linux.
const tick = 10 * time.Millisecond

// cpuOf returns the CPU time that the process has used, 0 without /proc.
func cpuOf(p *process) time.Duration {
	if p == nil {
		return 0
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.pid))
	if err != nil {
		return 0
	}
	// After the name in brackets, which may contain any character, user and system time
	// are fields twelve and thirteen.
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * tick
}

// ownCPU returns the CPU time that this process has used.
func ownCPU() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// memory is the memory of a process in bytes.
type memory struct {
	resident  int64 // RSS
	anonymous int64 // part of it: neither the program nor mapped files
}

func memoryOf(p *process) (memory, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.pid))
	if err != nil {
		return memory{}, fmt.Errorf("measuring memory: %w", err)
	}
	return memory{kilobytes(string(text), "VmRSS:"), kilobytes(string(text), "RssAnon:")}, nil
}

func kilobytes(status, field string) int64 {
	_, rest, _ := strings.Cut(status, field)
	number, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	n, _ := strconv.ParseInt(number, 10, 64)
	return n << 10
}
