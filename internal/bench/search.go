package main

import (
	"context"
	"fmt"
	"net/url"

	"mems/internal/clinic"
	"mems/internal/store"
)

// scenario is a row of the table: the same work over HTTP and directly.
type scenario struct {
	name   string
	http   func(c *httpClient) error
	direct work
}

// searches are inputs of the reception's search box. All patients' last names begin with the
// same four letters, and those of last5 are adjacent in the index.
func (b *bench) searches() []scenario {
	var all []scenario
	for _, s := range []struct {
		name string
		text func(i int64) string
	}{
		{"two names", func(i int64) string { return fmt.Sprintf("Last%d First%d", i, i%997) }},
		{"last name, first name", func(i int64) string { return fmt.Sprintf("Last%d, First%d", i, i%997) }},
		{"birth date", func(i int64) string { return fmt.Sprintf("%d-%02d-%02d", 1940+i%60, 1+i%12, 1+i%28) }},
		{"last digits", func(i int64) string { return fmt.Sprintf("%04d", i%10_000) }},
		{"record number", clinic.MRN},
		{"e-mail", func(i int64) string { return fmt.Sprintf("p%d@example.org", i) }},
		{"one letter", func(i int64) string { return string("lf"[i%2]) }},
		{"11 thousand who stand together", func(int64) string { return "last5" }},
		{"two common words", func(int64) string { return "first1 last5" }},
		{"no hit", func(i int64) string { return fmt.Sprintf("nobody%d", i) }},
	} {
		all = append(all, scenario{"find by q: " + s.name, func(c *httpClient) error {
			text := s.text(1 + b.next.Add(1)*patientStep%patients)
			return expect(200)(c.send("GET", "/patients?limit=20&q="+url.QueryEscape(text), nil))
		}, b.find(func(i int64) store.PatientQuery { return store.PatientQuery{Search: s.text(1 + i)} })})
	}
	return append(all, scenario{"find how many patients there are, FHIR", func(c *httpClient) error {
		return expect(200)(c.send("GET", "/fhir/Patient?_count=0", nil))
	}, func(ctx context.Context, _ int) error {
		_, err := b.store.CountPatients(ctx, store.PatientQuery{})
		return err
	}})
}
