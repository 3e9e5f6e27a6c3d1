package contract

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
)

// A Deprecation is what responses of a deprecated operation announce: the date of
// deprecation (RFC 9745), the sunset (RFC 8594) and a link to the documentation.
type Deprecation struct{ since, sunset, link string }

// deprecationOf reads an operation's Deprecation from the contract; nil if it is not
// deprecated. A deprecation without both dates is an error: clients plan by them.
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

// DocsAnchor returns the anchor of an operation on the page /docs.
func DocsAnchor(method, path string, op *openapi3.Operation) string {
	place := url.URL{Fragment: "tag/" + strings.ToLower(strings.ReplaceAll(op.Tags[0], " ", "-")) + "/" + method + path}
	return place.EscapedFragment()
}

// Announce sets the Deprecation, Sunset and Link headers.
func (d *Deprecation) Announce(h http.Header) {
	h.Set("Deprecation", d.since)
	h.Set("Sunset", d.sunset)
	h.Add("Link", d.link)
}
