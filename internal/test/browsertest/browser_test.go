// Package browsertest drives the console in a real Chromium, against the real program
// over a real socket. It is a separate module, so that the browser's protocol stays out
// of Strongroom's dependencies.
package browsertest

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// patience is the longest wait for a page. The race detector and other tests on the same
// two cores make it slow.
const patience = 30 * time.Second

// A browser is one Chromium, which all tests share. Each test has a profile of its own.
type browser struct {
	once sync.Once
	ctx  context.Context
	stop context.CancelFunc
	err  error
}

var chromium browser

// start returns a context of the browser. Without Chromium the test reports NOT TESTED.
func (b *browser) start(t *testing.T) context.Context {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skipf("THE CONSOLE IS NOT TESTED: %v: install Debian's package chromium", err)
	}
	b.once.Do(func() {
		options := append(chromedp.DefaultExecAllocatorOptions[:],
			chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.Flag("force-color-profile", "srgb"),
			chromedp.Flag("hide-scrollbars", true))
		allocator, stopAllocator := chromedp.NewExecAllocator(context.Background(), options...)
		ctx, stop := chromedp.NewContext(allocator)
		b.ctx, b.err = ctx, chromedp.Do(ctx)
		b.stop = func() { stop(); stopAllocator() }
	})
	if b.err != nil {
		t.Fatalf("starting %s: %v", path, b.err)
	}
	return b.ctx
}

// A tab is a page in a profile of its own.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu       sync.Mutex // guards the fields below
	console  []string   // messages and errors of the page, as its developer would see them
	problems []string   // exceptions
}

// newTab opens a tab. An error of its scripts fails the test.
func newTab(t *testing.T) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(chromium.start(t), chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	b := &tab{t: t, ctx: ctx}
	if err := chromedp.Listen(ctx, b.listen); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, problem := range b.problems {
			t.Errorf("an exception in the page: %s", problem)
		}
	})
	return b
}

func (b *tab) listen(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		b.problems = append(b.problems, e.ExceptionDetails.Text+" "+e.ExceptionDetails.Exception.Description)
	case *cdplog.EventEntryAdded:
		b.console = append(b.console, e.Entry.Text)
	case *runtime.EventConsoleAPICalled:
		for _, a := range e.Args {
			b.console = append(b.console, string(a.Value))
		}
	}
}

// said returns the messages that the page has written to its console.
func (b *tab) said() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Join(b.console, "\n")
}

// run runs the actions, and ends the test if one fails.
func (b *tab) run(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	for _, action := range actions {
		get(b, action)
	}
}

// get runs the action and returns its value, and ends the test if it fails.
func get[T any](b *tab, action chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	value, err := chromedp.Run(ctx, action)
	if err != nil {
		look, stop := context.WithTimeout(b.ctx, 2*time.Second)
		defer stop()
		page, _ := chromedp.Run(look, chromedp.Evaluate[string](`location.href + "\n" + document.body.innerText`))
		b.t.Fatalf("%v, on %s\n%s", err, page, b.said())
	}
	return value
}

// open goes to the address.
func (b *tab) open(address string) { b.t.Helper(); b.run(chromedp.Navigate(address)) }

// click clicks the first visible element, with the mouse.
func (b *tab) click(selector string) {
	b.t.Helper()
	b.run(chromedp.Click(chromedp.CSS(selector), chromedp.NodeVisible))
}

// fill types into a field.
func (b *tab) fill(selector, text string) {
	b.t.Helper()
	b.run(chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`document.querySelector(%q).value = ''`, selector)),
		chromedp.SendKeys(chromedp.CSS(selector), text, chromedp.NodeVisible))
}

// waitFor waits until an element is visible and has the text. The page may navigate
// meanwhile.
func (b *tab) waitFor(selector, text string) {
	b.t.Helper()
	visible := fmt.Sprintf(`[...document.querySelectorAll(%q)].some(e => e.checkVisibility() && e.textContent.includes(%q))`, selector, text)
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if found, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](visible)); err == nil && found {
			return
		}
	}
	b.t.Fatalf("no %s has the text %q, on %s\n%s\n%s", selector, text, b.at(), eval[string](b, `document.body.innerText`), b.said())
}

// evaluate returns an action that runs the expression.
func evaluate(expression string) chromedp.Action[chromedp.Void] {
	return chromedp.Evaluate[chromedp.Void](expression)
}

// eval returns the value of the expression. It waits for promises.
func eval[T any](b *tab, expression string) T {
	b.t.Helper()
	return get(b, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

// html returns the page as it is now.
func (b *tab) html() string {
	b.t.Helper()
	return eval[string](b, `document.documentElement.outerHTML`)
}

// at returns the address of the page.
func (b *tab) at() string { b.t.Helper(); return eval[string](b, `location.href`) }

// command returns an action that runs a command of the protocol.
func command[P, R any](c cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, c, params)
		return err
	})
}

// size sets the size and the color scheme of the page.
func (b *tab) size(width, height int64, scheme string) {
	b.t.Helper()
	b.run(chromedp.EmulateViewport(width, height), command(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
		},
	}))
}
