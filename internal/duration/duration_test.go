package duration_test

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/duration"
)

func TestDurationsAreRead(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"90s": 90 * time.Second, "1h30m": 90 * time.Minute, "1.5h": 90 * time.Minute, "0": 0, "0s": 0, "100ms": 100 * time.Millisecond,
		"30d": 720 * time.Hour, "2w": 336 * time.Hour, "90d": 2160 * time.Hour, "1w1d1h": 193 * time.Hour, "1d12h": 36 * time.Hour,
		"0d": 0, "-1d": -24 * time.Hour, "-1d12h": -36 * time.Hour, "-5m": -5 * time.Minute, "106751d": 106751 * duration.Day,
		"2562047h47m16.854775807s": math.MaxInt64,
	} {
		if got, err := duration.Parse(text); err != nil || got != want {
			t.Errorf("%q: got %v, %v, want %v", text, got, err, want)
		}
	}
}

func TestWhatIsNoDurationIsRefused(t *testing.T) {
	for _, text := range []string{
		"", "30", "d", "w", "-", "1.5d", "1d1w", "1d1d", "d1", "30 d", "30d ", " 30d", "30D", "1h1d", "1d-1h", "1d+1h", "--1d", "-+1h", "+1d", "1y", "1d1",
		"106752d", "15251w", "106751d24h", "9223372036854775808d", "99999999999999999999w", "30d\n",
	} {
		if got, err := duration.Parse(text); !errors.Is(err, duration.ErrForm) {
			t.Errorf("%q: got %v, %v, want ErrForm", text, got, err)
		}
	}
}

func TestADurationIsWrittenAsItIsRead(t *testing.T) {
	for want, d := range map[string]time.Duration{
		"0s": 0, "1h30m": 90 * time.Minute, "1h": time.Hour, "1d": 24 * time.Hour, "30d": 720 * time.Hour,
		"2w": 14 * duration.Day, "36h": 36 * time.Hour, "1m30s": 90 * time.Second, "-1d": -duration.Day, "10m": 10 * time.Minute, "20s": 20 * time.Second,
	} {
		got := duration.Duration(d)
		if got.String() != want {
			t.Errorf("%v: got %s, want %s", d, got, want)
		}
		var back duration.Duration
		if err := back.Set(got.String()); err != nil || back != got {
			t.Errorf("%s is read as %v, %v", got, back, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{"30d", "2w", "1w3d4h5m6.7s", "-1d", "106751d23h47m16.854775807s"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := duration.Parse(text)
		if err != nil {
			return
		}
		if again, err := duration.Parse(duration.Duration(d).String()); err != nil || again != d {
			t.Errorf("%q is %v, written %s, and then %v, %v", text, d, duration.Duration(d), again, err)
		}
	})
}
