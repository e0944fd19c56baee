// Compose prints the values that the .env parser of Docker Compose reads from each case, as a JSON
// list, with null for a case that it refuses.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/compose-spec/compose-go/v2/dotenv"
)

func main() {
	var cases []string
	text, err := os.ReadFile(os.Args[1])
	if err == nil {
		err = json.Unmarshal(text, &cases)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	all := []map[string]string{}
	for _, text := range cases {
		values, err := dotenv.Parse(strings.NewReader(text))
		if err != nil {
			values = nil
		}
		all = append(all, values)
	}
	_ = json.NewEncoder(os.Stdout).Encode(all)
}
