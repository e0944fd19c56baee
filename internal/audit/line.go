package audit

import (
	"time"

	"github.com/strongroom/strongroom/internal/secret"
)

// A line is an entry as it is kept and exported:
//
//	{"time":"2026-11-21T12:00:00.5Z","subject":"alice","key":"k7q2","from":"127.0.0.1","request":"Zx…",
//	 "action":"reveal","kind":"user","owner":"alice","name":"GITHUB_TOKEN","outcome":"done"}
type line struct {
	Time    time.Time      `json:"time"`
	Subject string         `json:"subject"`
	Key     string         `json:"key,omitempty"`
	From    string         `json:"from,omitempty"`
	Request string         `json:"request,omitempty"`
	Action  secret.Action  `json:"action"`
	Kind    string         `json:"kind"`
	Owner   string         `json:"owner"`
	Name    string         `json:"name,omitempty"`
	NewName string         `json:"new_name,omitempty"`
	Outcome secret.Outcome `json:"outcome"`
	Count   int            `json:"count,omitempty"`
}

func lineOf(e Entry) line {
	ev := e.Event
	l := line{
		Time: ev.Time, Subject: ev.Subject, Key: ev.Key, From: ev.From, Request: ev.Request,
		Action: ev.Action, Kind: ev.Ref.Owner.Kind, Owner: ev.Ref.Owner.ID, Name: ev.Ref.Name, NewName: ev.NewName, Outcome: ev.Outcome,
	}
	if e.Count > 1 {
		l.Count = e.Count
	}
	return l
}

func (l line) entry(seq uint64) Entry {
	ref := secret.Ref{Owner: secret.Owner{Kind: l.Kind, ID: l.Owner}, Name: l.Name}
	return Entry{Seq: seq, Count: max(l.Count, 1), Event: secret.Event{
		Time: l.Time, Subject: l.Subject, Key: l.Key, From: l.From, Request: l.Request,
		Action: l.Action, Ref: ref, NewName: l.NewName, Outcome: l.Outcome,
	}}
}
