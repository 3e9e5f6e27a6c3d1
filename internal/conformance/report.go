package conformance

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
)

// Result is the result of one check.
type Result struct {
	Name string
	// Place is the operation's URL in the documentation.
	Place  string
	Faults []string // empty if it passed
}

// Report has the results of all checks in order.
type Report struct{ Results []Result }

// Failed returns the number of failed checks.
func (r Report) Failed() int {
	n := 0
	for _, result := range r.Results {
		if len(result.Faults) > 0 {
			n++
		}
	}
	return n
}

// Write prints the report as text.
func (r Report) Write(w io.Writer) error {
	var b strings.Builder
	for _, result := range r.Results {
		if len(result.Faults) == 0 {
			fmt.Fprintf(&b, "pass  %s\n", result.Name)
			continue
		}
		fmt.Fprintf(&b, "FAIL  %s\n", result.Name)
		for _, fault := range result.Faults {
			fmt.Fprintf(&b, "      %s\n", strings.ReplaceAll(strings.TrimSpace(fault), "\n", "\n      "))
		}
		if result.Place != "" {
			fmt.Fprintf(&b, "      see %s\n", result.Place)
		}
	}
	fmt.Fprintf(&b, "\n%d of %d checks passed\n", len(r.Results)-r.Failed(), len(r.Results))
	_, err := io.WriteString(w, b.String())
	return err
}

// WriteJUnit writes the report as JUnit XML, for CI systems.
func (r Report) WriteJUnit(w io.Writer) error {
	type failure struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
	type testcase struct {
		Name      string   `xml:"name,attr"`
		ClassName string   `xml:"classname,attr"`
		Failure   *failure `xml:"failure,omitempty"`
	}
	suite := struct {
		XMLName  xml.Name   `xml:"testsuite"`
		Name     string     `xml:"name,attr"`
		Tests    int        `xml:"tests,attr"`
		Failures int        `xml:"failures,attr"`
		Cases    []testcase `xml:"testcase"`
	}{Name: "MEMS conformance", Tests: len(r.Results), Failures: r.Failed()}
	for _, result := range r.Results {
		c := testcase{Name: result.Name, ClassName: "conformance"}
		if len(result.Faults) > 0 {
			c.Failure = &failure{Message: result.Faults[0], Text: strings.Join(result.Faults, "\n") + "\nsee " + result.Place}
		}
		suite.Cases = append(suite.Cases, c)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	return e.Encode(suite)
}
