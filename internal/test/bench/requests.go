package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
)

// The content of the measured server: 10,000 secrets, spread over apps.
const (
	apps       = 500
	secretsPer = 20
)

// A dialect builds requests.
type dialect struct {
	credential string // a header
	apps       int    // number of apps whose secrets are requested
}

func (d dialect) request(method, path, body string) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n%s\r\n", method, path, d.credential)
	if body != "" {
		fmt.Fprintf(&b, "Content-Type: application/json\r\nContent-Length: %d\r\n", len(body))
	}
	return []byte(b.String() + "\r\n" + body)
}

// All names have the same length, and so do the answers.
func listPath(app int) string {
	return fmt.Sprintf("/api/app/0f8fad5b-d9cb-469f-a165-%012x/secrets", app)
}

func secretName(n int) string { return fmt.Sprintf("database-%02d", n) }

// data returns the content of a secret: two data keys, 76 bytes of values.
func data() string {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	password := make([]byte, 64)
	for i := range password {
		password[i] = letters[rand.IntN(len(letters))]
	}
	return fmt.Sprintf(`"data":[{"key":"username","value":"service-user"},{"key":"password","value":"%s"}]`, password)
}

// creates returns the requests to create the secrets of this many apps.
func (d dialect) creates(apps int) (requests [][]byte) {
	for app := range apps {
		for n := range secretsPer {
			body := fmt.Sprintf(`{"secret_name":%q,%s}`, secretName(n), data())
			requests = append(requests, d.request("POST", listPath(app), body))
		}
	}
	return requests
}

// freshCreates returns a function that returns a request to create another secret each
// time, in apps that no other requests use.
func (d dialect) freshCreates() func() []byte {
	var last atomic.Int64
	return func() []byte {
		n := int(last.Add(1))
		body := fmt.Sprintf(`{"secret_name":"created-%08d",%s}`, n, data())
		return d.request("POST", listPath(apps+n%apps), body)
	}
}

func (d dialect) gets() (requests [][]byte) {
	for app := range d.apps {
		for n := range secretsPer {
			requests = append(requests, d.request("GET", listPath(app)+"/"+secretName(n), ""))
		}
	}
	return shuffled(requests)
}

func (d dialect) reveals() (requests [][]byte) {
	for app := range d.apps {
		for n := range secretsPer {
			requests = append(requests, d.request("GET", listPath(app)+"/"+secretName(n)+"/reveal", ""))
		}
	}
	return shuffled(requests)
}

func (d dialect) lists() (requests [][]byte) {
	for app := range d.apps {
		requests = append(requests, d.request("GET", listPath(app), ""))
	}
	return shuffled(requests)
}

func (d dialect) puts() (requests [][]byte) {
	for app := range d.apps {
		for n := range secretsPer {
			requests = append(requests, d.request("PUT", listPath(app)+"/"+secretName(n), "{"+data()+"}"))
		}
	}
	return shuffled(requests)
}

func shuffled(list [][]byte) [][]byte {
	rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}
