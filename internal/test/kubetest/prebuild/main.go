// Prebuild builds the API server of package kubetest once and shows the progress.
// A test that built it could exceed go test's limit of ten minutes.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/strongroom/strongroom/internal/test/kubetest"
)

func main() {
	if _, err := kubetest.Build(context.Background(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "prebuild:", err)
		os.Exit(1)
	}
}
