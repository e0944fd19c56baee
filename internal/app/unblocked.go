package app

import (
	"context"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/strongroom/strongroom/internal/config"
	"github.com/strongroom/strongroom/internal/logging"
	"github.com/strongroom/strongroom/internal/store/kubernetes"
)

// serverLog returns a log that a slow or closed reader cannot block. A write to a closed
// pipe does not end the process (SIGPIPE). Libraries with their own logging use it too.
// Close the queue at the end to flush it.
func serverLog(w io.Writer, c config.Log) (*slog.Logger, *logging.Queue) {
	signal.Ignore(syscall.SIGPIPE)
	q := logging.NewQueue(w, func(w io.Writer) slog.Handler { return handler(w, c.Format, slog.LevelInfo) })
	level := map[string]slog.Level{"warn": slog.LevelWarn, "error": slog.LevelError}[c.Level]
	log := slog.New(handler(q, c.Format, level))
	slog.SetDefault(log)
	kubernetes.LogTo(log)
	return log, q
}

func handler(w io.Writer, format string, level slog.Level) slog.Handler {
	options := &slog.HandlerOptions{Level: level}
	if format == "json" {
		return slog.NewJSONHandler(w, options)
	}
	return slog.NewTextHandler(w, options)
}

// closeWithin limits the time for closing after requests have drained. Closing takes
// milliseconds unless a disk does not respond.
const closeWithin = 5 * time.Second

// boundShutdown ends the process with exit code 1 if it still runs this long after ctx is
// done. No acknowledged write is lost, because it is on disk already. Call done when the
// server has closed.
func boundShutdown(ctx context.Context, within time.Duration, log *slog.Logger, flush func()) (done func()) {
	ended := make(chan struct{})
	context.AfterFunc(ctx, func() {
		select {
		case <-ended:
		case <-time.After(within):
			log.Error("closing takes too long: ending without it")
			flush()
			os.Exit(1)
		}
	})
	return func() { close(ended) }
}
