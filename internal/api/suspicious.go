package api

import (
	"net/http"

	"github.com/strongroom/strongroom/internal/secret"
)

// SuspiciousValues says what to do with a value that looks like a mistake (see
// [secret.Suspicions]) where one is written.
type SuspiciousValues string

// What to do with suspicious values.
const (
	// WarnOfSuspicious stores the value and says so in a header of the answer.
	WarnOfSuspicious SuspiciousValues = "warn"
	// RejectSuspicious refuses the request.
	RejectSuspicious SuspiciousValues = "reject"
	// AcceptSuspicious stores the value and says nothing.
	AcceptSuspicious SuspiciousValues = "accept"
)

// Warnings are what a client is to be told of what it has written.
type Warnings []*secret.InvalidError

// Check looks at the value of a field, and of a key if there are several. The
// error is an InvalidError.
func (s SuspiciousValues) Check(field, key string, v secret.Value) (Warnings, error) {
	if s == AcceptSuspicious {
		return nil, nil
	}
	var warnings Warnings
	for _, reason := range secret.Suspicions(v) {
		warnings = append(warnings, &secret.InvalidError{Field: field, Key: key, Reason: reason})
	}
	if s == RejectSuspicious && len(warnings) > 0 {
		return nil, warnings[0]
	}
	return warnings, nil
}

// Set puts the warnings into the header of an answer, one line each:
//
//	X-Strongroom-Warning: data[0].value: PASSWORD: ends with a newline
func (w Warnings) Set(h http.Header) {
	for _, warning := range w {
		h["X-Strongroom-Warning"] = append(h["X-Strongroom-Warning"], warning.Error())
	}
}
