package fastapi_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	jsonv2 "github.com/go-json-experiment/json"

	"github.com/strongroom/strongroom/internal/fastapi"
)

// kilobyte returns an update of about 1 KB: 16 pairs.
func kilobyte() string {
	var pairs []string
	for i := range 16 {
		pairs = append(pairs, fmt.Sprintf(`{"key":"SETTING_%02d","value":"postgres://app:pass@db-%02d:5432"}`, i, i))
	}
	return `{"data":[` + strings.Join(pairs, ",") + `]}`
}

// benchCheck measures Check alone: the context is already routed, and the handler does nothing.
func benchCheck(b *testing.B, method, text string) {
	r := httptest.NewRequest(method, app, nil)
	r.ContentLength = int64(len(text))
	r.Header.Set("Content-Type", "application/json")
	c := echo.New().NewContext(r, nil)
	c.SetPath("/api/app/:app_id/secrets/:secret_name")
	c.SetParamNames("app_id", "secret_name")
	c.SetParamValues("0ab6cf0b-5d9a-4a3c-bb76-6e2a1c2f1a00", "db")
	handler := mustLoad(b).Check(bounds)(func(echo.Context) error { return nil })
	body := strings.NewReader(text)
	b.ReportAllocs()
	for b.Loop() {
		body.Reset(text)
		r.Body = io.NopCloser(body)
		if err := handler(c); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCheckGet(b *testing.B)   { benchCheck(b, "GET", "") }
func BenchmarkCheckSmall(b *testing.B) { benchCheck(b, "PUT", `{"data":[{"key":"a","value":"b"}]}`) }
func BenchmarkCheck1KB(b *testing.B)   { benchCheck(b, "PUT", kilobyte()) }

// The baseline: decoding the same body without Check.
func BenchmarkDecode1KB(b *testing.B) {
	text := []byte(kilobyte())
	b.ReportMetric(float64(len(text)), "bytes")
	b.Run("binder", func(b *testing.B) {
		benchDecode(b, text, func(t []byte, v any) error { return jsonv2.Unmarshal(t, v) })
	})
	b.Run("standard", func(b *testing.B) { benchDecode(b, text, json.Unmarshal) })
}

func benchDecode(b *testing.B, text []byte, decode func([]byte, any) error) {
	b.ReportAllocs()
	for b.Loop() {
		var got body
		if err := decode(text, &got); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkErrors(b *testing.B) {
	d := mustLoad(b)
	handler := d.Check(bounds)(func(echo.Context) error { return nil })
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequest("POST", "/api/secrets", strings.NewReader(`{"name":1}`))
		c := echo.New().NewContext(r, nil)
		c.SetPath("/api/secrets")
		if _, invalid := handler(c).(*fastapi.ValidationError); !invalid {
			b.Fatal("accepted")
		}
	}
}
