package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is set when the program is built.
var version = "unknown"

// A build says which program this is.
type build struct {
	Version string `json:"version"`
	Commit  string `json:"commit"` // empty if it was not built in a checkout
	Go      string `json:"go"`
}

func versionCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Long:  "Print the version; with -o json also the commit and the version of Go that built the program.",
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
		return json.NewEncoder(c.OutOrStdout()).Encode(build{version, commit(), runtime.Version()})
	}
	return c
}

func commit() string {
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
