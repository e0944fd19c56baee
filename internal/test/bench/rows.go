package main

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"os"
	"slices"
	"time"

	"go.etcd.io/bbolt"
)

// A row describes one write of a request to the state file, found by comparing the file
// before and after. The floors write similar rows.
type row struct {
	Bucket     string
	Kind       rowKind
	KeyBytes   int
	ValueBytes int
	Key        string // if every request changes this row
}

type rowKind string

const (
	changed  rowKind = "changed"  // an existing row gets another value
	moved    rowKind = "moved"    // a row is deleted, and one with the next key is added
	appended rowKind = "appended" // a row is added after the last one
)

func (r row) String() string {
	return fmt.Sprintf("%s %s: %d + %d bytes", r.Bucket, r.Kind, r.KeyBytes, r.ValueBytes)
}

// bytesOf returns the number of bytes of keys and values in the rows.
func bytesOf(rows []row) (sum int) {
	for _, r := range rows {
		sum += r.KeyBytes + r.ValueBytes
	}
	return sum
}

// openFile opens a bbolt file as the server does.
func openFile(path string) (*bbolt.DB, error) {
	return bbolt.Open(path, 0o600, &bbolt.Options{
		Timeout: time.Second, FreelistType: bbolt.FreelistMapType, InitialMmapSize: 256 << 20,
	})
}

// A snapshot is the content of a bbolt file by bucket and key.
type snapshot map[string]map[string]string

func snapshotOf(path string) (snapshot, error) {
	db, err := openFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the state file: %w", err)
	}
	s := snapshot{}
	err = db.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
			rows := map[string]string{}
			s[string(name)] = rows
			return b.ForEach(func(k, v []byte) error {
				rows[string(k)] = string(v)
				return nil
			})
		})
	})
	return s, errors.Join(err, db.Close())
}

// periodic are the buckets that the server writes once a minute and when it stops, not
// for each request.
var periodic = []string{"delivered", "issued"}

// rowsBetween returns the rows that a single request wrote between two snapshots.
func rowsBetween(before, after snapshot) (rows []row) {
	for bucket, now := range after {
		if slices.Contains(periodic, bucket) {
			continue
		}
		gone := 0
		for key := range before[bucket] {
			if _, there := now[key]; !there {
				gone++
			}
		}
		for key, value := range now {
			r := row{bucket, appended, len(key), len(value), key}
			switch old, there := before[bucket][key]; {
			case there && old == value:
				continue
			case there:
				r.Kind = changed
			case gone > 0:
				r.Kind = moved
				gone--
			}
			rows = append(rows, r)
		}
	}
	slices.SortFunc(rows, func(a, b row) int { return bytes.Compare([]byte(a.Bucket), []byte(b.Bucket)) })
	return rows
}

// generalize clears the keys of rows that belong to one secret, and keeps those that
// every request changes.
func generalize(rows, others []row) []row {
	for i, r := range rows {
		if r.Kind != changed || !slices.ContainsFunc(others, func(o row) bool { return o.Bucket == r.Bucket && o.Key == r.Key }) {
			rows[i].Key = ""
		}
	}
	return rows
}

// A committer commits the rows of one request at a time to a copy of the state
// file, so that trees and pages are as large as the server's.
type committer struct {
	db    *bbolt.DB
	batch bool // share commits
	rows  []row
	keys  [][][]byte // by row: the keys that may be changed or moved, by secret
	value []byte     // long enough for any row; its content does not matter
}

// newCommitter returns a committer that writes to this many secrets of the file.
func newCommitter(db *bbolt.DB, rows []row, secrets int) (*committer, error) {
	c := &committer{db: db, rows: rows, keys: make([][][]byte, len(rows)), value: make([]byte, bytesOf(rows))}
	_, _ = rand.Read(c.value)
	err := db.View(func(tx *bbolt.Tx) error {
		for i, r := range rows {
			c.keys[i] = spread(keysLike(r, tx.Bucket([]byte(r.Bucket))), secrets)
		}
		return nil
	})
	return c, err
}

func keysLike(r row, b *bbolt.Bucket) (keys [][]byte) {
	switch {
	case r.Kind == appended:
		return nil
	case r.Key != "":
		return [][]byte{[]byte(r.Key)}
	}
	cursor := b.Cursor()
	for key, _ := cursor.First(); key != nil; key, _ = cursor.Next() {
		if len(key) == r.KeyBytes && (r.Kind != moved || b.Get(next(key)) == nil) { // the newest of several versions
			keys = append(keys, bytes.Clone(key))
		}
	}
	return keys
}

// spread returns count keys at equal distances. Keys of the same index in several
// lists are at similar positions in their buckets, like the rows of one secret,
// which share a prefix.
func spread(keys [][]byte, count int) [][]byte {
	if len(keys) <= count {
		return keys
	}
	some := make([][]byte, count)
	for i := range some {
		some[i] = keys[i*len(keys)/count]
	}
	return some
}

// commit runs one transaction, or joins a shared one.
func (c *committer) commit() error {
	commit := c.db.Update
	if c.batch {
		commit = c.db.Batch
	}
	secret := mathrand.Int()
	return commit(func(tx *bbolt.Tx) error {
		for i, r := range c.rows {
			if err := c.put(tx.Bucket([]byte(r.Bucket)), r, c.keys[i], secret); err != nil {
				return err
			}
		}
		return nil
	})
}

func (c *committer) put(b *bbolt.Bucket, r row, keys [][]byte, secret int) error {
	value := c.value[:r.ValueBytes]
	switch r.Kind {
	case changed:
		return b.Put(keys[secret%len(keys)], value)
	case moved:
		at := secret % len(keys)
		old := keys[at]
		keys[at] = next(old)
		return errors.Join(b.Delete(old), b.Put(keys[at], value))
	default:
		return b.Put(next(lastAppended(b)), value)
	}
}

// lastAppended returns the last key that another can follow. The audit log's head
// always stays the very last key.
func lastAppended(b *bbolt.Bucket) []byte {
	c := b.Cursor()
	key, _ := c.Last()
	for bytes.Compare(next(key), key) < 0 {
		key, _ = c.Prev()
	}
	return key
}

// next returns the key with its last eight bytes incremented.
func next(key []byte) []byte {
	head := len(key) - 8
	return binary.BigEndian.AppendUint64(bytes.Clone(key[:head]), binary.BigEndian.Uint64(key[head:])+1)
}

func copyFile(from, to string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = source.Close() }()
	target, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	return errors.Join(err, target.Sync(), target.Close())
}
