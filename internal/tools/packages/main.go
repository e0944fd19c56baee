// Packages builds the packages of a release, for each architecture:
//
//	strongroom_VERSION_ARCH.deb, strongroom-VERSION-1.ARCH.rpm
//	strongroom-VERSION-linux-ARCH.tar.gz         the same files, for other systems
//	strongroom-VERSION-linux-ARCH.oci.tar        a container image (OCI image layout)
//	strongroom-VERSION-linux-ARCH.cdx.json       the modules in the program (CycloneDX)
//
// and SHA256SUMS of all these, signed if a key is given. The same source gives the same
// bytes in every directory: times come from -epoch, and nothing else depends on the
// machine, except the version of Go.
//
// Start reading at release.go.
package main

import (
	"flag"
	"fmt"
	"net/mail"
	"os"
	"strings"
	"time"
)

func main() {
	var r release
	flag.StringVar(&r.source, "source", ".", "the root of the repository")
	flag.StringVar(&r.out, "out", ".bin/packages", "the directory for the packages")
	flag.StringVar(&r.version, "version", "", "the version, as 1.2.3")
	flag.StringVar(&r.commit, "commit", "", "the commit that is built")
	flag.StringVar(&r.maintainer, "maintainer", "", "who publishes the packages, as Name <address>")
	flag.StringVar(&r.signKey, "sign", "", "a private SSH key, to sign SHA256SUMS with")
	architectures := flag.String("arch", "amd64,arm64", "architectures, as Go names them")
	epoch := flag.Int64("epoch", 0, "the time of all files, in seconds since 1970 (SOURCE_DATE_EPOCH)")
	flag.Parse()
	r.time = time.Unix(*epoch, 0).UTC()
	if _, err := mail.ParseAddress(r.maintainer); err != nil {
		fmt.Fprintf(os.Stderr, "packages: -maintainer must be Name <address>: %v\n", err)
		os.Exit(2)
	}
	if r.version == "" || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	if err := r.build(strings.Split(*architectures, ",")); err != nil {
		fmt.Fprintln(os.Stderr, "packages:", err)
		os.Exit(1)
	}
}
