// Command gosec runs gosec's rules over the packages that its arguments name. Unlike gosec's own
// command it does not compile the clients of language models, which takes a quarter of an hour.
package main

import (
	"github.com/securego/gosec/v2/goanalysis"
	"golang.org/x/tools/go/analysis/singlechecker"
)

func main() { singlechecker.Main(goanalysis.Analyzer) }
