package console

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/strongroom/strongroom/internal/secret"
)

//go:embed pages/*.html
var pageFiles embed.FS

//go:embed assets/*
var assetFiles embed.FS

// pages are the parsed templates, and the assets by the names that pages use, which have
// a hash so that browsers can keep them.
type pages struct {
	byName map[string]*template.Template
	assets map[string][]byte
	named  map[string]string // the name with the hash
}

// allPages parses the templates at the first call, so that a server without a console
// does not.
var allPages = sync.OnceValue(func() *pages {
	p := &pages{byName: map[string]*template.Template{}, assets: map[string][]byte{}, named: map[string]string{}}
	each(assetFiles, "assets", func(name string, text []byte) {
		sum, ext := sha256.Sum256(text), path.Ext(name)
		p.named[name] = strings.TrimSuffix(name, ext) + "-" + hex.EncodeToString(sum[:6]) + ext
		p.assets[p.named[name]] = text
	})
	layout := template.Must(template.New("layout.html").Funcs(template.FuncMap{
		"asset":  func(name string) string { return "/console/assets/" + p.named[name] },
		"secret": func(ref secret.Ref) string { return address("secret", ref) },
		"edit":   func(ref secret.Ref) string { return address("edit", ref) },
		"agent":  func(ref secret.Ref) string { return address("agents/new", ref) },
		"owner":  func(o secret.Owner) string { return "/console?owner=" + url.QueryEscape(o.String()) },
		"versions": func(ref secret.Ref, old, now secret.Revision) string {
			return address("compare", ref) + "&" + url.Values{"old": {string(old)}, "new": {string(now)}}.Encode()
		},
		"ago": ago,

		"browserName": browserName,
		"prose":       prose,
		"moment":      moment,
		"iso":         func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	}).ParseFS(pageFiles, "pages/layout.html"))
	each(pageFiles, "pages", func(name string, text []byte) {
		if name != "layout.html" {
			t := template.Must(layout.Clone())
			p.byName[strings.TrimSuffix(name, ".html")] = template.Must(t.New(name).Parse(string(text)))
		}
	})
	return p
})

// each calls fn for every file of an embedded directory.
func each(files embed.FS, dir string, fn func(name string, text []byte)) {
	entries, err := fs.ReadDir(files, dir)
	if err != nil {
		panic(err) // it was embedded
	}
	for _, e := range entries {
		text, err := files.ReadFile(dir + "/" + e.Name())
		if err != nil {
			panic(err) // it was embedded
		}
		fn(e.Name(), text)
	}
}

// address returns the address of a page about a secret.
func address(name string, ref secret.Ref) string {
	return "/console/" + name + "?" + url.Values{"owner": {ref.Owner.String()}, "name": {ref.Name}}.Encode()
}

// moment writes a time for people.
func moment(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format("2006-01-02 15:04 UTC")
}

// ago writes how long ago something happened.
func ago(t time.Time) string {
	switch d := time.Since(t); {
	case d < time.Minute:
		return "just now"
	case d < time.Hour:
		return count(int(d.Minutes()), "minute")
	case d < 48*time.Hour:
		return count(int(d.Hours()), "hour")
	default:
		return count(int(d.Hours()/24), "day")
	}
}

func count(n int, of string) string {
	if n == 1 {
		return "1 " + of + " ago"
	}
	return fmt.Sprintf("%d %ss ago", n, of)
}

// browserName names browser and system in a User-Agent, which is hard to read.
func browserName(agent string) string {
	first := func(marks ...string) string { // pairs of a mark and its meaning
		for i := 0; i < len(marks); i += 2 {
			if strings.Contains(agent, marks[i]) {
				return marks[i+1]
			}
		}
		return ""
	}
	// Most browsers also claim to be others, so the order matters.
	browser := first("Edg/", "Edge", "Firefox/", "Firefox", "Chrome/", "Chrome", "Safari/", "Safari")
	system := first("Android", "Android", "iPhone", "iOS", "iPad", "iOS", "Windows", "Windows", "Mac OS X", "macOS", "Linux", "Linux")
	switch {
	case browser == "":
		return agent
	case system == "":
		return browser
	}
	return browser + " on " + system
}

// A page is the data of a template.
type page struct {
	Title   string
	Nav     string // the current item of the navigation
	Subject string // the caller; empty if not signed in
	Script  string // in place of console.js
	Owner   string // the current owner, if there is one
	Refresh string // the page to redirect to at once
	Audits  bool   // the caller may read a part of the audit log

	Administers bool // the caller is an administrator of the server
	Body        any
}

// render answers with the page. It is made as a whole first, so that an error does not
// cut it.
func (c *Console) render(v *visit, status int, name string, p page) error {
	p.Subject = v.caller.Subject
	p.Audits, p.Administers = c.audits(v.caller), administers(v.caller)
	var text bytes.Buffer
	if err := c.pages.byName[name].ExecuteTemplate(&text, "layout.html", p); err != nil {
		return fmt.Errorf("making the page %s: %w", name, err)
	}
	if err := v.caller.Hold(text.Len()); err != nil {
		return err
	}
	v.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	v.w.WriteHeader(status)
	_, _ = text.WriteTo(v.w)
	return nil
}

// contentTypes are those of the assets.
var contentTypes = map[string]string{
	".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
}

// asset serves the style sheet, the script or the icon.
func (c *Console) asset(v *visit) error {
	name := v.r.PathValue("name")
	text, ok := c.pages.assets[name]
	if !ok {
		return secret.ErrNotFound
	}
	h := v.w.Header()
	h.Set("Content-Type", contentTypes[path.Ext(name)])
	h.Set("Cache-Control", "public, max-age=31536000, immutable") // a changed file has another name
	http.ServeContent(v.w, v.r, "", time.Time{}, bytes.NewReader(text))
	return nil
}
