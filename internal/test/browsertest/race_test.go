//go:build race

package browsertest

// withRace builds the programs with the race detector if the tests have it.
const withRace = true
