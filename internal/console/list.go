package console

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/strongroom/strongroom/internal/secret"
)

const (
	// perPage is the number of secrets on a page.
	perPage = 50
	// searchOwners and searchSecrets limit the owners and secrets that one search reads.
	searchOwners  = 500
	searchSecrets = 20_000
	// showOwners is the number of owners in the column beside the list.
	showOwners = 100
)

// A listBody is a list of secrets of one owner or of all owners.
type listBody struct {
	Owners   []ownerLink
	More     int    // owners that are not shown
	Query    string // the searched text
	Secrets  []secret.Info
	Total    int
	Page     int
	Pages    int
	Before   string // address of the page before; empty: none
	After    string
	Partial  bool       // the search has reached a limit
	New      string     // address of the form for a new secret
	Deleted  string     // address of the owner's deleted secrets
	Restores secret.Ref // the secret that was just deleted, if it can be restored
}

type ownerLink struct {
	secret.Owner
	Count   string // number of its secrets; empty: not known
	Current bool
}

// list shows the first page: the secrets of one owner or of all owners, and the search.
func (c *Console) list(v *visit) error {
	owners, err := c.owners(v)
	if err != nil {
		return err
	}
	body := listBody{Query: strings.TrimSpace(v.values.Get("q"))}
	searched, title := owners, "Secrets"
	var current secret.Owner
	if text := v.values.Get("owner"); text != "" {
		if current, err = secret.ParseOwner(text); err != nil {
			return secret.ErrNotFound
		}
		searched, title = []secret.OwnerInfo{{Owner: current}}, current.String()
	}
	found, partial, err := c.search(v, searched, body.Query)
	if err != nil {
		return err
	}
	body.Partial = partial
	body.paginate(found, v.values)
	body.listOwners(owners, current)
	body.New = "/console/new"
	if current != (secret.Owner{}) {
		body.New += "?owner=" + url.QueryEscape(current.String())
		c.addDeleted(v, &body, current, v.values.Get("deleted"))
	}
	return c.render(v, http.StatusOK, "list", page{Title: title, Nav: "secrets", Owner: ownerText(current), Body: body})
}

func ownerText(o secret.Owner) string {
	if o == (secret.Owner{}) {
		return ""
	}
	return o.String()
}

// owners returns the owners with secrets that the caller may list. Grants name single
// owners. For a grant on every owner of a kind it asks the store.
func (c *Console) owners(v *visit) (all []secret.OwnerInfo, err error) {
	seen := map[secret.Owner]int{}
	for _, kind := range c.Kinds {
		for _, g := range v.caller.Grants {
			if o := g.Owner; o.Kind == kind.Kind && o.ID != secret.AnyID && v.caller.May(secret.List, secret.Ref{Owner: o}) {
				seen[o] = -1
			}
		}
		if !v.caller.May(secret.List, secret.Ref{Owner: secret.Owner{Kind: kind.Kind, ID: secret.AnyID}}) {
			continue
		}
		found, err := kind.Secrets.Owners(v.r.Context(), v.caller, kind.Kind)
		if err != nil {
			return nil, err
		}
		for _, o := range found {
			seen[o.Owner] = o.Secrets
		}
	}
	for o, n := range seen {
		all = append(all, secret.OwnerInfo{Owner: o, Secrets: n})
	}
	slices.SortFunc(all, func(a, b secret.OwnerInfo) int { return strings.Compare(a.String(), b.String()) })
	return all, nil
}

// search returns the owners' secrets with the text in the name or the description, in
// upper or lower case. It reports whether it stopped at a limit.
func (c *Console) search(v *visit, owners []secret.OwnerInfo, text string) (found []secret.Info, partial bool, err error) {
	text = strings.ToLower(text)
	seen := 0
	for i, o := range owners {
		if i == searchOwners || seen >= searchSecrets {
			return found, true, nil
		}
		kind := c.kind(o.Kind)
		if kind == nil {
			return nil, false, secret.ErrNotFound
		}
		infos, err := kind.Secrets.List(v.r.Context(), v.caller, o.Owner, secret.Page{Limit: searchSecrets - seen})
		if err != nil {
			return nil, false, err
		}
		seen += len(infos)
		for _, info := range infos {
			if text == "" || strings.Contains(strings.ToLower(info.Name), text) || strings.Contains(strings.ToLower(info.Description), text) {
				found = append(found, info)
			}
		}
	}
	return found, seen >= searchSecrets, nil
}

// paginate keeps one page of the found secrets.
func (b *listBody) paginate(found []secret.Info, query url.Values) {
	b.Total = len(found)
	b.Pages = max(1, (len(found)+perPage-1)/perPage)
	n, err := strconv.Atoi(query.Get("page"))
	if err != nil || n < 1 {
		n = 1
	}
	b.Page = min(n, b.Pages)
	b.Secrets = found[min(len(found), (b.Page-1)*perPage):min(len(found), b.Page*perPage)]
	at := func(n int) string {
		next := url.Values{"page": {strconv.Itoa(n)}}
		for _, name := range []string{"owner", "q"} {
			if text := query.Get(name); text != "" {
				next.Set(name, text)
			}
		}
		return "/console?" + next.Encode()
	}
	if b.Page > 1 {
		b.Before = at(b.Page - 1)
	}
	if b.Page < b.Pages {
		b.After = at(b.Page + 1)
	}
}

func (b *listBody) listOwners(owners []secret.OwnerInfo, current secret.Owner) {
	for _, o := range owners {
		if len(b.Owners) >= showOwners && o.Owner != current {
			b.More++
			continue
		}
		link := ownerLink{Owner: o.Owner, Current: o.Owner == current}
		if o.Secrets >= 0 {
			link.Count = strconv.Itoa(o.Secrets)
		}
		b.Owners = append(b.Owners, link)
	}
}

// addDeleted adds the link to the deleted secrets, if the caller may see them, and the
// offer to restore the secret that was just deleted.
func (c *Console) addDeleted(v *visit, b *listBody, owner secret.Owner, name string) {
	if !v.caller.May(secret.History, secret.Ref{Owner: owner}) {
		return
	}
	b.Deleted = "/console/deleted?owner=" + url.QueryEscape(owner.String())
	if name == "" {
		return
	}
	deleted, err := c.kind(owner.Kind).Secrets.Deleted(v.r.Context(), v.caller, owner)
	if errors.Is(err, secret.ErrNoHistory) {
		b.Deleted = ""
	}
	if slices.ContainsFunc(deleted, func(d secret.Deleted) bool { return d.Name == name }) {
		b.Restores = secret.Ref{Owner: owner, Name: name}
	}
}
