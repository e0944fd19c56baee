//go:build man

package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra/doc"
)

// Built with the tag man, the program writes its man pages into the directory
// in its first argument instead (make man). The tag keeps the generator out of the
// server. SOURCE_DATE_EPOCH sets the date of the pages.
func main() {
	root := rootCommand()
	root.DisableAutoGenTag = true
	header := &doc.GenManHeader{Section: "1", Source: "Strongroom " + version, Manual: "Strongroom"}
	if err := doc.GenManTree(root, header, os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "writing the man pages:", err)
		os.Exit(1)
	}
}
