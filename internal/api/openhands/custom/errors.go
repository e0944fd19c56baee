package custom

import (
	"errors"
	"net/http"

	"github.com/strongroom/strongroom/internal/api"
	"github.com/strongroom/strongroom/internal/fastapi"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/server"
)

// ErrNoValue means that the secret lacks the single value that custom secrets
// have. Other APIs can create such secrets.
var ErrNoValue = errors.New("secret has no value")

// Outside returns the error of a call that may create a secret. It replaces not found by
// forbidden, because not found makes no sense for a creation outside the caller's grants.
func Outside(err error) error {
	if errors.Is(err, secret.ErrNotFound) {
		return secret.ErrForbidden
	}
	return err
}

// An AboutError adds the names that some answers repeat.
type AboutError struct {
	error
	ID   string // of the secret in the path; empty: none
	Name string // that the request wants a secret to have
}

func (e *AboutError) Unwrap() error { return e.error }

// About adds the names to an error.
func About(err error, id, name string) error { return &AboutError{err, id, name} }

// Named returns the names that About added to the error; they are empty without it.
func Named(err error) (about AboutError) {
	if a, ok := errors.AsType[*AboutError](err); ok {
		about = *a
	}
	return about
}

// A Dialect has the texts in which the newer OpenHands APIs differ. All of them
// answer in this form:
//
//	{"detail":"Secret not found"}
type Dialect struct{ NoKey, BadKey string }

type problem struct {
	Detail string `json:"detail"`
}

// Answer turns errors into responses.
func (d Dialect) Answer(err error) server.Answer {
	p, about := api.Classify(err), Named(err)
	switch p.Kind {
	case api.Unprocessable, api.Invalid:
		if errors.Is(err, ErrRedacted) && len(secret.InvalidErrors(err)) == 1 {
			return Problem(http.StatusUnprocessableEntity, "Secret value must not be empty or redacted")
		}
		return Unprocessable(err)
	case api.NoCredential:
		p.Text = d.NoKey
	case api.BadCredential:
		p.Text = d.BadKey
	case api.NotFound:
		p.Text = missing(err, about.ID)
	case api.Exists:
		p.Status, p.Text = http.StatusBadRequest, "Secret "+about.Name+" already exists"
	}
	if errors.Is(err, ErrNoValue) {
		return Problem(http.StatusNotFound, "Secret has no value")
	}
	return p.Answer(problem{p.Text})
}

func missing(err error, id string) string {
	switch {
	case errors.Is(err, ErrNoProfile):
		return "Agent profile not found"
	case id != "":
		return "Secret with ID " + id + " not found"
	}
	return "Secret not found"
}

// Problem returns an answer with this error text.
func Problem(status int, text string) server.Answer {
	return server.Answer{Status: status, Body: problem{text}}
}

// Unprocessable returns the 422 for a [fastapi.ValidationError] or for one or more
// [secret.InvalidError], which it words like errors of pydantic's validators.
func Unprocessable(err error) server.Answer {
	all, ok := errors.AsType[*fastapi.ValidationError](err)
	if !ok {
		all = validation(secret.InvalidErrors(err))
	}
	return server.Answer{Status: http.StatusUnprocessableEntity, Body: all}
}

func validation(invalid []*secret.InvalidError) *fastapi.ValidationError {
	var all fastapi.ValidationError
	for _, e := range invalid {
		field := e.Field
		if field == "data" {
			field = ValueKey
		}
		all.Detail = append(all.Detail, fastapi.Detail{
			Type: "value_error", Loc: []any{"body", field}, Msg: "Value error, " + e.Reason,
		})
	}
	return &all
}
