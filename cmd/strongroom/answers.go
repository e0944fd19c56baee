package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"

	gen "github.com/strongroom/strongroom/gen/strongroom"
)

// An answered is any response of the generated client.
type answered interface {
	StatusCode() int
	GetBody() []byte
}

// refusal returns err, or the error that the answer reports.
func refusal(a answered, err error) error {
	if err != nil {
		return err
	}
	if a.StatusCode() < http.StatusMultipleChoices {
		return nil
	}
	var problem gen.Problem
	if json.Unmarshal(a.GetBody(), &problem) != nil || problem.Error == "" {
		return errors.New("the server refused the request: " + http.StatusText(a.StatusCode()))
	}
	return errors.New(problem.Error)
}

// printTable writes a header row and a row for each item, in aligned columns. The
// titles are separated by |. Without items it writes nothing.
func printTable[T any](a *adminClient, titles string, items []T, cells func(T) []string) error {
	return writeTable(a.out.OutOrStdout(), titles, items, cells)
}

func writeTable[T any](w io.Writer, titles string, items []T, cells func(T) []string) error {
	if len(items) == 0 {
		return nil
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if _, err := fmt.Fprintln(table, strings.ReplaceAll(titles, "|", "\t")); err != nil {
		return err
	}
	for _, item := range items {
		line := cells(item)
		for i, cell := range line {
			line[i] = legible(cell)
		}
		if _, err := fmt.Fprintln(table, strings.Join(line, "\t")); err != nil {
			return err
		}
	}
	return table.Flush()
}

// legible quotes a text that is unsafe for a terminal. Names and descriptions come from
// callers and must not fake another line or contain control sequences.
func legible(text string) string {
	if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsGraphic(r) || r == unicode.ReplacementChar }) {
		return strconv.QuoteToGraphic(text)
	}
	return text
}
