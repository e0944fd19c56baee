// Package peers runs OpenHands' own servers beside ours and compares their answers. Its tests run
// with make peers only, which installs those servers from their package registry.
package peers
