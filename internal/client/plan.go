package client

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/strongroom/strongroom/internal/client/envfile"
	"github.com/strongroom/strongroom/internal/secret"
)

// A Step is what has to happen to one value.
type Step string

// The steps.
const (
	StepNew     Step = "new"
	StepChanged Step = "changed"
	StepSame    Step = "same"
	StepRemoved Step = "removed"
)

// A Row is a value in a plan. The fingerprints compare values within one plan only: their key is
// random, so that no value can be guessed from them.
type Row struct {
	Name string `json:"name"` // NAME or NAME.KEY
	Step Step   `json:"change"`
	Now  string `json:"now,omitempty"`   // fingerprint of the value on the server
	Then string `json:"after,omitempty"` // fingerprint of the value afterwards
}

// A Plan turns the secrets of an owner into the wanted ones.
type Plan struct {
	Rows  []Row // in order of name
	steps []change
}

type change struct {
	step Step
	Secret
}

// Wanted groups values by secret. With into, values without a data key become data keys of that one secret.
func Wanted(vars []envfile.Var, into string) []Secret {
	byName := map[string]map[string]secret.Value{}
	for _, v := range vars {
		name, key := v.Secret, v.DataKey
		switch {
		case into != "" && key == "":
			name, key = into, v.Secret
		case key == "":
			key = ValueKey
		}
		if byName[name] == nil {
			byName[name] = map[string]secret.Value{}
		}
		byName[name][key] = v.Value
	}
	var all []Secret
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		all = append(all, Secret{Name: name, Data: byName[name]})
	}
	return all
}

// Check returns an error unless the owner's API accepts the names of these secrets, so that nothing is
// changed if one cannot be stored.
func Check(owner secret.Owner, wanted []Secret) error {
	for _, s := range wanted {
		if owner.Kind != secret.KindApp {
			if !readable(s.Name) {
				return fmt.Errorf("%q: the name of a custom secret must be a letter and up to 63 letters, digits and underscores", s.Name)
			}
			if _, one := s.Data[ValueKey]; !one || len(s.Data) != 1 {
				return fmt.Errorf("%s: custom secrets have one value: import into an app, or name each value", s.Name)
			}
			continue
		}
		for _, name := range append(s.Keys(), s.Name) {
			if err := secret.CheckKey(name); err != nil {
				return fmt.Errorf("%q: names and data keys of an app must consist of letters, digits, '-', '_' and '.'", name)
			}
		}
	}
	return nil
}

// NewPlan compares the wanted secrets with the owner's, which takes the right to reveal them. Data keys and
// secrets that are not wanted stay, unless prune is true.
func NewPlan(ctx context.Context, s Secrets, wanted []Secret, prune bool) (*Plan, error) {
	entries, err := s.List(ctx)
	if err != nil {
		return nil, err
	}
	descriptions := map[string]string{}
	var names, gone []string
	for _, e := range entries {
		descriptions[e.Name] = e.Description
		if slices.ContainsFunc(wanted, func(w Secret) bool { return w.Name == e.Name }) {
			names = append(names, e.Name)
		} else if prune {
			gone = append(gone, e.Name)
		}
	}
	there, err := RevealAll(ctx, s, names)
	if err != nil {
		return nil, err
	}
	return newPlan(there, gone, descriptions, wanted, prune), nil
}

// NewPlanSince is NewPlan for secrets that the user has seen before: those that another client has changed
// since are not replaced.
func NewPlanSince(ctx context.Context, s Secrets, before, wanted []Secret, prune bool) (*Plan, error) {
	entries, err := s.List(ctx)
	if err != nil {
		return nil, err
	}
	descriptions := map[string]string{}
	for _, e := range entries {
		descriptions[e.Name] = e.Description
	}
	var there []Secret
	var gone []string
	for _, b := range before {
		if slices.ContainsFunc(wanted, func(w Secret) bool { return w.Name == b.Name }) {
			there = append(there, b)
		} else if prune {
			gone = append(gone, b.Name)
		}
	}
	return newPlan(there, gone, descriptions, wanted, prune), nil
}

func newPlan(there []Secret, gone []string, descriptions map[string]string, wanted []Secret, prune bool) *Plan {
	p := &Plan{}
	print := newFingerprint()
	for _, w := range wanted {
		at := slices.IndexFunc(there, func(t Secret) bool { return t.Name == w.Name })
		if at < 0 {
			p.add(StepNew, w, Secret{}, w.Data, print)
			continue
		}
		if w.Description == "" {
			w.Description = descriptions[w.Name]
		}
		p.compare(w, there[at], prune, print)
	}
	for _, name := range gone {
		p.Rows = append(p.Rows, Row{Name: name, Step: StepRemoved})
		p.steps = append(p.steps, change{StepRemoved, Secret{Name: name}})
	}
	slices.SortStableFunc(p.Rows, func(a, b Row) int { return cmp.Compare(a.Name, b.Name) })
	return p
}

// compare plans the change of one secret.
func (p *Plan) compare(w, there Secret, prune bool, print func(secret.Value) string) {
	after := maps.Clone(w.Data)
	if !prune {
		after = maps.Clone(there.Data)
		maps.Copy(after, w.Data)
	}
	step := StepChanged
	if maps.Equal(after, there.Data) {
		step = StepSame
	}
	w.Revision, w.Data = there.Revision, after
	p.add(step, w, there, after, print)
}

func (p *Plan) add(step Step, w, there Secret, after map[string]secret.Value, print func(secret.Value) string) {
	if step != StepSame {
		p.steps = append(p.steps, change{step, w})
	}
	keys := map[string]bool{}
	for key := range after {
		keys[key] = true
	}
	for key := range there.Data {
		keys[key] = true
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		r := Row{Name: Ref{w.Name, key}.String(), Step: StepSame}
		if key == ValueKey {
			r.Name = w.Name
		}
		now, was := there.Data[key]
		then, stays := after[key]
		switch {
		case !was:
			r.Step, r.Then = StepNew, print(then)
		case !stays:
			r.Step, r.Now = StepRemoved, print(now)
		default:
			r.Now, r.Then = print(now), print(then)
			if now != then {
				r.Step = StepChanged
			}
		}
		p.Rows = append(p.Rows, r)
	}
}

// newFingerprint returns a function that gives equal values the same short text.
func newFingerprint() func(secret.Value) string {
	key := make([]byte, sha256.Size)
	_, _ = rand.Read(key) // never fails
	return func(v secret.Value) string {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(v))
		return hex.EncodeToString(mac.Sum(nil)[:4])
	}
}

// Steps returns the number of secrets that the plan changes.
func (p *Plan) Steps() int { return len(p.steps) }

// Apply carries out the plan, in order of name. It stops at the first error, which says how many secrets were
// changed before. A secret that has changed since the plan was made is not replaced.
func (p *Plan) Apply(ctx context.Context, s Secrets, progress func(done int)) (warnings []string, err error) {
	for n, c := range p.steps {
		var said []string
		switch c.step {
		case StepNew:
			said, err = s.Create(ctx, c.Secret)
		case StepChanged:
			said, err = s.Replace(ctx, c.Secret)
		default:
			err = s.Delete(ctx, c.Name, "")
		}
		for _, text := range said {
			warnings = append(warnings, c.Name+": "+text)
		}
		if errors.Is(err, secret.ErrChanged) {
			err = errors.New("another client has changed it meanwhile: try again")
		}
		if err != nil {
			return warnings, fmt.Errorf("%s: %w (%d of %d secrets were changed before)", c.Name, err, n, len(p.steps))
		}
		progress(n + 1)
	}
	return warnings, nil
}
