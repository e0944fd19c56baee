// Bench compares the server with the least work that serves the same purpose, in
// one run on one machine. Without a cluster: a bare echo handler that answers the
// same bytes, one that also appends the bytes of the server's record to a file and
// flushes them, and the disk alone. With secrets in a real Kubernetes API server: the same
// changes sent directly, and by a bare echo handler. Only ratios within one run
// are comparable.
//
// Start reading at [measure]. Server, floors and client are separate processes, so
// that CPU time can be attributed. Bench runs itself again as a floor (floors.go).
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// options are the parsed flags.
type options struct {
	rounds  int
	slice   time.Duration
	conns   []int
	only    []string      // parts to run
	dir     string        // directory of all files, and so the measured disk
	binary  string        // the server's binary; built if empty
	profile string        // path for a CPU profile of the server; none if empty
	rival   string        // another server's binary to compare with; none if empty
	delay   time.Duration // of each flush
	apps    int           // number of apps whose secrets are requested
}

// parts are the values of --only.
var parts = []string{"get", "token", "list", "put", "create", "reveal", "idle", "kubernetes", "nodes"}

func main() {
	if len(os.Args) == 2 && os.Args[1] == floorCommand {
		exitOn(serveFloor(os.Stdin, os.Stdout))
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	opts, err := parse(os.Args[1:])
	exitOn(err)
	exitOn(run(ctx, opts))
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func parse(args []string) (options, error) {
	var opts options
	flags := flag.NewFlagSet("bench", flag.ExitOnError)
	flags.IntVar(&opts.rounds, "rounds", 5, "number of rounds; the median counts")
	flags.DurationVar(&opts.slice, "slice", 250*time.Millisecond, fmt.Sprintf("time of each turn; every contender has %d turns a round", turns))
	conns := flags.String("conns", "1,16,64", "comma-separated numbers of connections")
	only := flags.String("only", strings.Join(parts, ","), "comma-separated parts to measure")
	flags.StringVar(&opts.dir, "dir", ".run", "`directory` on the disk to measure")
	flags.StringVar(&opts.binary, "binary", "", "measure this server `binary` instead of building one")
	flags.StringVar(&opts.profile, "profile", "", "write a CPU profile of the server to this new `file`")
	flags.StringVar(&opts.rival, "against", "", "compare with this server `binary`, too")
	flags.DurationVar(&opts.delay, "flush-delay", 0, "add this to each fdatasync of the servers and floors, by strace")
	flags.IntVar(&opts.apps, "apps", 25, fmt.Sprintf("number of apps whose secrets are requested, at most %d", apps))
	_ = flags.Parse(args) // exits on an error
	for n := range strings.SplitSeq(*conns, ",") {
		count, err := strconv.Atoi(n)
		if err != nil || count < 1 {
			return opts, fmt.Errorf("--conns: %q is not a number of connections", n)
		}
		opts.conns = append(opts.conns, count)
	}
	slices.Sort(opts.conns) // contenders without connections run with the first
	for part := range strings.SplitSeq(*only, ",") {
		if !slices.Contains(parts, part) {
			return opts, fmt.Errorf("--only: %q is none of %s", part, strings.Join(parts, ", "))
		}
		opts.only = append(opts.only, part)
	}
	if opts.rounds < 1 || opts.slice <= 0 || opts.apps < 1 || opts.apps > apps {
		return opts, fmt.Errorf("--rounds and --slice must be greater than 0, and --apps from 1 to %d", apps)
	}
	return opts, nil
}

func run(ctx context.Context, opts options) error {
	if err := os.MkdirAll(opts.dir, 0o700); err != nil {
		return fmt.Errorf("making --dir: %w", err)
	}
	dir, err := os.MkdirTemp(opts.dir, "bench-")
	if err != nil {
		return fmt.Errorf("making a directory: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	results, err := measure(ctx, opts, dir)
	if err != nil {
		return err
	}
	if missed := report(os.Stdout, opts, results); missed > 0 {
		return fmt.Errorf("%d bars are missed: see MISS above", missed)
	}
	return nil
}
