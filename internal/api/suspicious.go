package api

import (
	"fmt"
	"net/http"

	"github.com/strongroom/strongroom/internal/secret"
)

// SuspiciousValues decides how a write treats a value or name that looks like a
// mistake (see [secret.Suspicions]).
type SuspiciousValues string

// The settings for suspicious values.
const (
	// WarnOfSuspicious stores the value and adds a warning header to the answer.
	WarnOfSuspicious SuspiciousValues = "warn"
	// RejectSuspicious rejects the request.
	RejectSuspicious SuspiciousValues = "reject"
	// AcceptSuspicious stores the value without a warning.
	AcceptSuspicious SuspiciousValues = "accept"
)

// Warnings are the warnings about a write, for its client.
type Warnings []*secret.InvalidError

// Check checks the value of a field, and names the key if there are several. The error is
// an InvalidError.
func (s SuspiciousValues) Check(field, key string, v secret.Value) (Warnings, error) {
	return s.warnings(field, key, secret.Suspicions(v))
}

// CheckName checks the name of a secret in the given field. The error is an InvalidError.
func (s SuspiciousValues) CheckName(field, name string) (Warnings, error) {
	return s.warnings(field, "", secret.NameSuspicions(name))
}

func (s SuspiciousValues) warnings(field, key string, reasons []string) (Warnings, error) {
	if s == AcceptSuspicious {
		return nil, nil
	}
	var warnings Warnings
	for _, reason := range reasons {
		warnings = append(warnings, &secret.InvalidError{Field: field, DataKey: key, Reason: reason})
	}
	if s == RejectSuspicious && len(warnings) > 0 {
		return nil, warnings[0]
	}
	return warnings, nil
}

// maxWarnings limits the warnings in an answer. Python's http.client accepts a hundred
// header lines and Node's fetch 16 KiB; with more, they cannot read the answer.
const maxWarnings = 16

// Set puts the warnings into the header of an answer, one line each:
//
//	X-Strongroom-Warning: data[0].value: PASSWORD: ends with a newline: leave it out
//
// If there are too many, the last line counts the rest.
func (w Warnings) Set(h http.Header) {
	for i, warning := range w {
		text := warning.Error()
		if i == maxWarnings-1 && len(w) > maxWarnings {
			text = fmt.Sprintf("and %d more", len(w)-i)
		}
		if i < maxWarnings {
			h["X-Strongroom-Warning"] = append(h["X-Strongroom-Warning"], text)
		}
	}
}
