// Package packages tests the systemd unit of configs/systemd and the packages that make
// packages builds. A real systemd runs them on a [machine]: a copy of this one that is
// thrown away.
package packages
