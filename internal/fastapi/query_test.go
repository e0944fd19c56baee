package fastapi_test

import (
	"net/http"
	"testing"
)

func TestQueryParameters(t *testing.T) {
	const (
		kind    = `missing ["query","kind"] Field required`
		text    = `string_type ["query","name__contains"] Input should be a valid string`
		unicode = `Input should be a valid string, unable to parse raw data as a unicode string`
		number  = `int_parsing ["query","limit"] Input should be a valid integer, unable to parse string as an integer`
		small   = `greater_than ["query","limit"] Input should be greater than 0`
		large   = `less_than_equal ["query","limit"] Input should be less than or equal to 100`
	)
	e := newServer(t)
	for query, want := range map[string]string{
		"kind=":                              "",
		"kind=k&limit=1":                     "",
		"kind=k&limit=100":                   "",
		"kind=k&limit=007":                   "",
		"kind=k&offset=-5":                   "",
		"kind=k&name__contains=":             "",
		"kind=k&name__contains=a+%C3%A9%26":  "",
		"kind=k&Limit=x&other=%FF&a=1&a=2":   "",
		"k%69nd=k":                           "",
		"":                                   kind,
		"Kind=k":                             kind,
		"limit=x":                            number + "; " + kind,
		"kind=k&limit=0":                     small,
		"kind=k&limit=-1":                    small,
		"kind=k&limit=-99999999999999999999": small,
		"kind=k&limit=101":                   large,
		"kind=k&limit=99999999999999999999":  large,
		"kind=k&limit=":                      number,
		"kind=k&limit=-":                     number,
		"kind=k&limit=%2B5":                  number,
		"kind=k&limit=5.0":                   number,
		"kind=k&limit=1_0":                   number,
		"kind=k&limit=0x10":                  number,
		"kind=k&limit=+5":                    number,
		"kind=k&limit=٥":                     number,
		"kind=k&limit=1&limit=2":             `int_type ["query","limit"] Input should be a valid integer`,
		"kind=k&name__contains=a&name__contains=a": text,
		"kind=k&name__contains=%FF":                `string_unicode ["query","name__contains"] ` + unicode,
		"kind=%zz":                                 `string_unicode ["query"] ` + unicode,
		"kind=k;limit=5":                           `string_unicode ["query"] ` + unicode,
	} {
		status, answer := send(e, http.MethodGet, "/api/v1/secrets/search?"+query, "", "")
		got := ""
		if status == http.StatusUnprocessableEntity {
			got = details(t, answer)
		}
		if got != want || (want == "") != (status == http.StatusOK) {
			t.Errorf("%s:\n got %d %s\nwant %s", query, status, got, want)
		}
	}
	if status, answer := send(e, http.MethodDelete, "/api/secrets/A?x=1&x=%FF&;", "", ""); status != http.StatusOK {
		t.Errorf("a query where the document has none: %d %s", status, answer)
	}
}
