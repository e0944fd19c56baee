// Package duration reads durations as people write them: those of Go, and days
// and weeks besides.
package duration

import (
	"errors"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// ErrForm means that a text is no duration, or too long a one.
var ErrForm = errors.New("must be a duration, as in 90s, 24h, 30d or 2w")

// A day always has 24 hours, even when daylight saving time begins or ends.
const (
	Day  = 24 * time.Hour
	Week = 7 * Day
)

// form is weeks, days, and what time.ParseDuration reads: 2w, 1w3d, 30d12h.
var form = regexp.MustCompile(`^(-?)(?:(\d+)w)?(?:(\d+)d)?(.*)$`)

// Parse reads a duration, as in 2w, 30d, 1d12h or 90m. Weeks come before days
// and days before everything else, and of both there are whole ones only. The
// error is ErrForm, which does not quote the text.
func Parse(text string) (time.Duration, error) {
	m := form.FindStringSubmatch(text)
	if m == nil {
		return 0, ErrForm
	}
	weeks, okWeeks := units(m[2], Week)
	days, okDays := units(m[3], Day)
	rest := m[4]
	if rest == "" && m[2]+m[3] != "" {
		rest = "0s"
	}
	short, err := time.ParseDuration(rest)
	signed := rest != "" && strings.ContainsRune("+-", rune(rest[0])) // a sign is for the whole
	if !okWeeks || !okDays || err != nil || signed && m[2]+m[3]+m[1] != "" {
		return 0, ErrForm
	}
	total := weeks + days
	if total < 0 || total > math.MaxInt64-max(short, 0) {
		return 0, ErrForm
	}
	total += short
	if m[1] != "" {
		total = -total
	}
	return total, nil
}

func units(digits string, unit time.Duration) (time.Duration, bool) {
	if digits == "" {
		return 0, true
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n > int64(math.MaxInt64/unit) {
		return 0, false
	}
	return time.Duration(n) * unit, true
}

// A Duration is one that is read by [Parse], from a YAML file or a flag.
type Duration time.Duration

// UnmarshalText implements [encoding.TextUnmarshaler].
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := Parse(string(text))
	if err == nil {
		*d = Duration(parsed)
	}
	return err
}

// Set implements the Value of a flag.
func (d *Duration) Set(text string) error { return d.UnmarshalText([]byte(text)) }

// Type implements the Value of a flag.
func (*Duration) Type() string { return "duration" }

// String is short: 2w, 30d, 24h, 1h30m.
func (d Duration) String() string {
	whole := time.Duration(d)
	switch {
	case whole != 0 && whole%Week == 0:
		return strconv.FormatInt(int64(whole/Week), 10) + "w"
	case whole != 0 && whole%Day == 0:
		return strconv.FormatInt(int64(whole/Day), 10) + "d"
	}
	text := whole.String()
	for _, none := range []struct{ long, short string }{{"m0s", "m"}, {"h0m", "h"}} {
		if begin, ok := strings.CutSuffix(text, none.long); ok {
			text = begin + none.short
		}
	}
	return text
}
