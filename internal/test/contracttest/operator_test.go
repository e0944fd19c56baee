package contracttest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"text/template"

	"github.com/PaesslerAG/jsonpath"
	"go.yaml.in/yaml/v4"
)

// An operator behaves like the webhook provider of External Secrets Operator: it fills
// in the SecretStore's templates, with query escaping in the URL, sends the request,
// and evaluates the JSONPath with the same library.
type operator struct {
	URL     string            `yaml:"url"`
	Method  string            `yaml:"method"`
	Headers map[string]string `yaml:"headers"`
	Result  struct {
		JSONPath string `yaml:"jsonPath"`
	} `yaml:"result"`
	Secrets []struct {
		Name string `yaml:"name"`
	} `yaml:"secrets"`
}

type remoteRef struct {
	Key      string `yaml:"key"`
	Property string `yaml:"property"`
}

// mustReadOperator reads one of our samples: the store and the references to it.
func mustReadOperator(t *testing.T, name string) (o operator, refs []remoteRef) {
	t.Helper()
	dec := yaml.NewDecoder(bytes.NewReader(mustReadFile("../../../configs/external-secrets/" + name)))
	for {
		var object struct {
			Kind string `yaml:"kind"`
			Spec struct {
				Provider struct {
					Webhook *operator `yaml:"webhook"`
				} `yaml:"provider"`
				Data []struct {
					RemoteRef remoteRef `yaml:"remoteRef"`
				} `yaml:"data"`
			} `yaml:"spec"`
		}
		if err := dec.Decode(&object); errors.Is(err, io.EOF) {
			return o, refs
		} else if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if w := object.Spec.Provider.Webhook; w != nil {
			o = *w
		}
		for _, d := range object.Spec.Data {
			refs = append(refs, d.RemoteRef)
		}
	}
}

// get returns a value, or the operator's error.
func (o operator) get(t *testing.T, s *server, key string, ref remoteRef) (string, error) {
	t.Helper()
	escaped := map[string]map[string]string{"remoteRef": {"key": url.QueryEscape(ref.Key), "property": url.QueryEscape(ref.Property)}}
	plain := map[string]map[string]string{"remoteRef": {"key": ref.Key, "property": ref.Property}}
	for _, from := range o.Secrets {
		escaped[from.Name] = map[string]string{"key": key}
		plain[from.Name] = map[string]string{"key": key}
	}
	method := o.Method
	if method == "" {
		method = http.MethodGet
	}
	target := strings.Replace(o.URL, "https://strongroom.example", "http://"+s.address, 1)
	r, err := http.NewRequestWithContext(t.Context(), method, filled(t, target, escaped), &bytes.Buffer{})
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range o.Headers {
		r.Header.Add(name, filled(t, value, plain))
	}
	w := &witness{}
	response, err := (&http.Client{Transport: w}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	w.report(answer{t, method + " " + r.URL.Path, response.StatusCode, response.Header, string(body)})
	if response.StatusCode < 200 || response.StatusCode >= 300 {
		return "", fmt.Errorf("endpoint gave error %s", response.Status)
	}
	return o.pick(t, body, plain)
}

func (o operator) pick(t *testing.T, body []byte, data map[string]map[string]string) (string, error) {
	t.Helper()
	if o.Result.JSONPath == "" {
		return string(body), nil
	}
	var parsed any
	if err := json.Unmarshal(body, &parsed); err != nil {
		return "", err
	}
	found, err := jsonpath.Get(filled(t, o.Result.JSONPath, data), parsed)
	if err != nil {
		return "", err
	}
	list, ok := found.([]any)
	if !ok || len(list) == 0 {
		return "", fmt.Errorf("filter worked but didn't get any result: %v", found)
	}
	return list[0].(string), nil
}

func filled(t *testing.T, text string, data map[string]map[string]string) string {
	t.Helper()
	tmpl, err := template.New("").Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := tmpl.Execute(&b, data); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func operatorReadsCustomSecrets(t *testing.T) {
	s := serve(t)
	o, refs := mustReadOperator(t, "openhands.yaml")
	value := canary + " {{ .x }}\n\"é🔑"
	for _, ref := range refs {
		s.openhands(t, admin).put(settings, `{"name":"`+ref.Key+`","value":`+quoted(value)+`}`).wantsStatus(200)
		if got, err := o.get(t, s, s.printed[sessionKey], ref); got != value || err != nil {
			t.Errorf("%s: %q, %v, want %q", ref.Key, got, err, value)
		}
	}
	if len(refs) == 0 {
		t.Error("the sample takes nothing")
	}
	for status, key := range map[string]string{"404": s.printed[sessionKey], "401": canary, "403": keyOf("lister", sessionKey)} {
		if got, err := o.get(t, s, key, remoteRef{Key: "NOTHING"}); err == nil || !strings.Contains(err.Error(), status) {
			t.Errorf("%q, %v, want %s", got, err, status)
		}
	}
}

func operatorReadsAppsSecrets(t *testing.T) {
	s := serve(t)
	o, refs := mustReadOperator(t, "nx1.yaml")
	value := canary + " {{ .x }}\n\"é🔑"
	for _, ref := range refs {
		body := `{"secret_name":"` + ref.Key + `","data":[{"key":"A","value":"no"},{"key":"` + ref.Property + `","value":` + quoted(value) + `},{"key":"z","value":"no"}]}`
		s.nx1(t, admin).post(secrets, body).wantsStatus(200)
		if got, err := o.get(t, s, s.printed[psk], ref); got != value || err != nil {
			t.Errorf("%s: %q, %v, want %q", ref, got, err, value)
		}
		if got, err := o.get(t, s, s.printed[psk], remoteRef{ref.Key, "NOTHING"}); err == nil {
			t.Errorf("a key that is not there: %q", got)
		}
	}
	if len(refs) == 0 {
		t.Error("the sample takes nothing")
	}
	for status, key := range map[string]string{"404": s.printed[psk], "401": canary, "403": keyOf("clerk", psk)} {
		ref := remoteRef{refs[0].Key, "A"}
		if status == "404" {
			ref.Key = "nothing"
		}
		if got, err := o.get(t, s, key, ref); err == nil || !strings.Contains(err.Error(), status) {
			t.Errorf("%q, %v, want %s", got, err, status)
		}
	}
}

// quoted returns the text as JSON.
func quoted(text string) string {
	b, err := json.Marshal(text)
	if err != nil {
		panic(err) // every string has a form in JSON
	}
	return string(b)
}
