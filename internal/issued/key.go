package issued

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/strongroom/strongroom/internal/auth/apikey"
	"github.com/strongroom/strongroom/internal/grant"
	"github.com/strongroom/strongroom/internal/secret"
)

// Limits of issued keys.
const (
	// MaxKeys limits the stored keys, including those that no longer work.
	MaxKeys = 100_000
	// manyKeys is the number of keys above which keys that no longer work are removed
	// early.
	manyKeys = MaxKeys / 2
	// MaxAgentLifetime limits the lifetime of an agent key.
	MaxAgentLifetime = 30 * 24 * time.Hour
	// MaxOverlap limits how long a rotated key works beside its replacement.
	MaxOverlap = 90 * 24 * time.Hour
	// Remembered is how long a key that no longer works is still listed.
	Remembered = 7 * 24 * time.Hour
	// rememberedOfMany replaces Remembered if there are more than manyKeys.
	rememberedOfMany = time.Hour

	maxTextBytes = 256
	maxGrants    = 100
)

// A Key is the stored form of an issued API key. It has a hash in place of the key.
type Key struct {
	// ID names the key in the audit log and in commands. It is part of the key but not
	// secret.
	ID string `json:"id"`
	// SHA256 is the hash of the whole key.
	SHA256 apikey.Hash `json:"sha256"`
	// Subject names the holder of the key in the audit log.
	Subject string `json:"subject"`
	// User is the user whose custom secrets the key can use.
	User string `json:"user,omitempty"`
	// Strategies are the strategies of the config that accept the key. If empty, all of
	// kind api_key do.
	Strategies []string `json:"strategies,omitempty"`
	// Grants are the permissions of the key.
	Grants []grant.Line `json:"grants"`
	// Created is the time of issue.
	Created time.Time `json:"created"`
	// Ends is when the key expires; zero: never.
	Ends time.Time `json:"ends,omitzero"`
	// Lifetime is the lifetime given at issue; 0: unlimited.
	Lifetime time.Duration `json:"lifetime,omitempty"`
	// Revoked is when the key was revoked; zero: it was not.
	Revoked time.Time `json:"revoked,omitzero"`
	// Replaces is the id of the key that this one replaced.
	Replaces string `json:"replaces,omitempty"`
	// Used is the last use, rounded to the hour.
	Used time.Time `json:"used,omitzero"`
	// Agent is set for agent keys.
	Agent *Agent `json:"agent,omitempty"`
}

// An Agent has the additional fields of an agent key, whose reads are counted.
type Agent struct {
	// Sandbox is the sandbox that the key was made for, if any.
	Sandbox string `json:"sandbox,omitempty"`
	// Profile is the agent profile that the key was made for, if any.
	Profile string `json:"profile,omitempty"`
	// WriteBack lets the key replace its values through the write-back operation of
	// agents, and no other one.
	WriteBack bool `json:"write_back,omitempty"`
	// Reads is the number of reads allowed; 0: unlimited.
	Reads int `json:"reads,omitempty"`
	// ReadCount is the number of reads so far.
	ReadCount int `json:"delivered,omitempty"`
	// Last is the time of the last read.
	Last time.Time `json:"last,omitzero"`
}

// over reports whether the key no longer works, and since when.
func (k *Key) over(now time.Time) (since time.Time, over bool) {
	switch {
	case !k.Revoked.IsZero():
		return k.Revoked, true
	case k.Agent != nil && k.Agent.Reads > 0 && k.Agent.ReadCount >= k.Agent.Reads:
		return k.Agent.Last, true
	case k.stopped(now):
		return k.Ends, true
	}
	return time.Time{}, false
}

// stopped reports whether the key was revoked or has expired.
func (k *Key) stopped(now time.Time) bool {
	return !k.Revoked.IsZero() || (!k.Ends.IsZero() && !now.Before(k.Ends))
}

// caller returns the caller that the key authenticates.
func (k *Key) caller(keys *Keys) secret.Caller {
	// The grants were validated at issue.
	grants, _ := grant.Parse(k.Grants, fmt.Sprintf("issued key %s, grants", k.ID), nil)
	c := secret.Caller{
		Subject: k.Subject, CredentialID: k.ID, User: k.User, Grants: grant.For(k.User, grants), Credential: credential{keys, k.ID},
	}
	if k.Agent != nil {
		c.Sandbox, c.Profile = k.Agent.Sandbox, k.Agent.Profile
		if k.Agent.WriteBack {
			c.WriteBack = writeBack(c.Grants)
		}
	}
	return c
}

// writeBack returns grants to write the secrets that the given grants name.
func writeBack(grants []secret.Grant) []secret.Grant {
	grants = slices.Clone(grants)
	for i := range grants {
		grants[i].Actions = []secret.Action{secret.Write}
	}
	return grants
}

// knownTo reports whether the key was issued for the strategy.
func (k *Key) knownTo(strategy string) bool {
	return len(k.Strategies) == 0 || slices.Contains(k.Strategies, strategy)
}

// kind returns the name of the kind of key in the audit log and in commands.
func (k *Key) kind() string {
	if k.Agent != nil {
		return kindAgent
	}
	return kindKey
}

const (
	kindKey   = "apikey"
	kindAgent = "agent-key"
)

// A Draft describes an API key to issue.
type Draft struct {
	Subject    string
	User       string // empty: apikey.DefaultUser
	Strategies []string
	Grants     []grant.Line
	Lifetime   time.Duration // 0: unlimited
}

func (d *Draft) key() (Key, error) {
	if d.User == "" {
		d.User = apikey.DefaultUser
	}
	err := firstOf(
		checkText("subject", d.Subject), checkText("user", d.User), checkStrategies(d.Strategies),
		invalid(d.User == secret.AnyID, "user", "must be one, not *"),
		invalid(d.Lifetime < 0, "lifetime", "must not be negative"),
		invalid(len(d.Grants) == 0, "grants", "must not be empty: a key without grants can do nothing"),
		invalid(len(d.Grants) > maxGrants, "grants", "must not have more than 100"),
		checkGrants(d.Grants),
	)
	return Key{Subject: d.Subject, User: d.User, Strategies: d.Strategies, Grants: d.Grants, Lifetime: d.Lifetime}, err
}

// An AgentDraft describes an agent key to issue. The key gives access to the names and
// values of some secrets of one owner, and to nothing else.
type AgentDraft struct {
	Owner      secret.Owner
	Names      []string
	Sandbox    string
	Profile    string // id of an agent profile, in any form of a UUID
	WriteBack  bool   // only for a user's secrets
	Reads      int
	Lifetime   time.Duration
	Subject    string // empty: named after the sandbox or the owner
	Strategies []string
}

func (d *AgentDraft) key() (Key, error) {
	switch {
	case d.Subject != "":
	case d.Sandbox != "":
		d.Subject = "sandbox " + d.Sandbox
	default:
		d.Subject = "agent of " + d.Owner.String()
	}
	line := grant.Line{Actions: []secret.Action{secret.List, secret.Reveal}, Owner: d.Owner.String(), Names: d.Names}
	k := Key{
		Subject: d.Subject, Strategies: d.Strategies, Grants: []grant.Line{line}, Lifetime: d.Lifetime,
		Agent: &Agent{Sandbox: d.Sandbox, WriteBack: d.WriteBack, Reads: d.Reads},
	}
	if d.Owner.Kind == secret.KindUser {
		k.User = d.Owner.ID
	}
	var profileErr error
	k.Agent.Profile, profileErr = parseProfile(d.Profile)
	err := firstOf(
		checkText("subject", d.Subject), checkStrategies(d.Strategies),
		invalid(len(d.Names) == 0, "names", "must name at least one secret"),
		invalid(len(d.Names) > maxGrants, "names", "must not be more than 100"),
		invalid(d.Owner.ID == secret.AnyID, "owner", "must be one, not *"),
		invalid(d.Reads < 0, "reads", "must not be negative"),
		invalid(d.Lifetime <= 0 || d.Lifetime > MaxAgentLifetime, "lifetime", "must be positive and at most 30 days"),
		checkSandbox(d.Sandbox),
		profileErr,
		invalid(d.Profile != "" && k.User == "", "profile", "is only for secrets of a user"),
		invalid(d.WriteBack && k.User == "", "write_back", "is only for secrets of a user"),
		checkNames(d.Names),
		checkGrants(k.Grants),
	)
	return k, err
}

func checkText(field, text string) error {
	return firstOf(
		invalid(text == "", field, "must not be empty"),
		invalid(len(text) > maxTextBytes, field, "must not be longer than 256 bytes"),
		invalid(!printable(text), field, "must be UTF-8 without control characters"),
	)
}

func checkNames(names []string) error {
	for _, name := range names {
		if err := secret.CheckName(name); err != nil {
			return err
		}
	}
	return nil
}

// parseProfile returns the canonical form of an agent profile's id. An empty id stays
// empty.
func parseProfile(id string) (string, error) {
	if id == "" {
		return "", nil
	}
	parsed, err := uuid.Parse(id)
	return parsed.String(), invalid(err != nil, "profile", "must be a UUID")
}

// checkSandbox requires a name that can be a path segment.
func checkSandbox(id string) error {
	if id == "" {
		return nil
	}
	if err := secret.CheckName(id); err != nil {
		return &secret.InvalidError{Field: "sandbox", Reason: "must be at most 256 bytes of UTF-8 without control characters and slashes"}
	}
	return nil
}

func checkStrategies(names []string) error {
	if names != nil && len(names) == 0 {
		return invalid(true, "strategies", "must name at least one, or be left out for all")
	}
	for _, name := range names {
		if err := checkText("strategies", name); err != nil {
			return err
		}
	}
	return invalid(len(names) > maxGrants, "strategies", "must not be more than 100")
}

func checkGrants(lines []grant.Line) error {
	_, err := grant.Parse(lines, "", nil)
	if err == nil {
		return nil
	}
	return &secret.InvalidError{Field: "grants", Reason: strings.ReplaceAll(err.Error(), "\n", "; ")}
}
