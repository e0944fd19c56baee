package openhandsv1

import (
	"net/http"

	"github.com/strongroom/strongroom/internal/api"
	"github.com/strongroom/strongroom/internal/api/custom"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/server"
)

// A page is a part of a list:
//
//	{"items":[{"name":"API_KEY","description":""}],"next_page_id":null}
type page struct {
	Items []custom.Item `json:"items"`
	Next  *string       `json:"next_page_id"` // the last name of this page, if there is another
}

// pageOf is the first page of the secrets.
func pageOf(infos []secret.Info, limit int) page {
	if len(infos) <= limit {
		return page{Items: custom.Items(infos)}
	}
	return page{custom.Items(infos[:limit]), &infos[limit-1].Name}
}

func (p page) VisitSearchSecretsResponse(w http.ResponseWriter) error {
	return server.WriteJSON(w, http.StatusOK, p)
}

// done says that a change was made, and the revision that it made if there is
// one.
type done struct {
	status   int
	message  string
	revision secret.Revision
	warnings api.Warnings
}

func (d done) write(w http.ResponseWriter) error {
	d.warnings.Set(w.Header())
	if d.revision != "" {
		server.SetETag(w.Header(), string(d.revision))
	}
	return server.WriteJSON(w, d.status, struct {
		Message string `json:"message"`
	}{d.message})
}

func (d done) VisitSaveSecretResponse(w http.ResponseWriter) error   { return d.write(w) }
func (d done) VisitUpdateSecretResponse(w http.ResponseWriter) error { return d.write(w) }
func (d done) VisitDeleteSecretResponse(w http.ResponseWriter) error { return d.write(w) }
