package server

import (
	"bytes"
	"compress/gzip"
	"context"
	"html/template"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"mems/gen/api"
	"mems/gen/guides"
	"mems/internal/contract"
	"mems/internal/docs"
)

// registerAssets serves the files of the HTML pages, which are not operations of the
// contract.
func (s *Server) registerAssets() {
	s.echo.GET("/", func(c echo.Context) error { return c.Redirect(http.StatusFound, "/docs") })
	s.echo.GET("/docs/init.js", asset("init.js", "text/javascript; charset=utf-8"))
	s.echo.GET("/docs/styles.js", asset("styles.js", "text/javascript; charset=utf-8"))
	s.echo.GET("/docs/style.css", asset("style.css", "text/css; charset=utf-8"))
	if s.cfg.Desk != nil {
		s.echo.GET("/reception", func(c echo.Context) error { return c.Redirect(http.StatusMovedPermanently, "/reception/") })
		s.echo.GET("/reception/*", echo.WrapHandler(s.cfg.Desk))
	}
	s.echo.GET("/docs/guide", markdown(guides.Partner))
	s.echo.GET("/docs/client", markdown(guides.Client))
	s.echo.GET("/docs/scalar.js", asset("scalar.js.gz", "text/javascript; charset=utf-8"))
}

// markdown serves Markdown as plain text: browsers display that, but download
// text/markdown.
func markdown(text []byte) echo.HandlerFunc {
	return func(c echo.Context) error {
		h := c.Response().Header()
		h.Set("Content-Type", "text/plain; charset=utf-8")
		h.Set("Cache-Control", "no-cache")
		http.ServeContent(c.Response(), c.Request(), "", time.Time{}, bytes.NewReader(text))
		return nil
	}
}

// asset serves an embedded file; a gzipped one is sent compressed to clients that accept
// it.
func asset(path, mediaType string) echo.HandlerFunc {
	return func(c echo.Context) error {
		data, err := docs.Files.ReadFile(path)
		if err != nil {
			return err
		}
		h := c.Response().Header()
		h.Set("Content-Type", mediaType)
		h.Set("Cache-Control", "no-cache") // revalidate: a new version of MEMS has new files
		if strings.HasSuffix(path, ".gz") {
			h.Set("Vary", "Accept-Encoding")
			if !acceptsGzip(c.Request()) {
				unpacked, err := gzip.NewReader(bytes.NewReader(data))
				if err != nil {
					return err
				}
				_, err = io.Copy(c.Response(), unpacked) //nolint:gosec // G110: our own file
				return err
			}
			h.Set("Content-Encoding", "gzip")
		}
		http.ServeContent(c.Response(), c.Request(), "", time.Time{}, bytes.NewReader(data))
		return nil
	}
}

// GetDocs returns the interactive documentation.
func (s *Server) GetDocs(ctx context.Context, _ api.GetDocsRequestObject) (api.GetDocsResponseObject, error) {
	page, err := docs.Files.ReadFile("index.html")
	if err != nil {
		return nil, err
	}
	nonce, _ := ctx.Value(nonceKey{}).(string)
	page = bytes.Replace(page, []byte("{{nonce}}"), []byte(nonce), 1)
	return api.GetDocs200TextHTMLResponse{Body: bytes.NewReader(page), ContentLength: int64(len(page))}, nil
}

// GetContract returns openapi.yaml, byte for byte.
func (s *Server) GetContract(context.Context, api.GetContractRequestObject) (api.GetContractResponseObject, error) {
	return api.GetContract200ApplicationYamlResponse{Body: bytes.NewReader(api.SpecYAML), ContentLength: int64(len(api.SpecYAML))}, nil
}

// contractJSON is the contract as JSON, with the members in the order of openapi.yaml.
type contractJSON []byte

// VisitGetContractAsJSONResponse writes the response.
func (c contractJSON) VisitGetContractAsJSONResponse(w http.ResponseWriter) error {
	w.Header().Set("Content-Type", "application/json")
	_, err := w.Write(c)
	return err
}

// GetContractAsJSON returns the contract as JSON.
func (s *Server) GetContractAsJSON(context.Context, api.GetContractAsJSONRequestObject) (api.GetContractAsJSONResponseObject, error) {
	json, err := embeddedJSON()
	return contractJSON(json), err
}

// varyAccept is the Vary header of resources that are a page or JSON by Accept.
var varyAccept = "Accept"

// ListProblemTypes returns all problem types as a page or as JSON.
func (s *Server) ListProblemTypes(ctx context.Context, _ api.ListProblemTypesRequestObject) (api.ListProblemTypesResponseObject, error) {
	headers := api.ListProblemTypes200ResponseHeaders{Vary: &varyAccept}
	if wantsJSON(ctx) {
		return api.ListProblemTypes200JSONResponse{Body: api.ProblemTypeList{Items: items(contract.ProblemTypes(), problemTypeToAPI)}, Headers: headers}, nil
	}
	page, err := renderProblems(contract.ProblemTypes(), "Problem types")
	if err != nil {
		return nil, err
	}
	return api.ListProblemTypes200TextHTMLResponse{Body: bytes.NewReader(page), Headers: headers, ContentLength: int64(len(page))}, nil
}

// GetProblemType returns one problem type as a page or as JSON.
func (s *Server) GetProblemType(ctx context.Context, r api.GetProblemTypeRequestObject) (api.GetProblemTypeResponseObject, error) {
	t, headers := contract.ProblemTypeOf(r.Slug), api.GetProblemType200ResponseHeaders{Vary: &varyAccept}
	if wantsJSON(ctx) {
		return api.GetProblemType200JSONResponse{Body: problemTypeToAPI(t), Headers: headers}, nil
	}
	page, err := renderProblems([]contract.ProblemType{t}, t.Title)
	if err != nil {
		return nil, err
	}
	return api.GetProblemType200TextHTMLResponse{Body: bytes.NewReader(page), Headers: headers, ContentLength: int64(len(page))}, nil
}

// wantsJSON reports whether a request prefers JSON to a page.
func wantsJSON(ctx context.Context) bool {
	request, ok := ctx.Value(clientKey{}).(*http.Request)
	if !ok {
		return false
	}
	accept := strings.Join(request.Header.Values("Accept"), ",")
	return contract.Prefers(accept, "application/json", "text/html")
}

func problemTypeToAPI(t contract.ProblemType) api.ProblemType {
	return api.ProblemType{
		Type: "/problems/" + string(t.Slug), Title: t.Title, Status: int32(t.Status), Explanation: t.Explanation, Next: t.Detail, //nolint:gosec // G115: a status
	}
}

var problemPage = template.Must(template.New("problems").Parse(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{.Title}} – MEMS</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/docs/style.css">
</head>
<body>
<header><a href="/docs">MEMS API</a>{{if not .All}} <span aria-hidden="true">›</span> <a href="/problems">Problem types</a>{{end}}</header>
<main>
<h1>{{.Title}}</h1>
{{if .All}}<p>Every error of this API is a problem document (RFC 9457). Its <code>type</code> is one of these and never changes its meaning.</p>{{end}}
{{range .Problems}}<section id="{{.Slug}}">
{{if $.All}}<h2><a href="/problems/{{.Slug}}">{{.Title}}</a></h2>{{end}}
<p class="type"><code>/problems/{{.Slug}}</code> <span class="status">{{.Status}} {{.StatusText}}</span></p>
<p>{{.Explanation}}</p>
<p class="next"><strong>What to do:</strong> {{.Detail}}</p>
</section>
{{end}}</main>
</body>
</html>
`))

func renderProblems(types []contract.ProblemType, title string) ([]byte, error) {
	data := struct {
		Title    string
		All      bool
		Problems []contract.ProblemType
	}{Title: title, All: len(types) > 1, Problems: types}
	var page bytes.Buffer
	err := problemPage.Execute(&page, data)
	return page.Bytes(), err
}
