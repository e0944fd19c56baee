package v1

import (
	"net/http"

	"github.com/strongroom/strongroom/internal/api/openhands/custom"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/server"
)

// A page is a part of a list:
//
//	{"items":[{"name":"API_KEY","description":""}],"next_page_id":null}
type page struct {
	items custom.Items
	next  string // the last name of this page, if there is another
}

// pageOf is the first page of the secrets.
func pageOf(infos []secret.Info, limit int) page {
	if len(infos) <= limit {
		return page{items: infos}
	}
	return page{infos[:limit], infos[limit-1].Name}
}

// AppendTo writes the page as JSON.
func (p page) AppendTo(t *server.Text) {
	t.Append(`{"items":`)
	p.items.AppendTo(t, false)
	t.Append(`,"next_page_id":`)
	if p.next == "" {
		t.Append(`null}`)
		return
	}
	t.Quote(p.next)
	t.Append(`}`)
}

func (p page) VisitSearchSecretsResponse(w http.ResponseWriter) error {
	return server.WriteAppended(w, http.StatusOK, p)
}

type done struct{ custom.Done }

func (d done) VisitSaveSecretResponse(w http.ResponseWriter) error   { return d.Write(w) }
func (d done) VisitUpdateSecretResponse(w http.ResponseWriter) error { return d.Write(w) }
func (d done) VisitDeleteSecretResponse(w http.ResponseWriter) error { return d.Write(w) }
