package main

import (
	"encoding/json"
	"errors"
	"net/http"

	gen "github.com/strongroom/strongroom/gen/strongroom"
)

// An answered is any response of the generated client.
type answered interface {
	StatusCode() int
	GetBody() []byte
}

// refusal returns err, or what the answer says went wrong unless it is one of
// success.
func refusal(a answered, err error) error {
	if err != nil {
		return err
	}
	if a.StatusCode() < http.StatusMultipleChoices {
		return nil
	}
	var problem gen.Problem
	if json.Unmarshal(a.GetBody(), &problem) != nil || problem.Error == "" {
		return errors.New("the server has refused: " + http.StatusText(a.StatusCode()))
	}
	return errors.New(problem.Error)
}
