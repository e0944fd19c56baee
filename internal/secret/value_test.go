package secret_test

import (
	"bytes"
	"encoding"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/internal/secret"
)

const hidden = secret.Value("hunter2")

// encodings are forms in which a leaked value could appear.
var encodings = []string{"hunter2", "unter", "68756e74657232", "68756E74657232", "aHVudGVyMg", "104 117", `\x68`}

func wantHidden(t *testing.T, what, printed string) {
	t.Helper()
	for _, leak := range encodings {
		if strings.Contains(printed, leak) {
			t.Errorf("%s shows the value: %s", what, printed)
		}
	}
}

// carriers are types that may contain a value when they are printed by mistake.
func carriers() map[string]any {
	v := hidden
	type inner struct{ V secret.Value }
	return map[string]any{
		"value":           v,
		"pointer":         &v,
		"struct":          inner{v},
		"pointer to it":   &inner{v},
		"nested":          struct{ In []inner }{[]inner{{v}}},
		"embedded":        struct{ secret.Value }{v},
		"pointer inside":  struct{ V *secret.Value }{&v},
		"any inside":      struct{ V any }{v},
		"slice":           []secret.Value{v},
		"array":           [1]secret.Value{v},
		"map":             map[string]secret.Value{"k": v},
		"slice of any":    []any{v},
		"draft":           secret.Draft{Data: map[string]secret.Value{"k": v}},
		"change":          secret.Change{Set: map[string]secret.Value{"k": v}},
		"pointer to one":  &secret.Change{Set: map[string]secret.Value{"k": v}},
		"stringer":        fmt.Stringer(v),
		"text marshaller": encoding.TextMarshaler(v),
	}
}

// All verbs except %p, for which fmt calls no method.
func TestValueIsNotPrinted(t *testing.T) {
	for name, carrier := range carriers() {
		for _, verb := range "vTtbcdoOqxXUeEfFgGsz" {
			for _, flags := range []string{"", "+", "#", "-", " ", "0", "+#", "10", ".3", "10.3", "# "} {
				format := "%" + flags + string(verb)
				wantHidden(t, format+" of "+name, fmt.Sprintf(format, carrier))
			}
		}
		wantHidden(t, "Sprint of "+name, fmt.Sprint(carrier, carrier))
		wantHidden(t, "Sprintln of "+name, fmt.Sprintln(carrier))
		wantHidden(t, "Appendf of "+name, string(fmt.Appendf(nil, "%v", carrier)))
		wantHidden(t, "an error with "+name, fmt.Errorf("with %v", carrier).Error())
		joined := errors.Join(errors.New("one"), fmt.Errorf("two %q", carrier))
		wantHidden(t, "joined errors with "+name, joined.Error())
	}
	surplus := "no verb"
	wantHidden(t, "a surplus argument", fmt.Sprintf(surplus, []any{hidden}...))
	if got := fmt.Sprintf("%s|%10d|%v", hidden, hidden, []secret.Value{hidden}); got != "****|****|[****]" {
		t.Errorf("got %s, want asterisks", got)
	}
}

func TestValueIsNotEncoded(t *testing.T) {
	for name, carrier := range carriers() {
		encoded, err := json.Marshal(carrier)
		if err != nil {
			t.Errorf("JSON of %s: %v", name, err)
		}
		wantHidden(t, "JSON of "+name, string(encoded))
		if !bytes.Contains(encoded, []byte(secret.Mask)) {
			t.Errorf("JSON of %s has no mask: %s", name, encoded)
		}
	}
	type element struct{ V secret.Value }
	encoded, err := xml.Marshal(element{hidden})
	if err != nil {
		t.Errorf("XML: %v", err)
	}
	wantHidden(t, "XML", string(encoded))

	text, err := encoding.TextMarshaler(hidden).MarshalText()
	if string(text) != secret.Mask || err != nil {
		t.Errorf("MarshalText: got %s, %v, want the mask", text, err)
	}
}

func TestValueIsNotLogged(t *testing.T) {
	var log bytes.Buffer
	for _, handler := range []slog.Handler{
		slog.NewTextHandler(&log, nil),
		slog.NewJSONHandler(&log, nil),
	} {
		logger := slog.New(handler)
		for name, carrier := range carriers() {
			log.Reset()
			logger.Info("stored", "carrier", carrier, slog.Group("group", "carrier", carrier))
			logger.With("carrier", carrier).Info("with")
			wantHidden(t, fmt.Sprintf("%T of %s", handler, name), log.String())
		}
	}
}

// A custom handler may inspect the attributes that it logs.
func TestValueIsMaskedBeforeAHandlerSeesIt(t *testing.T) {
	if got := slog.AnyValue(hidden).Resolve(); got.Kind() != slog.KindString || got.String() != secret.Mask {
		t.Errorf("got a value of kind %s, want the mask", got.Kind())
	}
}

func TestConversionIsTheWayOut(t *testing.T) {
	if string(hidden) != "hunter2" || string([]byte(hidden)) != "hunter2" {
		t.Error("a conversion does not give the value")
	}
}

func TestErrorsDoNotQuoteTheInput(t *testing.T) {
	for _, err := range []error{
		secret.CheckName("hunter2/"), secret.CheckName("hunter2\n"), secret.CheckName("hunter2" + strings.Repeat("x", 300)),
		secret.CheckKey("hunter2 "), secret.CheckKey("hunter2\x00"), secret.CheckKey("..hunter2"),
		secret.CheckKey("hunter2" + strings.Repeat("x", 300)),
	} {
		if err == nil {
			t.Error("got no error")
			continue
		}
		wantHidden(t, "the error", fmt.Sprintf("%v %+v", err, err))
	}
}
