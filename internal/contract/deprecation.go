package contract

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
)

// A Deprecation is what the answers of a deprecated operation carry: since when
// (RFC 9745), until when (RFC 8594), and where it is explained.
type Deprecation struct{ since, sunset, link string }

// deprecationOf reads it from the contract; nil when the operation is here to
// stay. One that goes without saying when must not be served: partners plan by
// these dates.
func deprecationOf(method, path string, op *openapi3.Operation) (*Deprecation, error) {
	if !op.Deprecated {
		return nil, nil //nolint:nilnil // most are not
	}
	day := func(name string) (time.Time, error) {
		text, _ := op.Extensions[name].(string)
		at, err := time.Parse(time.DateOnly, text)
		if err != nil {
			return at, fmt.Errorf("contract: %s is deprecated: give it %s as a date such as 2027-03-01, not %v", op.OperationID, name, op.Extensions[name])
		}
		return at, nil
	}
	since, err := day("x-deprecated-at")
	if err != nil {
		return nil, err
	}
	sunset, err := day("x-sunset")
	if err != nil {
		return nil, err
	}
	if !since.Before(sunset) {
		return nil, fmt.Errorf("contract: the x-sunset of %s is not after its x-deprecated-at", op.OperationID)
	}
	return &Deprecation{
		since: fmt.Sprintf("@%d", since.Unix()), sunset: sunset.Format(http.TimeFormat),
		link: "</docs#" + DocsAnchor(method, path, op) + `>; rel="deprecation"; type="text/html"`,
	}, nil
}

// DocsAnchor is the place of an operation on the page /docs.
func DocsAnchor(method, path string, op *openapi3.Operation) string {
	place := url.URL{Fragment: "tag/" + strings.ToLower(strings.ReplaceAll(op.Tags[0], " ", "-")) + "/" + method + path}
	return place.EscapedFragment()
}

// Announce sets the headers that tell of it.
func (d *Deprecation) Announce(h http.Header) {
	h.Set("Deprecation", d.since)
	h.Set("Sunset", d.sunset)
	h.Add("Link", d.link)
}
