// Package packages tests the systemd unit of configs/systemd and the packages that make
// packages builds. A real systemd runs them on a [machine], a disposable copy of this
// one.
package packages
