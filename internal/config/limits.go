package config

// Limits are rate limits. A request above a limit gets 429 before its body is read. A
// reload of the config resets the counts.
type Limits struct {
	// Requests of one credential. Default: no limit.
	Requests Rate `yaml:"requests"`
	// Denials of one credential, and requests for secrets that do not exist. Above the
	// limit all of its requests are refused until the rate allows another denial.
	// Default {per_second: 100, burst: 10000}.
	Denials *Rate `yaml:"denials"`
	// MemoryBytes bounds the memory of all request bodies and answers in flight. A caller
	// may use at most as much as it leaves free for others; above that it gets 503. The
	// process takes about 130 MiB more at its peak. At least 33554432; default 100663296.
	// A change needs a restart.
	MemoryBytes *int64 `yaml:"memory_bytes"`
	// Failures to authenticate from one address (IPv6: from one /64). Above the limit
	// all requests from it are refused until the rate allows another failure, so list
	// proxies in front in listen.proxies. Default {per_second: 100, burst: 10000}.
	Failures *Rate `yaml:"failures"`
}

// Rate is a token bucket: a long-term rate and a burst.
type Rate struct {
	// PerSecond is the long-term rate. It may be less than 1; 0 is no limit.
	PerSecond float64 `yaml:"per_second"`
	// Burst is the number allowed at once: at least 1.
	Burst int `yaml:"burst"`
}

func (l Limits) validate(m *problems) {
	l.Requests.validate(m, "limits.requests")
	if l.Denials != nil {
		l.Denials.validate(m, "limits.denials")
	}
	if l.Failures != nil {
		l.Failures.validate(m, "limits.failures")
	}
	m.bad(l.MemoryBytes != nil && *l.MemoryBytes < minMemory, "limits.memory_bytes: must be at least %d", minMemory)
}

func (r Rate) validate(m *problems, path string) {
	m.bad(!(r.PerSecond >= 0 && r.PerSecond <= maxPerSecond), "%s.per_second: must be 0 to %d", path, maxPerSecond)
	m.bad(r.PerSecond > 0 && r.Burst < 1, "%s.burst: must be at least 1", path)
	m.bad(r.PerSecond == 0 && r.Burst > 0, "%s.per_second: must be set: without it there is no limit", path)
	m.bad(r.Burst < 0, "%s.burst: must not be negative", path)
}

// minMemory is auth.MinBudget.
const minMemory = 32 << 20

// maxPerSecond is more than any server reaches. A larger rate was meant as no limit.
const maxPerSecond = 1_000_000
