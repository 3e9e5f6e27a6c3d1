package server

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
)

// ProblemType is a problem type as it is published outside of answers.
type ProblemType struct {
	Slug, Title, StatusText, Explanation, Next string
	Status                                     int
}

// ProblemTypes are all problem types, in the order in which the rules are
// checked: what /problems shows, and the published site.
func ProblemTypes() []ProblemType {
	all := make([]ProblemType, 0, len(problemTypes))
	for _, t := range problemTypes {
		all = append(all, t.public())
	}
	return all
}

func (t problemType) public() ProblemType {
	return ProblemType{
		Slug: string(t.slug), Title: t.title, Status: t.status, StatusText: http.StatusText(t.status),
		Explanation: t.explanation, Next: t.detail,
	}
}

// ReferenceScript is the program that draws the interactive documentation, as a
// browser loads it.
func ReferenceScript() ([]byte, error) {
	packed, err := docs.ReadFile("docs/scalar.js.gz")
	if err != nil {
		return nil, err
	}
	unpacked, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(unpacked)
}
