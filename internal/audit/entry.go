package audit

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/strongroom/strongroom/internal/secret"
)

// Actions that are not a caller's on a secret. Package admin defines the actions of
// administrators.
const (
	Beginning    secret.Action = "init"
	Authenticate secret.Action = "authenticate" // failed authentications, with their count
	Pruning      secret.Action = "audit prune"
	Mending      secret.Action = "audit mend"
)

// An Entry is an event in the audit log.
type Entry struct {
	Seq   uint64
	Event secret.Event
	Node  string // that wrote the entry, among several that share the state
	Count int    // number of coalesced events; this was the first
	// Names counts the coalesced events by secret, if they are about several.
	Names map[string]int
	MAC   MAC // covers the entry and all entries before it
}

// A line is the sealed form of an entry. Absent fields, such as the secret, are omitted.
// Earlier programs ignore fields that they do not know, so a new one needs no new format.
type line struct {
	Time         time.Time      `json:"time"`
	Subject      string         `json:"subject"`
	CredentialID string         `json:"key,omitempty"`
	From         string         `json:"from,omitempty"`
	Node         string         `json:"node,omitempty"`
	Request      string         `json:"request,omitempty"`
	Action       secret.Action  `json:"action"`
	Kind         string         `json:"kind,omitempty"`
	Owner        string         `json:"owner,omitempty"`
	Name         string         `json:"name,omitempty"`
	Names        map[string]int `json:"names,omitempty"`
	NewName      string         `json:"new_name,omitempty"`
	Covers       []string       `json:"covers,omitempty"`
	Outcome      secret.Outcome `json:"outcome"`
	Count        int            `json:"count,omitempty"`
}

// An exported line also has the sequence number and the MAC:
//
//	{"seq":4711,"time":"2026-11-21T12:00:00.000000005Z","subject":"alice","key":"k7q2","from":"127.0.0.1",
//	 "request":"Zx…","action":"reveal","kind":"user","owner":"alice","name":"GITHUB_TOKEN","outcome":"done",
//	 "allowed":true,"mac":"5f1c…"}
//
// Coalesced reads are one line with their count and the names of the secrets:
//
//	… "action":"list","kind":"user","owner":"alice","names":{"GITHUB_TOKEN":7,"NPM_TOKEN":1},"outcome":"done","count":8 …
type exported struct {
	Seq uint64 `json:"seq"`
	line
	Allowed bool `json:"allowed"`
	MAC     MAC  `json:"mac"`
}

// MarshalJSON implements [json.Marshaler]: it returns the line of an export. The field
// names are stable.
func (e Entry) MarshalJSON() ([]byte, error) {
	return json.Marshal(exported{e.Seq, lineOf(e), e.Event.Outcome != secret.Denied, e.MAC})
}

func lineOf(e Entry) line {
	ev := e.Event
	l := line{
		Time: ev.Time.UTC(), Subject: ev.Subject, CredentialID: ev.CredentialID, From: ev.From, Node: e.Node, Request: ev.Request,
		Action: ev.Action, Kind: ev.Ref.Owner.Kind, Owner: ev.Ref.Owner.ID, Name: ev.Ref.Name, Names: e.Names, NewName: ev.NewName, Outcome: ev.Outcome,
	}
	if ev.Covers != "" {
		l.Covers = strings.Split(ev.Covers, "\n")
	}
	if e.Count > 1 {
		l.Count = e.Count
	}
	return l
}

// encode returns the line in JSON. Every change and every value read has one, which
// encoding/json would take three times as long for. Names and Covers are rare.
func (l line) encode() ([]byte, error) {
	if l.Names != nil || l.Covers != nil {
		return json.Marshal(l)
	}
	b := l.Time.AppendFormat(append(make([]byte, 0, 320), `{"time":"`...), time.RFC3339Nano)
	b = append(b, '"')
	for _, field := range [...]struct{ name, value string }{
		{"subject", l.Subject},
		{"key", l.CredentialID},
		{"from", l.From},
		{"node", l.Node},
		{"request", l.Request},
		{"action", string(l.Action)},
		{"kind", l.Kind},
		{"owner", l.Owner},
		{"name", l.Name},
		{"new_name", l.NewName},
		{"outcome", string(l.Outcome)},
	} {
		if field.value == "" {
			continue
		}
		b = append(append(append(b, `,"`...), field.name...), `":`...)
		b, _ = jsontext.AppendQuote(b, field.value) // invalid UTF-8 becomes U+FFFD, as with encoding/json
	}
	if l.Count != 0 {
		b = strconv.AppendInt(append(b, `,"count":`...), int64(l.Count), 10)
	}
	return append(b, '}'), nil
}

func (l line) entry(at link) Entry {
	ref := secret.Ref{Owner: secret.Owner{Kind: l.Kind, ID: l.Owner}, Name: l.Name}
	return Entry{Seq: at.Seq, MAC: at.MAC, Count: max(l.Count, 1), Names: l.Names, Node: l.Node, Event: secret.Event{
		Time: l.Time, Subject: l.Subject, CredentialID: l.CredentialID, From: l.From, Request: l.Request,
		Action: l.Action, Ref: ref, NewName: l.NewName, Outcome: l.Outcome, Covers: strings.Join(l.Covers, "\n"),
	}}
}
