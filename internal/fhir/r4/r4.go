// Package r4 holds resources to the official JSON schema of FHIR R4 (4.0.1), for
// tests. The schema is http://hl7.org/fhir/R4/fhir.schema.json as HL7 publishes it
// (CC0), compressed and otherwise unchanged.
package r4

import (
	"bytes"
	"compress/gzip"
	_ "embed" // for the schema
	"encoding/json"
	"fmt"
	"io"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

//go:embed fhir.schema.json.gz
var packed []byte

const address = "http://hl7.org/fhir/json-schema/4.0"

// compiler has the schema; its parts are compiled as they are asked for.
var compiler = sync.OnceValues(func() (*jsonschema.Compiler, error) {
	unpacked, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(unpacked)
	if err != nil {
		return nil, err
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft6)
	if err := c.AddResource(address, doc); err != nil {
		return nil, err
	}
	return c, nil
})

var compiled = struct {
	sync.Mutex

	of map[string]*jsonschema.Schema
}{of: map[string]*jsonschema.Schema{}}

// Validate says what of a resource is not as FHIR R4 has it.
func Validate(resource []byte) error {
	var kind struct {
		ResourceType string `json:"resourceType"`
	}
	if err := json.Unmarshal(resource, &kind); err != nil {
		return err
	}
	schema, err := schemaOf(kind.ResourceType)
	if err != nil {
		return fmt.Errorf("resource type %q: %w", kind.ResourceType, err)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(resource))
	if err != nil {
		return err
	}
	return schema.Validate(value)
}

func schemaOf(kind string) (*jsonschema.Schema, error) {
	c, err := compiler()
	if err != nil {
		return nil, err
	}
	compiled.Lock()
	defer compiled.Unlock()
	if s := compiled.of[kind]; s != nil {
		return s, nil
	}
	s, err := c.Compile(address + "#/definitions/" + kind)
	if err == nil {
		compiled.of[kind] = s
	}
	return s, err
}
