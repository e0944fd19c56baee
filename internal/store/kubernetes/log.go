package kubernetes

import (
	"log/slog"

	"k8s.io/klog/v2"
)

// LogTo has client-go log there. By itself it writes to standard error, and
// waits for the reader of that.
func LogTo(log *slog.Logger) { klog.SetSlogLogger(log) }
