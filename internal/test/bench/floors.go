package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"go.etcd.io/bbolt"
)

// floorCommand is the argument that runs this program as a floor.
const floorCommand = "floor"

// A floorSpec is the input of a floor. A floor ends when its standard input ends,
// and so never outlives the bench.
type floorSpec struct {
	Get, List, Put, Create, Reveal answer
	Journal                        string          // file for appends; empty: no request appends
	Records                        records         // that requests append
	Delay                          time.Duration   // of each flush
	File                           string          // for commits; empty: the floor only answers
	Rows                           []row           // that each PUT commits
	Secrets                        int             // number of secrets in the file that are written
	Sharers                        int             // number of concurrent requests that share a commit
	Cluster                        *clusterSecrets // that a PUT changes too; may be nil
}

// batchDelay is about the duration of a commit; bbolt's default is 10 ms.
const batchDelay = 500 * time.Microsecond

// setBatch makes bbolt combine concurrent changes into one commit, at the latest
// when all sharers wait.
func setBatch(db *bbolt.DB, sharers int) { db.MaxBatchSize, db.MaxBatchDelay = sharers, batchDelay }

// startFloor starts a floor in a separate process.
func startFloor(ctx context.Context, spec floorSpec) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	command := slowed(spec.Delay, self, floorCommand)
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Stderr = os.Stderr
	input, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	output, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting a floor: %w", err)
	}
	p := &process{pid: cmd.Process.Pid, stop: func() error { return errors.Join(input.Close(), cmd.Wait()) }}
	if err := json.NewEncoder(input).Encode(spec); err != nil {
		return nil, errors.Join(fmt.Errorf("starting a floor: %w", err), p.stop())
	}
	address, err := bufio.NewReader(output).ReadString('\n')
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting a floor: %w", err), p.stop())
	}
	p.address = strings.TrimSpace(address)
	return p, nil
}

// serveFloor runs a floor: it prints its address and serves until input ends.
func serveFloor(input io.Reader, output io.Writer) error {
	var spec floorSpec
	decoder := json.NewDecoder(input)
	if err := decoder.Decode(&spec); err != nil {
		return fmt.Errorf("reading what to serve: %w", err)
	}
	e := echo.New()
	e.GET("/api/app/:app_id/secrets", answering(spec.List))
	e.GET("/api/app/:app_id/secrets/:secret_name", answering(spec.Get))
	put, create, reveal := answering(spec.Put), answering(spec.Create), answering(spec.Reveal)
	if spec.Journal != "" {
		a, err := newAppender(spec.Journal)
		if err != nil {
			return err
		}
		put, create = appending(a, spec.Records.Put, put), appending(a, spec.Records.Create, create)
		reveal = appending(a, spec.Records.Reveal, reveal)
	}
	if spec.Cluster != nil {
		p, err := newPatcher(*spec.Cluster)
		if err != nil {
			return err
		}
		put = patching(p, put)
	}
	if spec.File != "" {
		db, err := openFile(spec.File)
		if err != nil {
			return err
		}
		defer func() { _ = db.Close() }()
		setBatch(db, spec.Sharers)
		puts, err := newCommitter(db, spec.Rows, spec.Secrets)
		if err != nil {
			return err
		}
		puts.batch = spec.Sharers > 1
		put = committing(puts, put)
	}
	e.POST("/api/app/:app_id/secrets", create)
	e.PUT("/api/app/:app_id/secrets/:secret_name", put)
	e.GET("/api/app/:app_id/secrets/:secret_name/reveal", reveal)

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go func() { _ = http.Serve(listener, e) }() // ends with the process
	if _, err := fmt.Fprintln(output, listener.Addr()); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, input)
	return err
}

// answering sends the recorded answer of the server.
func answering(a answer) echo.HandlerFunc {
	contentType := a.Header.Get(echo.HeaderContentType)
	return func(c echo.Context) error {
		header := c.Response().Header()
		for name, values := range a.Header {
			header[name] = values
		}
		return c.Blob(http.StatusOK, contentType, a.Body)
	}
}

// appending also reads the body and appends a record of this size.
func appending(a *appender, size int, answer echo.HandlerFunc) echo.HandlerFunc {
	record := make([]byte, size)
	_, _ = rand.Read(record)
	return func(ctx echo.Context) error {
		if _, err := io.ReadAll(ctx.Request().Body); err != nil {
			return err
		}
		if err := a.append(record); err != nil {
			return err
		}
		return answer(ctx)
	}
}

// committing also reads the body and commits, as the server must.
func committing(c *committer, answer echo.HandlerFunc) echo.HandlerFunc {
	return func(ctx echo.Context) error {
		if _, err := io.ReadAll(ctx.Request().Body); err != nil {
			return err
		}
		if err := c.commit(); err != nil {
			return err
		}
		return answer(ctx)
	}
}

// patching also changes a secret in a cluster, as the server must.
func patching(p *patcher, answer echo.HandlerFunc) echo.HandlerFunc {
	return func(ctx echo.Context) error {
		if err := p.patch(); err != nil {
			return err
		}
		return answer(ctx)
	}
}
