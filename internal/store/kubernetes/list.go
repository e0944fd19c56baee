package kubernetes

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/strongroom/strongroom/internal/secret"
)

// List implements [secret.Store] with one request. It skips the values without
// decoding them.
func (s *Store) List(ctx context.Context, owner secret.Owner, page secret.Page) ([]secret.Info, error) {
	ctx, end, err := s.begin(ctx, secret.Op{})
	if err != nil {
		return nil, err
	}
	defer end()
	var infos []secret.Info
	label, id := ownerLabel(owner)
	r := s.request(http.MethodGet, "", wholeObject, nil)
	r.query = url.Values{"labelSelector": {managedBy + "=" + us + "," + label + "=" + id}}
	_, err = each(ctx, s, r, func(o masked) {
		ref := secret.Ref{Owner: owner, Name: o.Metadata.Annotations.Name}
		if o.Metadata.is(ref) && o.Type == opaque {
			infos = append(infos, o.Metadata.info(ref, o.keys()))
		}
	}, func() { infos = nil })
	return secret.PageOf(infos, page, func(i secret.Info) string { return i.Name }), err
}

// ownersAtOnce is the page size of the API server's answers.
const ownersAtOnce = "500"

// Owners implements [secret.Store]. It reads the metadata of every secret.
func (s *Store) Owners(ctx context.Context, page secret.Page) ([]secret.OwnerInfo, error) {
	ctx, end, err := s.begin(ctx, secret.Op{})
	if err != nil {
		return nil, err
	}
	defer end()
	count := map[secret.Owner]int{}
	r := s.request(http.MethodGet, "", listMetadata, nil)
	r.query = url.Values{"labelSelector": {managedBy + "=" + us}, "limit": {ownersAtOnce}}
	for more := true; more; {
		var seen []secret.Owner // of this page
		next, err := each(ctx, s, r, func(o masked) {
			if ref, ok := o.Metadata.ref(); ok {
				seen = append(seen, ref.Owner)
			}
		}, func() { seen = nil })
		if err != nil {
			return nil, err
		}
		for _, owner := range seen {
			count[owner]++
		}
		r.query.Set("continue", next)
		more = next != ""
	}
	return secret.PageOfOwners(count, page), nil
}

// errNoList means that an answer does not have the form of a list.
var errNoList = errors.New("the API server's list cannot be read")

// each requests a list and calls do with one item after another, so that memory
// never holds more than one. If the list must be requested again, it calls restart
// first. It returns the token of the next page, "" after the last.
func each[V any](ctx context.Context, s *Store, r request, do func(object[V]), restart func()) (next string, err error) {
	_, err = s.client.do(ctx, r, func(body io.Reader) error {
		restart()
		next, err = items(jsontext.NewDecoder(body, lenient), do)
		return err
	})
	return next, err
}

// items reads a list: {"metadata": {"continue": "…"}, "items": [{…}, …], …}.
func items[V any](from *jsontext.Decoder, do func(object[V])) (next string, err error) {
	if err := expect(from, jsontext.KindBeginObject); err != nil {
		return "", err
	}
	for from.PeekKind() == jsontext.KindString {
		member, err := from.ReadToken()
		if err != nil {
			return "", err
		}
		switch member.String() {
		case "metadata":
			var m struct {
				Continue string `json:"continue"`
			}
			if err := json.UnmarshalDecode(from, &m); err != nil {
				return "", err
			}
			next = m.Continue
		case "items":
			if err := elements(from, do); err != nil {
				return "", err
			}
		default:
			if err := from.SkipValue(); err != nil {
				return "", err
			}
		}
	}
	if err := expect(from, jsontext.KindEndObject); err != nil {
		return "", err
	}
	// Read to the end, or the connection cannot be reused.
	if _, err := from.ReadToken(); !errors.Is(err, io.EOF) {
		return "", errNoList
	}
	return next, nil
}

// elements reads an array; null is an empty one.
func elements[V any](from *jsontext.Decoder, do func(object[V])) error {
	if from.PeekKind() == jsontext.KindNull {
		return from.SkipValue()
	}
	if err := expect(from, jsontext.KindBeginArray); err != nil {
		return err
	}
	for from.PeekKind() == jsontext.KindBeginObject {
		var o object[V]
		if err := json.UnmarshalDecode(from, &o); err != nil {
			return err
		}
		do(o)
	}
	return expect(from, jsontext.KindEndArray)
}

func expect(from *jsontext.Decoder, kind jsontext.Kind) error {
	token, err := from.ReadToken()
	if err == nil && token.Kind() != kind {
		err = errNoList
	}
	return err
}
