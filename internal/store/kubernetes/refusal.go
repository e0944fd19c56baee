package kubernetes

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/strongroom/strongroom/internal/secret"
)

// A refusal is an error status of the API server, without its text, which can quote
// a whole Secret. Error returns a text for the log.
type refusal struct {
	method string
	code   int
	reason string // as in Invalid, one of a fixed list or empty
	named  bool   // the status names an object; that of a failed test does not
	causes []cause
	text   hint
}

// A cause is a field that the API server objects to.
type cause struct {
	Type  string `json:"reason"`
	Field string `json:"field"`
}

// A hint is the only information that is taken from an answer's text.
type hint int

const (
	noHint hint = iota
	webhookRefused
	quotaExceeded
)

// maxRefusal limits the bytes read of a refusal, which may quote an object.
const maxRefusal = 8 << 20

func refusalOf(req request, resp *http.Response) error {
	var status struct {
		Reason  string `json:"reason"`
		Message string `json:"message"`
		Details struct {
			Name   string  `json:"name"`
			Kind   string  `json:"kind"`
			Causes []cause `json:"causes"`
		} `json:"details"`
	}
	// An answer that is not a Status keeps its HTTP code only.
	_ = json.UnmarshalRead(io.LimitReader(resp.Body, maxRefusal), &status, lenient)
	r := &refusal{
		method: req.method, code: resp.StatusCode, reason: known(status.Reason),
		named: status.Details.Name != "" || status.Details.Kind != "", causes: status.Details.Causes,
	}
	switch {
	case strings.HasPrefix(status.Message, "admission webhook "):
		r.text = webhookRefused
	case strings.Contains(status.Message, "exceeded quota"):
		r.text = quotaExceeded
	}
	return r
}

// known returns the reason if the API defines it (metav1.StatusReason), and
// otherwise "": a webhook may answer with any text.
func known(reason string) string {
	switch reason {
	case "Unauthorized", "Forbidden", "NotFound", "AlreadyExists", "Conflict", "Gone", "Invalid", "ServerTimeout", "Timeout",
		"TooManyRequests", "BadRequest", "RequestEntityTooLarge", "InternalError", "Expired", "ServiceUnavailable":
		return reason
	}
	return ""
}

func (r *refusal) Error() string {
	text := strings.TrimSpace(fmt.Sprintf("the API server answered our %s with %d %s", r.method, r.code, r.reason))
	switch means := r.means(); {
	case r.text == webhookRefused:
		text += ": an admission webhook refused it"
	case means == errForbidden || means == errUnauthorized:
		text += ": " + means.Error()
	}
	return text
}

// The meanings of a refusal, besides the errors of package secret.
var (
	errUnauthorized = errors.New("the API server does not accept our credentials")
	errForbidden    = errors.New("we lack a right in the cluster, or an admission policy refused us")
	errConflict     = errors.New("the object has changed meanwhile")
	// errTest means that a test in the patch failed, or that a value to move is missing.
	errTest = errors.New("a test of the patch failed")
)

// Is lets errors.Is match a refusal with its meaning, for example secret.ErrExists.
func (r *refusal) Is(target error) bool { return r.means() == target }

func (r *refusal) means() error {
	switch {
	case r.text == webhookRefused:
		return nil
	case r.code == http.StatusUnauthorized:
		return errUnauthorized
	case r.code == http.StatusForbidden && r.text == quotaExceeded:
		return secret.ErrFull
	case r.code == http.StatusForbidden && r.has("NamespaceTerminating"):
		return secret.ErrUnavailable
	case r.code == http.StatusForbidden:
		return errForbidden
	case r.code == http.StatusNotFound && r.method == http.MethodPost: // the namespace
		return secret.ErrUnavailable
	case r.code == http.StatusNotFound:
		return secret.ErrNotFound
	case r.code == http.StatusConflict && r.reason == "AlreadyExists":
		return secret.ErrExists
	case r.code == http.StatusConflict && r.method != http.MethodGet:
		return errConflict
	case r.code == http.StatusUnprocessableEntity && r.reason == "Invalid" && !r.named && len(r.causes) == 0:
		return errTest
	case r.code == http.StatusTooManyRequests, r.code == http.StatusConflict, r.code == http.StatusGone, r.code >= http.StatusInternalServerError:
		return secret.ErrUnavailable
	}
	return nil
}

func (r *refusal) has(cause string) bool {
	for _, c := range r.causes {
		if c.Type == cause {
			return true
		}
	}
	return false
}

// As lets errors.As return an InvalidError if the API server objects to the caller's
// input.
func (r *refusal) As(target any) bool {
	invalid, ok := target.(**secret.InvalidError)
	if !ok {
		return false
	}
	if *invalid = r.invalid(); *invalid == nil {
		return false
	}
	return true
}

func (r *refusal) invalid() *secret.InvalidError {
	if r.code == http.StatusRequestEntityTooLarge {
		return &secret.InvalidError{Field: "data", Reason: "is larger than the cluster accepts"}
	}
	if r.code != http.StatusUnprocessableEntity || r.text == webhookRefused {
		return nil
	}
	for _, c := range r.causes {
		if i := c.invalid(); i != nil {
			return i
		}
	}
	return nil
}

// invalid returns nil if the caller's input cannot be the cause, for example for a
// patch that leaves no Secret.
func (c cause) invalid() *secret.InvalidError {
	field, key, _ := strings.Cut(strings.TrimSuffix(c.Field, "]"), "[")
	i := &secret.InvalidError{Field: "data", Reason: "is not accepted by the cluster"}
	if secret.CheckKey(key) == nil {
		i.DataKey = key
	}
	switch {
	case field == "data" && c.Type == "FieldValueTooLong":
		i.Reason = "must not have more than 1 MiB of values"
	case field == "data" && c.Type == "FieldValueForbidden":
		i.Reason = "is immutable in the cluster"
	case field == "data":
	case field == "metadata.annotations":
		i.Field, i.Reason = "description", "is longer than the cluster accepts"
	default:
		return nil
	}
	return i
}

// harmless returns the part of an error that cannot contain sent data: the whole
// text if no connection was made, and otherwise only the kind of error.
func harmless(err error) string {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Error()
	}
	if tls, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return tls.Error()
	}
	if strings.Contains(err.Error(), "getting credentials: ") {
		return err.Error() // from an exec plugin, before anything was sent
	}
	for next := errors.Unwrap(err); next != nil; next = errors.Unwrap(err) {
		err = next
	}
	return fmt.Sprintf("%T", err)
}
