// Package console serves the web console at /console, and the documentation of the APIs
// at /docs.
//
// Pages are made on the server with html/template. A small script submits forms, shows
// revealed values and copies text; nothing is fetched from other hosts. Pages reach
// secrets only through [secret.Service], as the APIs do.
//
// Start reading at [New], which lists the routes. guard.go has the headers and checks of
// every request, visit.go the sessions, issuer.go the sign-in at an OpenID
// Connect issuer, and render.go the templates.
package console

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/strongroom/strongroom/internal/api"
	"github.com/strongroom/strongroom/internal/audit"
	"github.com/strongroom/strongroom/internal/auth"
	"github.com/strongroom/strongroom/internal/auth/apikey"
	"github.com/strongroom/strongroom/internal/auth/oidc"
	"github.com/strongroom/strongroom/internal/issued"
	"github.com/strongroom/strongroom/internal/lastaccess"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/session"
)

// Options are the parts of a console.
type Options struct {
	// Chain has the limits, the memory budget and the proxies. Its strategies are not used.
	Chain auth.Chain
	// APIKeys are the strategies whose API keys can sign in, in this order.
	APIKeys []APIKeys
	// Issuers are the OpenID Connect issuers at which people can sign in.
	Issuers []Issuer
	// URL is the address by which browsers reach the server; empty: that of the request,
	// with https if TLS is set.
	URL string
	TLS bool
	// Kinds are the kinds of owner whose secrets the console shows.
	Kinds []Kind
	// Sessions are the stored sessions.
	Sessions *session.Sessions
	// LastAccess returns when the values of a secret were last read.
	LastAccess func(secret.Ref) (lastaccess.Access, bool, error)
	// Server describes the server, with the results of all checks if they are asked for.
	Server func(ctx context.Context, check bool) (Server, error)
	// Backup writes an encrypted backup, for an age recipient if there is one.
	Backup func(ctx context.Context, caller secret.Caller, recipient string, w io.Writer) error
	// Agents has the issued API keys and agent keys.
	Agents *issued.Keys
	// Audit is the audit log.
	Audit Audit
	// Named reports whether the server is reached by this name: see [Console.checkHost].
	Named func(host string) bool
	// Documents are the documents of the served APIs.
	Documents []Document
}

// APIKeys is a strategy of the config for API keys.
type APIKeys struct {
	Name     string
	Strategy *apikey.Strategy
}

// An Issuer is an OpenID Connect issuer at which people can sign in.
type Issuer struct {
	Name   string // of its strategy in the config
	Label  string // of the button
	Client *oidc.Client
}

// A Kind is a kind of owner, with the rules of the API that serves its secrets.
type Kind struct {
	Kind    string // as in secret.Owner
	Secrets *secret.Service
	// CheckOwner returns an InvalidError for an owner's id that the API refuses.
	CheckOwner func(id string) error
	// CheckName returns an InvalidError for a name that the API refuses.
	CheckName func(name string) error
	// OnlyKey is the one data key of each secret; empty: any keys.
	OnlyKey string
	// Suspicious says how to treat values that look like a mistake.
	Suspicious api.SuspiciousValues
}

// Audit reads the audit log. It is *audit.Log.
type Audit interface {
	Read(after uint64, limit int) ([]audit.Entry, error)
	Tail(limit int) ([]audit.Entry, error)
	Verify(ctx context.Context) (audit.Report, error)
}

// A Document is the OpenAPI document of an API.
type Document struct {
	Name string // part of its address, as in /docs/nx1
	JSON []byte
}

// hideAfter is the time after which a page hides a revealed value.
const hideAfter = 30 * time.Second

// A Console answers requests below /console and /docs. It is safe for concurrent use.
type Console struct {
	Options
	log    *slog.Logger
	routes *http.ServeMux
	cross  *http.CrossOriginProtection
	pages  *pages
	docs   []*apiDoc

	printKey []byte // of fingerprints
}

// New returns a console. The error is a mistake in a document.
func New(o Options, log *slog.Logger) (*Console, error) {
	c := &Console{Options: o, log: log, routes: http.NewServeMux(), cross: http.NewCrossOriginProtection(), pages: allPages(), printKey: make([]byte, sha256.Size)}
	_, _ = rand.Read(c.printKey) // never fails: crypto/rand crashes the program instead
	for _, d := range o.Documents {
		doc, err := readDoc(d)
		if err != nil {
			return nil, err
		}
		c.docs = append(c.docs, doc)
	}
	c.public("GET /console/sign-in", c.signInPage)
	c.public("POST /console/sign-in", c.signIn)
	c.public("GET /console/sign-in/{issuer}", c.askIssuer)
	c.public("GET /console/signed-in/{issuer}", c.answered)
	c.public("GET /console/continue", c.proceed)
	c.public("GET /console/assets/{name}", c.asset)
	c.public("GET /docs", c.docsIndex)
	c.public("GET /docs/{name}", c.docsPage)
	c.public("/", c.notFound)
	c.private("POST /console/sign-out", c.signOut)
	c.private("GET /console", c.list)
	c.private("GET /console/secret", c.secretPage)
	c.private("GET /console/compare", c.compare)
	c.private("POST /console/compare", c.compareValues)
	c.private("GET /console/owners", c.compareOwners)
	c.private("POST /console/owners", c.compareOwnersValues)
	c.private("GET /console/new", c.newPage)
	c.private("GET /console/edit", c.editPage)
	c.private("POST /console/reveal", c.reveal)
	c.private("POST /console/create", c.create)
	c.private("POST /console/describe", c.describe)
	c.private("POST /console/replace", c.replace)
	c.private("POST /console/delete", c.delete)
	c.private("GET /console/deleted", c.deletedPage)
	c.private("POST /console/undelete", c.undelete)
	c.private("POST /console/restore", c.restore)
	c.private("GET /console/agents", c.agentsPage)
	c.private("GET /console/agents/new", c.newAgentPage)
	c.private("POST /console/agents/create", c.createAgent)
	c.private("POST /console/agents/revoke", c.revokeAgent)
	c.private("GET /console/audit", c.auditPage)
	c.private("GET /console/audit/new", c.newer)
	c.private("GET /console/audit/export", c.export)
	c.administrators("GET /console/server", c.serverPage)
	c.administrators("GET /console/server/new", c.newKeyPage)
	c.administrators("POST /console/server/create", c.createKey)
	c.administrators("POST /console/server/revoke", c.revokeKey)
	c.administrators("POST /console/server/backup", c.backup)
	c.private("GET /console/sessions", c.sessionsPage)
	c.private("POST /console/sessions/end", c.endSession)
	return c, nil
}

func (c *Console) kind(name string) *Kind {
	for i := range c.Kinds {
		if c.Kinds[i].Kind == name {
			return &c.Kinds[i]
		}
	}
	return nil
}
