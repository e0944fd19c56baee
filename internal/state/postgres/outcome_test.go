package postgres_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/internal/state"
	"github.com/strongroom/strongroom/internal/state/postgres"
)

// answering opens a database whose function append gives these answers, one a call: errors
// by their SQLSTATE, and results.
func answering(t *testing.T, answers ...string) *postgres.DB {
	t.Helper()
	url := newState(t)
	cases := ""
	for i, answer := range answers {
		then := "return '" + answer + "'"
		if code, ok := strings.CutPrefix(answer, "error "); ok {
			then = "raise 'of a test' using errcode = '" + code + "'"
		}
		cases += fmt.Sprintf("if call = %d then %s; end if; ", i+1, then)
	}
	execute(t, url, `create sequence strongroom.calls; grant all on strongroom.calls to public;
		create or replace function strongroom.append(expected bigint, expected_chain bytea, new_batch uuid, new_chain bytea, new_body bytea)
		returns text language plpgsql as $$ declare call bigint := nextval('strongroom.calls'); begin `+cases+` raise 'one call too many'; end $$`)
	return open(t, url)
}

func TestErrorsOfTheServer(t *testing.T) {
	for _, tc := range []struct {
		answers string
		want    error
	}{
		{"error 40001", state.ErrConflict},
		{"error 40P01", state.ErrAway},
		{"error 53100", state.ErrFull},
		{"error 53300", state.ErrAway},
		{"error 23505", state.ErrAway},
		{"error 42501", state.ErrAway},
		{"error 22001", state.ErrAway},
		{"error 25006", state.ErrAway},
		{"error 55P03", state.ErrAway},
		// Whether these happened is unknown, so that they are repeated.
		{"error 40003,appended", nil},
		{"error 57P01,appended", nil},
		{"error 57014,conflict", state.ErrConflict},
		{"error 58030,diverged", state.ErrDiverged},
		{"error XX000,error 08006,appended", nil},
		// A refusal says nothing about the attempt before it.
		{"error XX000,error 53100,conflict", state.ErrConflict},
		{"error XX000,error 40001,error 42501,appended", nil},
		{"nonsense,appended", nil},
	} {
		t.Run(tc.answers, func(t *testing.T) {
			db := answering(t, strings.Split(tc.answers, ",")...)
			wantError(t, "the append", db.Append(t.Context(), after(first.At)), tc.want)
		})
	}
}

func TestUnknownOutcomesStayUnknown(t *testing.T) {
	t.Parallel()
	db := answering(t, "error XX000") // and each later call
	wantError(t, "the append", db.Append(t.Context(), after(first.At)), state.ErrUnknown)
}
