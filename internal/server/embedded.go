package server

import (
	"fmt"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"

	"mems/gen/api"
	"mems/internal/contract"
)

// preparedContract is a contract prepared for validation. Servers only read it.
type preparedContract struct {
	doc        *openapi3.T
	operations contract.Operations
}

// embeddedContract returns the contract that the program was built with. Parsing its 440 kB
// takes longer than everything else in New, so all servers of the process share it.
var embeddedContract = sync.OnceValues(func() (preparedContract, error) {
	doc, err := api.GetSpec()
	if err != nil {
		return preparedContract{}, fmt.Errorf("read the embedded contract: %w", err)
	}
	return prepareContract(doc)
})

// prepareContract prepares doc for checking requests.
func prepareContract(doc *openapi3.T) (preparedContract, error) {
	operations, err := contract.OperationsOf(doc, DefaultMaxBodyBytes)
	if err != nil {
		return preparedContract{}, err
	}
	return preparedContract{doc: doc, operations: operations}, nil
}

// embeddedJSON returns the response to /openapi.json. Writing it takes a fifth of a
// server's start, so the first request for it does.
var embeddedJSON = sync.OnceValues(func() ([]byte, error) {
	json, err := contract.JSON(api.SpecYAML)
	if err != nil {
		return nil, fmt.Errorf("write the embedded contract as JSON: %w", err)
	}
	return json, nil
})
