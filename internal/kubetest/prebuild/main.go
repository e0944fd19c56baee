// Prebuild builds the API server of package kubetest, once and with its progress
// shown, so that no test has to: go test ends one that takes ten minutes.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/strongroom/strongroom/internal/kubetest"
)

func main() {
	if _, err := kubetest.Build(context.Background(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "prebuild:", err)
		os.Exit(1)
	}
}
