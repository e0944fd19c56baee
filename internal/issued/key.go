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
	// MaxKeys bounds how many there are, those remembered included.
	MaxKeys = 100_000
	// manyKeys are so many that those which do not work are forgotten early.
	manyKeys = MaxKeys / 2
	// MaxAgentLifetime bounds how long an agent key may work.
	MaxAgentLifetime = 30 * 24 * time.Hour
	// MaxOverlap bounds how long a key may work beside the one that takes its
	// place.
	MaxOverlap = 90 * 24 * time.Hour
	// Remembered is how long a key can be looked at that no longer works.
	Remembered = 7 * 24 * time.Hour
	// rememberedOfMany is that where there are many keys.
	rememberedOfMany = time.Hour

	maxTextBytes = 256
	maxGrants    = 100
)

// A Key is what is kept of a key: everything but the key.
type Key struct {
	// ID names the key in the audit log and in commands. It is no secret, and
	// a part of the key.
	ID string `json:"id"`
	// SHA256 of the whole key.
	SHA256 apikey.Hash `json:"sha256"`
	// Subject is who has the key, for the audit log.
	Subject string `json:"subject"`
	// User is whose custom secrets the key is for.
	User string `json:"user,omitempty"`
	// Strategies are those of the config that know the key; none: all of the
	// kind api_key do.
	Strategies []string `json:"strategies,omitempty"`
	// Grants are what its holder may do.
	Grants []grant.Line `json:"grants"`
	// Created is when it was issued.
	Created time.Time `json:"created"`
	// Ends is when it stops working; zero: never.
	Ends time.Time `json:"ends,omitzero"`
	// Lifetime is how long it was to work when it was issued; 0: without end.
	Lifetime time.Duration `json:"lifetime,omitempty"`
	// Revoked is when somebody stopped it.
	Revoked time.Time `json:"revoked,omitzero"`
	// Replaces is the id of the key in whose place it was issued.
	Replaces string `json:"replaces,omitempty"`
	// Used is when it was last used, to the hour.
	Used time.Time `json:"used,omitzero"`
	// Agent is set if the key is an agent's.
	Agent *Agent `json:"agent,omitempty"`
}

// An Agent is what an agent key has besides: its deliveries are counted.
type Agent struct {
	// Sandbox is the one for which the key was made; empty: for none.
	Sandbox string `json:"sandbox,omitempty"`
	// Profile is the agent profile for which the key was made; empty: for none.
	Profile string `json:"profile,omitempty"`
	// WriteBack lets the key replace these values where agents write back what
	// they have renewed, and nowhere else.
	WriteBack bool `json:"write_back,omitempty"`
	// Reads are how many deliveries it is good for; 0: any number.
	Reads int `json:"reads,omitempty"`
	// Delivered is how many there were.
	Delivered int `json:"delivered,omitempty"`
	// Last is when the last one was.
	Last time.Time `json:"last,omitzero"`
}

// over returns since when the key does not work, if so.
func (k *Key) over(now time.Time) (since time.Time, over bool) {
	switch {
	case !k.Revoked.IsZero():
		return k.Revoked, true
	case k.Agent != nil && k.Agent.Reads > 0 && k.Agent.Delivered >= k.Agent.Reads:
		return k.Agent.Last, true
	case k.stopped(now):
		return k.Ends, true
	}
	return time.Time{}, false
}

// stopped reports whether the key was revoked or has ended.
func (k *Key) stopped(now time.Time) bool {
	return !k.Revoked.IsZero() || (!k.Ends.IsZero() && !now.Before(k.Ends))
}

// caller is the caller that the key authenticates.
func (k *Key) caller(keys *Keys) secret.Caller {
	// They were checked when the key was issued.
	grants, _ := grant.Parse(k.Grants, fmt.Sprintf("issued key %s, grants", k.ID), nil)
	c := secret.Caller{
		Subject: k.Subject, Key: k.ID, User: k.User, Grants: grant.For(k.User, grants), Credential: credential{keys, k.ID},
	}
	if k.Agent != nil {
		c.Sandbox, c.Profile = k.Agent.Sandbox, k.Agent.Profile
		if k.Agent.WriteBack {
			c.WriteBack = writeBack(c.Grants)
		}
	}
	return c
}

// writeBack are grants to write the secrets of an agent's key.
func writeBack(grants []secret.Grant) []secret.Grant {
	grants = slices.Clone(grants)
	for i := range grants {
		grants[i].Actions = []secret.Action{secret.Write}
	}
	return grants
}

// knownTo reports whether the strategy is one for which the key was issued.
func (k *Key) knownTo(strategy string) bool {
	return len(k.Strategies) == 0 || slices.Contains(k.Strategies, strategy)
}

// kind is what the key is called in the audit log and by the commands.
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

// A Draft is a key to be.
type Draft struct {
	Subject    string
	User       string // empty: apikey.DefaultUser
	Strategies []string
	Grants     []grant.Line
	Lifetime   time.Duration // 0: without end
}

func (d *Draft) key() (Key, error) {
	if d.User == "" {
		d.User = apikey.DefaultUser
	}
	err := firstOf(
		checkText("subject", d.Subject), checkText("user", d.User), checkStrategies(d.Strategies),
		invalid(d.User == secret.AnyID, "user", "must be one, not *"),
		invalid(d.Lifetime < 0, "lifetime", "must not be negative"),
		invalid(len(d.Grants) == 0, "grants", "must have at least one: without, its holder may do nothing"),
		invalid(len(d.Grants) > maxGrants, "grants", "must not have more than 100"),
		checkGrants(d.Grants),
	)
	return Key{Subject: d.Subject, User: d.User, Strategies: d.Strategies, Grants: d.Grants, Lifetime: d.Lifetime}, err
}

// An AgentDraft is an agent key to be: good for the names and values of some
// secrets of one owner, and for nothing else.
type AgentDraft struct {
	Owner      secret.Owner
	Names      []string
	Sandbox    string
	Profile    string // an agent profile's id, in any form of a UUID
	WriteBack  bool   // for a user's secrets only
	Reads      int
	Lifetime   time.Duration
	Subject    string // empty: the sandbox, or else an agent of the owner
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
		invalid(d.Lifetime <= 0 || d.Lifetime > MaxAgentLifetime, "lifetime", "must be more than nothing and at most 30 days"),
		checkSandbox(d.Sandbox),
		profileErr,
		invalid(d.Profile != "" && k.User == "", "profile", "is of no use without secrets of a user"),
		invalid(d.WriteBack && k.User == "", "write_back", "is of no use without secrets of a user"),
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

// parseProfile returns the one form of an agent profile's id, and nothing for none.
func parseProfile(id string) (string, error) {
	if id == "" {
		return "", nil
	}
	parsed, err := uuid.Parse(id)
	return parsed.String(), invalid(err != nil, "profile", "must be a UUID")
}

// checkSandbox takes what can be a segment of a path.
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
