package server_test

import (
	"regexp"
	"strings"
	"testing"

	"mems/gen/api"
)

// /docs links to the guide, the client and the problem types, and names a server that can be
// called.
func TestDocsLeadOn(t *testing.T) {
	t.Parallel()
	f := setup(t, "Europe/Zurich")
	doc, err := api.GetSpec()
	if err != nil {
		t.Fatal(err)
	}
	page := string(f.Get("/docs").Want(t, 200, "").Body)
	links := regexp.MustCompile(`\]\((/[^)]*)\)|href="(/[^"]*)"`).FindAllStringSubmatch(doc.Info.Description+page, -1)
	found := map[string]bool{}
	for _, link := range links {
		path := link[1] + link[2]
		found[path] = true
		f.Get(path).Want(t, 200, "")
	}
	for _, path := range []string{"/docs/guide", "/docs/client", "/problems"} {
		if !strings.Contains(doc.Info.Description, "]("+path+")") || !strings.Contains(page, `href="`+path+`"`) {
			t.Errorf("%s: want it linked from the contract's description and from the page, of all links %v",
				path, found)
		}
	}
	guide := f.Get("/docs/guide").Want(t, 200, "")
	if kind := guide.Header.Get("Content-Type"); kind != "text/plain; charset=utf-8" || !strings.HasPrefix(string(guide.Body), "# Build on MEMS") {
		t.Errorf("guide: Content-Type %s, begins with %.40q; want text/plain and # Build on MEMS",
			kind, guide.Body)
	}
	for _, link := range regexp.MustCompile(`\]\((/[^)]*)\)`).FindAllStringSubmatch(string(guide.Body), -1) {
		f.Get(link[1]).Want(t, 200, "")
	}
	if script := string(f.Get("/docs/init.js").Body); !strings.Contains(script, "servers: [{ url: location.origin") {
		t.Errorf("/docs/init.js = %s, want this server's own address in it", script)
	}
	// A reader who has only the file needs a server address to fill in.
	var usable bool
	for _, s := range doc.Servers {
		usable = usable || strings.HasPrefix(s.URL, "https://") && s.Variables["host"] != nil
	}
	if !usable || doc.Servers[0].URL != "/" {
		t.Errorf("servers = %+v, want / first and an https address with a host to fill in", doc.Servers)
	}
}
