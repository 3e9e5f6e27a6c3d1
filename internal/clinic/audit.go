package clinic

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"
)

// AuditAction is what an audited operation did to a record.
type AuditAction string

// The actions; the contract lists the same.
const (
	AuditCreated AuditAction = "create"
	AuditSeen    AuditAction = "read"
	AuditChanged AuditAction = "update"
	AuditDeleted AuditAction = "delete"
)

// AuditRefused is the object of an entry for a refused request.
const AuditRefused = "refused_request"

// Anonymous is the subject of an entry for a caller that did not authenticate.
const Anonymous = "anonymous"

// AuditEntry is one entry of the audit trail.
type AuditEntry struct {
	ID         int64
	At         time.Time
	Subject    string
	Address    *string
	RequestID  *string
	Operation  string // operationId, or the server's own task
	Action     AuditAction
	Object     string  // kind of record
	ObjectID   *int64  // nil for a list
	PatientID  *int64  // nil for none or several
	PatientIDs []int64 // the patients that a list returned
	Reason     *string
	Changes    []MemberChange
	Erased     bool // reason and changes were erased with the patient
}

// MemberChange is one changed member of a record. Values are JSON; nil is none.
type MemberChange struct {
	Member string  `json:"member"`
	Before *string `json:"before"`
	After  *string `json:"after"`
}

// bookkeeping lists members that only repeat what the entry itself records.
var bookkeeping = []string{"id", "version", "created_at", "updated_at"}

// Diff lists the members in which two states of a record differ, by name. nil is a record
// that does not exist.
func Diff(before, after any) []MemberChange {
	was, is := members(before), members(after)
	var changes []MemberChange
	for _, name := range slices.Sorted(maps.Keys(merged(was, is))) {
		if bytes.Equal(was[name], is[name]) || slices.Contains(bookkeeping, name) {
			continue
		}
		changes = append(changes, MemberChange{Member: name, Before: text(was[name]), After: text(is[name])})
	}
	return changes
}

// private lists the members that identify a person or hold free text.
var private = []string{
	"first_name", "last_name", "email", "phone", "birth_date", "identifiers", "reason", "note", "override_reason",
	"cancellation",
}

// Private reports whether an entry holds values that are encrypted with the patient's key.
func (e *AuditEntry) Private() bool {
	return e.PatientID != nil && (e.Reason != nil ||
		slices.ContainsFunc(e.Changes, func(c MemberChange) bool { return slices.Contains(private, c.Member) }))
}

func merged(a, b map[string]json.RawMessage) map[string]json.RawMessage {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

// members returns a record's members; empty values are left out.
func members(record any) map[string]json.RawMessage {
	all := map[string]json.RawMessage{}
	if record == nil {
		return all
	}
	encoded, err := json.Marshal(record)
	var raw map[string]json.RawMessage
	if err != nil || json.Unmarshal(encoded, &raw) != nil {
		return map[string]json.RawMessage{"record": json.RawMessage(`"cannot be written down"`)} // no record of ours
	}
	for name, value := range raw {
		if s := string(value); s != "null" && s != "[]" && s != `""` && s != "false" {
			all[snake(name)] = value
		}
	}
	return all
}

func text(value json.RawMessage) *string {
	if value == nil {
		return nil
	}
	s := string(value)
	return &s
}

// snake returns a Go name as the contract spells it: DoctorID is doctor_id.
func snake(name string) string {
	var b strings.Builder
	runes := []rune(name)
	for i, r := range runes {
		if unicode.IsUpper(r) && i > 0 && (!unicode.IsUpper(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1])) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
