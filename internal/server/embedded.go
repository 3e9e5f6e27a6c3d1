package server

import (
	"fmt"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"

	"mems/gen/api"
)

// preparedContract is a contract that requests can be held to. Servers only read it.
type preparedContract struct {
	doc  *openapi3.T
	json []byte // what /openapi.json answers
}

// embeddedContract returns the contract that the program was built with. Reading its
// 440 kB takes longer than all else that a new server does, so all servers of the
// process share it.
var embeddedContract = sync.OnceValues(func() (preparedContract, error) {
	doc, err := api.GetSpec()
	if err != nil {
		return preparedContract{}, fmt.Errorf("read the embedded contract: %w", err)
	}
	c, err := prepareContract(doc)
	if err != nil {
		return preparedContract{}, err
	}
	// The first validators complete doc, which later ones share.
	_, err = newValidators(doc, DefaultMaxBodyBytes)
	return c, err
})

// prepareContract adds formats and defaults to doc.
func prepareContract(doc *openapi3.T) (preparedContract, error) {
	UseFormats(doc)
	if err := useDefaults(doc); err != nil {
		return preparedContract{}, err
	}
	json, err := ContractJSON(api.SpecYAML)
	if err != nil {
		return preparedContract{}, fmt.Errorf("contract: %w", err)
	}
	return preparedContract{doc: doc, json: json}, nil
}
