package main

import (
	"crypto/fips140"
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// Set at build time. The commit is set only if Go cannot record it, as in packages, which
// must not depend on the checkout.
var (
	version     = "unknown"
	builtCommit string
)

// A build identifies the program.
type build struct {
	Version string `json:"version"`
	Commit  string `json:"commit"` // empty if it was not built in a checkout
	Go      string `json:"go"`
	FIPS    bool   `json:"fips"` // whether only cryptography validated for FIPS 140-3 runs
}

func versionCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Long: `Print the version; with -o json also the commit, the version of Go that built the program, and whether it runs in
FIPS 140-3 mode (GODEBUG=fips140=on).`,
		Example: `  strongroom version
  strongroom version -o json`,
		Args: noArgs,
	}
	format := outputFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if *format != asJSON {
			_, err := fmt.Fprintln(c.OutOrStdout(), version)
			return err
		}
		return json.NewEncoder(c.OutOrStdout()).Encode(build{version, commit(), runtime.Version(), fips140.Enabled()})
	}
	return c
}

func commit() string {
	if builtCommit != "" {
		return builtCommit
	}
	info, _ := debug.ReadBuildInfo()
	if info == nil {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return ""
}
