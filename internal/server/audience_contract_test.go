package server_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/getkin/kin-openapi/openapi3"

	"mems/gen/api"
	"mems/internal/contracttest"
)

// member is a property of a schema, such as "TimeOff.reason".
type member struct {
	name     string
	schema   *openapi3.Schema // where it is
	property *openapi3.SchemaRef
	required bool
}

// audience returns the x-audience of a member, or of the schema that it refers to; "" if there is
// none.
func (m member) audience() string {
	value, _ := m.property.Value.Extensions["x-audience"].(string)
	return value
}

// walkSchema visits every member below a schema once. opaque is whether the path to it leads
// through a part that the generated code keeps as raw JSON.
func walkSchema(
	ref *openapi3.SchemaRef, name string, opaque bool, seen map[*openapi3.Schema]bool, visit func(m member, opaque bool),
) {
	if ref == nil || ref.Value == nil || seen[ref.Value] {
		return
	}
	seen[ref.Value] = true
	if ref.Ref != "" {
		name = ref.Ref[strings.LastIndexByte(ref.Ref, '/')+1:]
	}
	schema := ref.Value
	for _, property := range slices.Sorted(maps.Keys(schema.Properties)) {
		m := member{name + "." + property, schema, schema.Properties[property], slices.Contains(schema.Required, property)}
		visit(m, opaque)
		walkSchema(m.property, m.name, opaque, seen, visit)
	}
	walkSchema(schema.Items, name, opaque, seen, visit)
	walkSchema(schema.AdditionalProperties.Schema, name, true, seen, visit)
	for _, list := range []openapi3.SchemaRefs{schema.OneOf, schema.AnyOf, schema.AllOf} {
		for _, one := range list {
			walkSchema(one, name, true, seen, visit)
		}
	}
}

// answered visits every member of every response of every operation.
func answered(t *testing.T, visit func(operation string, m member, opaque bool)) {
	t.Helper()
	doc := spec(t)
	for _, item := range doc.Paths.Map() {
		for _, op := range item.Operations() {
			for _, response := range op.Responses.Map() {
				for _, media := range response.Value.Content {
					walkSchema(media.Schema, op.OperationID, false, map[*openapi3.Schema]bool{}, func(m member, opaque bool) {
						visit(op.OperationID, m, opaque)
					})
				}
			}
		}
	}
}

func spec(t *testing.T) *openapi3.T {
	t.Helper()
	doc, err := api.GetSpec()
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// words are parts of names whose members hold free text.
var words = []string{
	"note", "notes", "reason", "reasons", "comment", "comments", "remark", "remarks", "description", "message", "memo",
	"explanation", "justification", "instruction", "instructions", "annotation",
}

// isWords reports whether a member is named like free text ("disabled_reason", "noteText",
// "cancelationReason") or has the shape that this contract gives to free text.
func isWords(m member) bool {
	name := m.name[strings.LastIndexByte(m.name, '.')+1:]
	var spread strings.Builder
	for _, r := range name {
		if unicode.IsUpper(r) {
			spread.WriteByte('_')
		}
		spread.WriteRune(unicode.ToLower(r))
	}
	for part := range strings.SplitSeq(spread.String(), "_") {
		if slices.Contains(words, part) {
			return true
		}
	}
	schema := m.property.Value
	free := schema.Pattern == `\S` || strings.HasPrefix(schema.Pattern, `^[^\u0000-\u001F\u007F]*`)
	return schema.Type.Is("string") && free && schema.MaxLength != nil && *schema.MaxLength >= 300
}

// Every response member that is named like free text has an x-audience. Marked members can be left
// out, and the filter finds all of them.
func TestEveryMemberWithWordsHasAnAudience(t *testing.T) {
	t.Parallel()
	plain, long := openapi3.NewStringSchema(), openapi3.NewStringSchema().WithMaxLength(500)
	long.Pattern = `\S`
	for name, want := range map[string]bool{
		"TimeOff.note": true, "Webhook.disabled_reason": true, "FhirAppointment.cancelationReason": true,
		"X.note_for_doctor": true,
		"Note.id":           false, "Reasons.at": false, "X.noted_at": false,
	} {
		byName, byShape := member{name: name, property: plain.NewRef()}, member{name: name, property: long.NewRef()}
		if isWords(byName) != want || !isWords(byShape) {
			t.Errorf("isWords(%q) = %t by its name and %t by its shape, want %t and true",
				name, isWords(byName), isWords(byShape), want)
		}
	}
	generated := tagged(t, "audience")
	aboutDoctor := tagged(t, "audience-doctor")
	marked := 0
	answered(t, func(operation string, m member, opaque bool) {
		audience := m.audience()
		doctor, isAboutDoctor := m.property.Value.Extensions["x-audience-doctor"].(string)
		switch {
		case audience == "" && (isWords(m) || isAboutDoctor):
			t.Errorf("%s of %s has no x-audience: staff, or all for every caller who may read the record", m.name, operation)
			return
		case audience == "" || audience == "all":
			return
		case audience != "staff":
			t.Errorf("%s: x-audience is %q", m.name, audience)
		}
		marked++
		if m.property.Ref != "" {
			t.Errorf("%s: x-audience is set on %s, want it on the member: the generated code does not carry it over",
				m.name, m.property.Ref)
		}
		if m.required {
			t.Errorf("%s is required and has x-audience, want it optional: a required member cannot be left out",
				m.name)
		}
		if opaque {
			t.Errorf("%s of %s is reached through oneOf, anyOf, allOf or additionalProperties, which the filter skips", m.name, operation)
		}
		if generated[strings.ToLower(m.name)] != "staff" {
			t.Errorf("%s: the generated struct's audience tag is %q, want %q",
				m.name, generated[strings.ToLower(m.name)], "staff")
		}
		if aboutDoctor[strings.ToLower(m.name)] != doctor {
			t.Errorf("%s: the generated tag is %q, want x-audience-doctor's %q",
				m.name, aboutDoctor[strings.ToLower(m.name)], doctor)
		}
		if isAboutDoctor && (m.schema.Properties[doctor] == nil || !slices.Contains(m.schema.Required, doctor)) {
			t.Errorf("%s: x-audience-doctor names %q, want a required member beside it", m.name, doctor)
		}
	})
	if marked == 0 {
		t.Error("no member of the contract has x-audience, want some")
	}
}

// tagged are the members of generated structs with a tag, by type and JSON name in lower
// case, with the tag's value.
func tagged(t *testing.T, tag string) map[string]string {
	t.Helper()
	source, err := os.ReadFile("../../gen/api/api.gen.go")
	if err != nil {
		t.Fatal(err)
	}
	file, err := parser.ParseFile(token.NewFileSet(), "api.gen.go", source, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	ast.Inspect(file, func(n ast.Node) bool {
		declared, ok := n.(*ast.TypeSpec)
		if !ok {
			return true
		}
		structure, ok := declared.Type.(*ast.StructType)
		if !ok {
			return true
		}
		for _, field := range structure.Fields.List {
			if field.Tag == nil {
				continue
			}
			tags := reflect.StructTag(strings.Trim(field.Tag.Value, "`"))
			name, _, _ := strings.Cut(tags.Get("json"), ",")
			if value := tags.Get(tag); value != "" {
				found[strings.ToLower(declared.Name.Name+"."+name)] = value
			}
		}
		return true
	})
	return found
}

// sight is a marked member that was present in a response.
type sight struct {
	member string
	doctor int64 // whom it is about, by x-audience-doctor; 0 for none
	value  any
}

// sightings finds the marked members that are present in a response's body, by the contract's
// schema of the response.
func sightings(t *testing.T, response *openapi3.Response, answer *contracttest.Response) []sight {
	t.Helper()
	var all []sight
	for mediaType, media := range response.Content {
		if !strings.Contains(mediaType, "json") || !strings.HasPrefix(answer.Header.Get("Content-Type"), mediaType) {
			continue
		}
		var value any
		decoder := json.NewDecoder(bytes.NewReader(answer.Body))
		if err := decoder.Decode(&value); err != nil {
			t.Fatalf("decode the answer: %v, want JSON: %s", err, answer.Body)
		}
		look(media.Schema, "answer", value, &all)
	}
	return all
}

func look(ref *openapi3.SchemaRef, name string, value any, all *[]sight) {
	if ref == nil || value == nil {
		return
	}
	if ref.Ref != "" {
		name = ref.Ref[strings.LastIndexByte(ref.Ref, '/')+1:]
	}
	for _, list := range []openapi3.SchemaRefs{ref.Value.OneOf, ref.Value.AnyOf, ref.Value.AllOf} {
		for _, one := range list {
			look(one, name, value, all)
		}
	}
	switch v := value.(type) {
	case []any:
		for _, one := range v {
			look(ref.Value.Items, name, one, all)
		}
	case map[string]any:
		for property, inside := range ref.Value.Properties {
			held, present := v[property]
			if !present {
				continue
			}
			m := member{name: name + "." + property, property: inside}
			if m.audience() == "staff" {
				s := sight{member: m.name, value: held}
				if doctor, ok := inside.Value.Extensions["x-audience-doctor"].(string); ok {
					id, _ := v[doctor].(float64)
					s.doctor = int64(id)
				}
				*all = append(*all, s)
			}
			look(inside, m.name, held, all)
		}
	}
}

func (s sight) String() string { return fmt.Sprintf("%s = %v", s.member, s.value) }
