package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/protobuf/encoding/protowire"
)

// A grpcConn sends puts to etcd. Like http1, it implements only what it needs for that, one
// request at a time.
type grpcConn struct {
	net.Conn
	w      *bufio.Writer
	frames *http2.Framer // of w
	head   bytes.Buffer  // what fields encodes
	fields *hpack.Encoder
	stream uint32 // of the next request
	taken  uint32 // bytes of answers since the last update of the window
}

// window is the limit of unacknowledged bytes of answers, unless another one is set.
const window = 65535

func dialEtcd(address string) (wire, error) {
	nc, err := net.Dial("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("connecting to etcd: %w", err)
	}
	c := &grpcConn{Conn: nc, w: bufio.NewWriter(nc), stream: 1}
	c.frames = http2.NewFramer(c.w, bufio.NewReader(nc))
	c.frames.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	c.fields = hpack.NewEncoder(&c.head)
	_, err = c.w.WriteString(http2.ClientPreface)
	return c, errors.Join(err, c.frames.WriteSettings())
}

// exchange sends an encoded message, and returns when etcd has confirmed it.
func (c *grpcConn) exchange(message []byte) error {
	c.head.Reset()
	for _, field := range [][2]string{
		{":method", "POST"},
		{":scheme", "http"},
		{":path", "/etcdserverpb.KV/Put"},
		{":authority", "localhost"},
		{"content-type", "application/grpc"},
		{"te", "trailers"},
	} {
		if err := c.fields.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]}); err != nil {
			return err
		}
	}
	err := errors.Join(
		c.frames.WriteHeaders(http2.HeadersFrameParam{StreamID: c.stream, BlockFragment: c.head.Bytes(), EndHeaders: true}),
		c.frames.WriteData(c.stream, true, message),
		c.w.Flush())
	if err != nil {
		return fmt.Errorf("sending a put to etcd: %w", err)
	}
	for done := false; !done; {
		frame, err := c.frames.ReadFrame()
		if err == nil {
			done, err = c.take(frame)
		}
		if err != nil {
			return fmt.Errorf("reading etcd's answer: %w", err)
		}
	}
	c.stream += 2
	return nil
}

// take handles a frame, and reports whether it is the answer's last.
func (c *grpcConn) take(frame http2.Frame) (last bool, err error) {
	switch f := frame.(type) {
	case *http2.SettingsFrame:
		if !f.IsAck() {
			err = errors.Join(c.frames.WriteSettingsAck(), c.w.Flush())
		}
	case *http2.PingFrame:
		if !f.IsAck() {
			err = errors.Join(c.frames.WritePing(true, f.Data), c.w.Flush())
		}
	case *http2.DataFrame:
		if c.taken += f.Length; c.taken > window/2 {
			err = c.frames.WriteWindowUpdate(0, c.taken) // sent with the next request
			c.taken = 0
		}
	case *http2.MetaHeadersFrame:
		if last = f.StreamEnded(); last {
			err = statusOf(f)
		}
	case *http2.GoAwayFrame, *http2.RSTStreamFrame:
		err = fmt.Errorf("etcd ended the request: %v", f)
	}
	return last, err
}

func statusOf(trailers *http2.MetaHeadersFrame) error {
	status, message := "missing", ""
	for _, field := range trailers.Fields {
		switch field.Name {
		case "grpc-status":
			status = field.Value
		case "grpc-message":
			message = field.Value
		}
	}
	if status != "0" {
		return fmt.Errorf("the status of gRPC is %s: %s", status, message)
	}
	return nil
}

// etcdPuts returns puts of the data in the requests of dialect.puts.
func (d dialect) etcdPuts() (messages [][]byte) {
	for app := range d.apps {
		for n := range secretsPer {
			put := protowire.AppendTag(nil, 1, protowire.BytesType)
			put = protowire.AppendString(put, listPath(app)+"/"+secretName(n))
			put = protowire.AppendTag(put, 2, protowire.BytesType)
			put = protowire.AppendString(put, "{"+data()+"}")
			message := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(put))) // #nosec G115 -- a few hundred bytes
			messages = append(messages, append(message, put...))
		}
	}
	return shuffled(messages)
}
