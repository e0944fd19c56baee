package main_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// limitBelow returns settings with a connection limit below size, in the same
// proportion as the default of 2,048 to 2,200.
func limitBelow(size int) string {
	return fmt.Sprintf("drain: 10s\n  connections: %d", size*2048/2200)
}

var evictions = regexp.MustCompile(`msg="connection limit reached" .*closed_stalled=[1-9]`)

// Without a credential, each connection pipelines 400 requests and never reads.
func TestHostileClientsThatReadNoAnswerDoNotBlockClients(t *testing.T) {
	besideOthers(t, hostileEnv)
	size := hostileSize(t)
	for name, waves := range map[string]flood{
		"in one go":          {Size: size, Waves: 1},
		"in two waves":       {Size: size, Waves: 2, Pause: 6 * time.Second},
		"in a steady stream": {Size: 2 * size, Waves: 100, Pause: 100 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			besideOthers(t, hostileEnv)
			i := mustInit(t)
			i.mustEdit(t, "strongroom.yaml", "drain: 10s", limitBelow(size))
			p := mustStart(t, mustBuildFast(t), "serve", "--config", i.config(), "--listen", "127.0.0.1:0")
			good := mustKeepGoodClients(t, i, identity{}, p)
			waves.Kind, waves.Address = "unread", p.address
			good.mustWithstand(t, 3*time.Second, func() { mustFlood(t, waves) })
			if waves.Waves == 1 {
				p.mustSay(t, evictions)
			}
		})
	}
}

// mustKeepGoodClients returns goodClients with a secret to read.
func mustKeepGoodClients(t *testing.T, i install, id identity, p *process) *goodClients {
	t.Helper()
	good := newGoodClients(i, id, p)
	if err := good.ask(id.client(t, 0), "POST", app, `{"secret_name":"db","data":[{"key":"k","value":"v"}]}`); err != nil {
		t.Fatal(err)
	}
	return good
}

// unread pipelines requests without reading the answers.
func (f flood) unread(*tls.Config) error {
	requests := []byte(strings.Repeat("GET /openapi/nx1.json HTTP/1.1\r\nHost: x\r\n\r\n", 400))
	dialer := net.Dialer{Control: func(_, _ string, raw syscall.RawConn) (err error) {
		return errors.Join(raw.Control(func(fd uintptr) {
			err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 2<<10)
		}), err)
	}}
	return f.inWaves(func() error {
		conn, err := dialer.Dial("tcp", f.Address)
		if err != nil {
			return err
		}
		heldOpen.Store(conn, nil)
		_ = conn.SetWriteDeadline(time.Now().Add(patience))
		go func() { _, _ = conn.Write(requests) }()
		return nil
	})
}

// inWaves opens the flood's connections in groups.
func (f flood) inWaves(open func() error) error {
	const workers = 32
	waves := max(1, f.Waves)
	for range waves {
		var left atomic.Int64
		left.Store(int64(f.Size / waves))
		errs := make([]error, workers)
		atOnce(workers, func(worker int) {
			for left.Add(-1) >= 0 && errs[worker] == nil {
				errs[worker] = open()
			}
		})()
		if err := errors.Join(errs...); err != nil {
			return err
		}
		time.Sleep(f.Pause)
	}
	return nil
}

// Without a credential, each HTTP/2 connection opens as many streams as
// allowed, gives the server no window to send, and sends bodies.
func TestHostileHTTP2ClientsWithoutAWindowUseLittleMemory(t *testing.T) {
	besideOthers(t, hostileEnv)
	size := hostileSize(t)
	for name, connections := range map[string]int{"60 connections": 60, "many connections": size} {
		t.Run(name, func(t *testing.T) {
			besideOthers(t, hostileEnv)
			i, id := mustInit(t), newIdentity(t)
			id.mustWrite(t, i)
			i.mustEdit(t, "strongroom.yaml", "drain: 10s", limitBelow(max(size, 600))+"\n  tls: {certificate: tls.crt, key: tls.key}")
			p := mustStart(t, mustBuildFast(t), "serve", "--config", i.config(), "--listen", "127.0.0.1:0")
			good := mustKeepGoodClients(t, i, id, p)
			good.mustWithstand(t, 12*time.Second, func() {
				mustFlood(t, flood{Kind: "zero window", Address: p.address, Certificate: i.path("tls.crt"), Size: connections})
			})
		})
	}
}

func (f flood) zeroWindow(config *tls.Config) error {
	config.NextProtos = []string{"h2"}
	return f.inWaves(func() error {
		conn, err := net.Dial("tcp", f.Address)
		if err != nil {
			return err
		}
		secure := tls.Client(conn, config)
		heldOpen.Store(secure, nil)
		go stallStreams(secure)
		return nil
	})
}

// stallStreams keeps as many streams open as the server allows, until the
// server closes the connection. A quarter of the streams send bodies that use
// up the server's window.
func stallStreams(conn net.Conn) {
	_, _ = conn.Write([]byte(http2.ClientPreface))
	framer := http2.NewFramer(conn, conn)
	_ = framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	var next, allowed, window uint32 = 1, 0, 65_535
	begin := func() {
		paths := []string{"/openapi/nx1.json", app + "/db", "/api/secrets", app}
		path := paths[next/2%4]
		body := min(window, 512<<10)
		window -= body
		_ = framer.WriteHeaders(http2.HeadersFrameParam{
			StreamID: next, BlockFragment: headerBlock(path), EndHeaders: true, EndStream: body == 0,
		})
		for sent := uint32(0); sent < body; sent += 16 << 10 {
			_ = framer.WriteData(next, false, make([]byte, min(16<<10, body-sent)))
		}
		next += 2
	}
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			return
		}
		switch f := frame.(type) {
		case *http2.SettingsFrame:
			if f.IsAck() {
				continue
			}
			allowed, _ = f.Value(http2.SettingMaxConcurrentStreams)
			_ = framer.WriteSettingsAck()
		case *http2.WindowUpdateFrame: // the first one follows the settings
			if f.StreamID == 0 {
				window += f.Increment
			}
			for ; allowed > 0; allowed-- {
				begin()
			}
		case *http2.RSTStreamFrame:
			begin()
		}
	}
}

func headerBlock(path string) []byte {
	var block bytes.Buffer
	e := hpack.NewEncoder(&block)
	for _, f := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":path", path}, {":authority", "x"}} {
		_ = e.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
	}
	return block.Bytes()
}
