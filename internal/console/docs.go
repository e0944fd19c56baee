package console

import (
	"html/template"
	"net/http"
	"regexp"
	"strings"

	"github.com/strongroom/strongroom/internal/secret"
)

// docsIndex lists the documents. Like the documents it needs no credential.
func (c *Console) docsIndex(v *visit) error {
	c.recognize(v)
	return c.render(v, http.StatusOK, "docs", page{Title: "APIs", Nav: "docs", Body: c.docs})
}

func (c *Console) docsPage(v *visit) error {
	for _, doc := range c.docs {
		if doc.Name == v.r.PathValue("name") {
			c.recognize(v)
			return c.render(v, http.StatusOK, "doc", page{Title: doc.Title, Nav: "docs", Script: "try.js", Body: doc})
		}
	}
	return secret.ErrNotFound
}

// recognize finds the caller of a public page for its navigation, if it is signed in.
func (c *Console) recognize(v *visit) {
	if sent, err := v.r.Cookie(cookieName); err == nil {
		v.caller, _ = c.callerOf(v, sent.Value)
	}
}

var (
	codeSpan  = regexp.MustCompile("`([^`]+)`")
	paragraph = regexp.MustCompile(`\n\s*\n`)
)

// prose makes HTML of a description in a document: paragraphs, lists, and code in
// backquotes. It escapes everything else.
func prose(text string) template.HTML {
	var html strings.Builder
	for _, block := range paragraph.Split(strings.TrimSpace(text), -1) {
		if block == "" {
			continue
		}
		escaped := codeSpan.ReplaceAllString(template.HTMLEscapeString(block), "<code>$1</code>")
		if items, ok := strings.CutPrefix(escaped, "- "); ok {
			html.WriteString("<ul><li>" + strings.ReplaceAll(items, "\n- ", "</li><li>") + "</li></ul>")
			continue
		}
		html.WriteString("<p>" + escaped + "</p>")
	}
	return template.HTML(html.String()) // #nosec G203 -- escaped above
}
