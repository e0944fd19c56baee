package envfile

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"go.yaml.in/yaml/v4"

	"github.com/strongroom/strongroom/internal/secret"
)

// A node is a part of a JSON or YAML document, with the scalars as they are written.
type node struct {
	name string // of a member
	line int
	kind byte // of [jsontext.Token.Kind]: { [ " 0 t f n
	text string
	kids []node
}

func (n node) scalar() bool { return strings.IndexByte(`"0tf`, n.kind) >= 0 }

func (n node) member(name string) (node, bool) {
	at := slices.IndexFunc(n.kids, func(k node) bool { return k.name == name })
	if n.kind != '{' || at < 0 {
		return node{}, false
	}
	return n.kids[at], true
}

// has reports whether an object has all these members.
func (n node) has(names ...string) bool {
	return !slices.ContainsFunc(names, func(name string) bool { _, ok := n.member(name); return !ok })
}

func readJSON(text []byte) ([]Var, error) {
	dec := jsontext.NewDecoder(bytes.NewReader(text))
	root, err := decodeNode(dec, text)
	if err != nil {
		at := dec.InputOffset()
		if syntax, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
			at = syntax.ByteOffset
		}
		return nil, atLine(lineAt(string(text), int(at)), "the file is not JSON, or has a name twice in one object")
	}
	if _, err := dec.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, atLine(lineAt(string(text), int(dec.InputOffset())), "there is text after the JSON document")
	}
	return varsOf(root)
}

func decodeNode(dec *jsontext.Decoder, text []byte) (node, error) {
	token, err := dec.ReadToken()
	if err != nil {
		return node{}, err
	}
	n := node{line: lineAt(string(text), int(dec.InputOffset())), kind: byte(token.Kind()), text: token.String()}
	for n.kind == '{' || n.kind == '[' {
		if end := dec.PeekKind(); end == '}' || end == ']' {
			_, err = dec.ReadToken()
			return n, err
		}
		name := ""
		if n.kind == '{' {
			if token, err = dec.ReadToken(); err != nil {
				return node{}, err
			}
			name = token.String()
		}
		kid, err := decodeNode(dec, text)
		if err != nil {
			return node{}, err
		}
		kid.name = name
		n.kids = append(n.kids, kid)
	}
	return n, nil
}

func readYAML(text []byte) ([]Var, error) {
	var doc yaml.Node
	if err := yaml.Load(text, &doc); err != nil {
		line := 1
		if at, ok := errors.AsType[*yaml.LoadError](err); ok {
			line = at.Mark.Line
		}
		return nil, atLine(line, "the file is not YAML, or has several documents")
	}
	if len(doc.Content) == 0 {
		return nil, nil
	}
	root, err := fromYAML(doc.Content[0])
	if err != nil {
		return nil, err
	}
	return varsOf(root)
}

func fromYAML(y *yaml.Node) (node, error) {
	n := node{line: y.Line, text: y.Value}
	switch {
	case y.Kind == yaml.AliasNode:
		return n, atLine(y.Line, "aliases are not read: write the value out")
	case y.Kind == yaml.MappingNode:
		n.kind = '{'
		for i := 0; i+1 < len(y.Content); i += 2 {
			kid, err := fromYAML(y.Content[i+1])
			if err != nil {
				return n, err
			}
			kid.name = y.Content[i].Value
			if n.has(kid.name) {
				return n, atLine(y.Content[i].Line, "the name is there twice")
			}
			n.kids = append(n.kids, kid)
		}
	case y.Kind == yaml.SequenceNode:
		n.kind = '['
		for _, item := range y.Content {
			kid, err := fromYAML(item)
			if err != nil {
				return n, err
			}
			n.kids = append(n.kids, kid)
		}
	case y.ShortTag() == "!!null":
		n.kind = 'n'
	case y.ShortTag() == "!!binary":
		return n, atLine(y.Line, "!!binary is not read")
	default:
		n.kind = '"'
	}
	return n, nil
}

// varsOf recognizes the documents of other tools by their members:
//
//	{"apiVersion": "v1", "kind": "Secret", "data": {NAME: base64}, "stringData": {NAME: value}}   kubectl get secret -o json
//	{"request_id": …, "data": {"data": {NAME: value}, "metadata": …}}                             vault kv get -format=json
//	[{"key": NAME, "value": value, …}, …]                                                         infisical export --format json
//	{NAME: {"computed": value, …}}                                                                doppler secrets --json
//	{NAME: value, NAME: {KEY: value}}                                                             doppler secrets download; our own
func varsOf(root node) ([]Var, error) {
	switch {
	case root.kind == '[':
		return varsOfList(root)
	case root.kind != '{':
		return nil, atLine(root.line, "want an object of names and values, or a list of key and value")
	case root.has("apiVersion", "kind"):
		return varsOfManifest(root)
	case root.has("request_id", "data"):
		data, _ := root.member("data")
		if data.has("data", "metadata") {
			data, _ = data.member("data")
		}
		return varsOfObject(data)
	}
	return varsOfObject(root)
}

func varsOfObject(object node) ([]Var, error) {
	if object.kind != '{' {
		return nil, atLine(object.line, "want an object of names and values")
	}
	var vars []Var
	for _, kid := range object.kids {
		if computed, ok := kid.member("computed"); ok && kid.has("raw") {
			computed.name = kid.name
			kid = computed
		}
		if kid.kind != '{' {
			v, err := varOf(kid.name, "", kid)
			if err != nil {
				return nil, err
			}
			vars = append(vars, v)
			continue
		}
		for _, data := range kid.kids {
			v, err := varOf(kid.name, data.name, data)
			if err != nil {
				return nil, err
			}
			vars = append(vars, v)
		}
	}
	return vars, nil
}

func varOf(name, key string, value node) (Var, error) {
	if !value.scalar() {
		return Var{}, atLine(value.line, "the value must be text, a number, true or false")
	}
	return Var{Secret: name, DataKey: key, Value: secret.Value(value.text), Line: value.line}, nil
}

func varsOfList(list node) ([]Var, error) {
	var vars []Var
	for _, item := range list.kids {
		name, named := item.member("key")
		value, valued := item.member("value")
		if !named || !valued || name.kind != '"' {
			return nil, atLine(item.line, "want an object with key and value")
		}
		v, err := varOf(name.text, "", value)
		if err != nil {
			return nil, err
		}
		vars = append(vars, v)
	}
	return lastOfEach(vars), nil
}

func varsOfManifest(root node) ([]Var, error) {
	if kind, _ := root.member("kind"); kind.text != "Secret" {
		return nil, atLine(kind.line, "of Kubernetes' manifests only a Secret can be read")
	}
	data, _ := root.member("data")
	var vars []Var
	for _, kid := range data.kids {
		raw, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(kid.text), ""))
		if err != nil {
			return nil, atLine(kid.line, "the value is not base64")
		}
		vars = append(vars, Var{Secret: kid.name, Value: secret.Value(raw), Line: kid.line})
	}
	plain, _ := root.member("stringData")
	for _, kid := range plain.kids {
		v, err := varOf(kid.name, "", kid)
		if err != nil {
			return nil, err
		}
		vars = append(vars, v)
	}
	return lastOfEach(vars), nil
}

// writeJSON writes {"NAME": "value", "NAME": {"KEY": "value"}}.
func writeJSON(vars []Var) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString("{")
	for i, v := range vars {
		if i > 0 {
			b.WriteString(",")
		}
		opens, closes := v.DataKey != "" && (i == 0 || !sameObject(vars[i-1], v)), v.DataKey != "" && (i+1 == len(vars) || !sameObject(v, vars[i+1]))
		if v.DataKey == "" || opens {
			fmt.Fprintf(&b, "\n  %s: ", quoteJSON(v.Secret))
		}
		if opens {
			b.WriteString("{")
		}
		if v.DataKey != "" {
			fmt.Fprintf(&b, "\n    %s: ", quoteJSON(v.DataKey))
		}
		b.WriteString(quoteJSON(string(v.Value)))
		if closes {
			b.WriteString("\n  }")
		}
	}
	b.WriteString("\n}\n")
	return b.Bytes(), nil
}

func sameObject(a, b Var) bool { return a.Secret == b.Secret && b.DataKey != "" && a.DataKey != "" }

// quoteJSON returns a JSON string, which is a double-quoted scalar of YAML, too.
func quoteJSON(text string) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(text) // cannot fail for a string
	return strings.TrimSuffix(b.String(), "\n")
}

// writeYAML writes all scalars in double quotes, so that none becomes a number or a boolean.
func writeYAML(vars []Var) ([]byte, error) {
	var b bytes.Buffer
	for i, v := range vars {
		if v.DataKey == "" {
			fmt.Fprintf(&b, "%s: %s\n", quoteYAML(v.Secret), quoteYAML(string(v.Value)))
			continue
		}
		if i == 0 || !sameObject(vars[i-1], v) {
			fmt.Fprintf(&b, "%s:\n", quoteYAML(v.Secret))
		}
		fmt.Fprintf(&b, "  %s: %s\n", quoteYAML(v.DataKey), quoteYAML(string(v.Value)))
	}
	return b.Bytes(), nil
}

// quoteYAML escapes also the characters that YAML does not allow unescaped, such as DEL.
func quoteYAML(text string) string {
	var b strings.Builder
	for _, r := range quoteJSON(text) {
		if r >= 0x7f && r < 0xa0 || r == 0xfeff || r == 0xfffe || r == 0xffff {
			fmt.Fprintf(&b, `\u%04x`, r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// writeManifest writes a Secret for kubectl apply. Its name is for the reader to change.
func writeManifest(vars []Var) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString("apiVersion: v1\nkind: Secret\nmetadata:\n  name: strongroom\ntype: Opaque\ndata:\n")
	for _, v := range vars {
		if err := secret.CheckKey(v.Env); err != nil {
			return nil, fmt.Errorf("%s: no Secret of Kubernetes can have this key: name it with --env", v.Env)
		}
		fmt.Fprintf(&b, "  %s: %s\n", quoteYAML(v.Env), base64.StdEncoding.EncodeToString([]byte(v.Value)))
	}
	return b.Bytes(), nil
}
