package contract

import (
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// openapi.json has the same contents as openapi.yaml, in the same order.
func TestJSONIsTheContract(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	asJSON, err := JSON(text)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(asJSON), "{\n  \"openapi\": \"3.0.3\",\n  \"info\": {\n    \"title\"") {
		t.Errorf("JSON begins with %.80q, want openapi, info and title in the contract's order", asJSON)
	}
	load := func(data []byte) any {
		doc, err := openapi3.NewLoader().LoadFromData(data)
		if err != nil {
			t.Fatal(err)
		}
		text, err := doc.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		var v any
		if err := json.Unmarshal(text, &v); err != nil {
			t.Fatal(err)
		}
		return v
	}
	if !reflect.DeepEqual(load(text), load(asJSON)) {
		t.Error("the JSON is another contract than the YAML, want the same")
	}
}
