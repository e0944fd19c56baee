package kubernetes

import (
	"log/slog"

	"k8s.io/klog/v2"
)

// LogTo redirects client-go's log. By default it writes to standard error, and
// blocks until standard error is read.
func LogTo(log *slog.Logger) { klog.SetSlogLogger(log) }
