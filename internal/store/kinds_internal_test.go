package store

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"mems/internal/auditchain"
	"mems/internal/clinic"
)

// schemaTable is what db/schema.sql says of a table; another test compares that file with the
// migrations.
type schemaTable struct {
	columns []string
	// cascades are the tables whose rows are deleted with this one's, parents all tables that it
	// refers to.
	cascades, parents []string
}

func readSchema(t *testing.T) map[string]schemaTable {
	t.Helper()
	text, err := os.ReadFile("../../db/schema.sql")
	if err != nil {
		t.Fatal(err)
	}
	table := regexp.MustCompile("(?s)CREATE TABLE `(\\w+)` \\((.*?)\n\\) ENGINE")
	column := regexp.MustCompile("(?m)^  `(\\w+)`")
	reference := regexp.MustCompile("REFERENCES `(\\w+)` \\([^)]*\\)( ON DELETE CASCADE)?")
	tables := map[string]schemaTable{}
	for _, found := range table.FindAllStringSubmatch(string(text), -1) {
		var st schemaTable
		for _, c := range column.FindAllStringSubmatch(found[2], -1) {
			st.columns = append(st.columns, c[1])
		}
		for _, r := range reference.FindAllStringSubmatch(found[2], -1) {
			st.parents = append(st.parents, r[1])
			if r[2] != "" {
				st.cascades = append(st.cascades, r[1])
			}
		}
		tables[found[1]] = st
	}
	if len(tables) < 30 {
		t.Fatalf("read %d tables of db/schema.sql, want all", len(tables))
	}
	return tables
}

// The table of kinds has a row for each of clinic's kinds, and reads for the feed exactly those
// whose changes the feed has.
func TestEveryKindHasARow(t *testing.T) {
	t.Parallel()
	tables := readSchema(t)
	for _, kind := range clinic.Kinds() {
		row, ok := kinds[kind]
		if !ok {
			t.Errorf("kinds has no row for %s", kind)
			continue
		}
		if tables[row.table].columns == nil {
			t.Errorf("%s: the schema has no table %q", kind, row.table)
		}
		if kind.InFeed() != (row.read != nil) {
			t.Errorf("%s: in the feed is %v, has a read statement is %v; want the same", kind, kind.InFeed(), row.read != nil)
		}
	}
	if len(kinds) != len(clinic.Kinds()) {
		t.Errorf("kinds has %d rows, want one for each of clinic's %d kinds", len(kinds), len(clinic.Kinds()))
	}
}

// Deleting a record records the deletion of exactly those that the schema deletes with it.
func TestCascadesAreTheSchemas(t *testing.T) {
	t.Parallel()
	tables := readSchema(t)
	for parent, row := range kinds {
		if parent == clinic.KindAppointment {
			continue // no appointment is ever deleted
		}
		var want, got []string
		for child, of := range kinds {
			if slices.Contains(tables[of.table].cascades, row.table) {
				want = append(want, child.String())
			}
		}
		for _, c := range row.cascade {
			got = append(got, c.String())
			if !slices.Contains(tables[row.table].columns, "id") {
				t.Errorf("%s has no column id, want one", row.table)
			}
		}
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("deleting a %s records the deletion of %v, but the schema deletes %v", parent, got, want)
		}
	}
}

// notReassigned are the tables about patients that a merge leaves unchanged, each with the reason.
var notReassigned = map[string]string{
	"appointment_events": "the history of appointments says whose they were",
	"audit_entries":      "the audit trail is never changed",
	"audit_patients":     "an index of the audit trail; reads follow merged_into",
	"idempotency_keys":   "a replayed answer is the answer of then",
	"patient_names":      "a duplicate's names find the survivor (moveNames)",
	"patient_secrets":    "each record's entries in the audit trail have its own key",
	"occupied_times":     "triggers on appointments keep it",
}

// Every table about patients is reassigned by a merge, or notReassigned says why not.
func TestMergeKnowsEveryTable(t *testing.T) {
	t.Parallel()
	reassigned := map[string]bool{}
	updated := regexp.MustCompile(`^UPDATE (\w+) `)
	for _, row := range kinds {
		for _, statement := range row.reassign {
			reassigned[updated.FindStringSubmatch(statement)[1]] = true
		}
	}
	for name, table := range readSchema(t) {
		tells := slices.Contains(table.columns, "patient_id") || slices.Contains(table.parents, "patients") || name == "occupied_times"
		if known := reassigned[name] || notReassigned[name] != ""; tells != known {
			t.Errorf("%s tells of patients: %v; kinds reassigns it, or notReassigned says why not: %v", name, tells, known)
		}
	}
}

// keptColumns are the columns of tables with patients' data that an erasure keeps: ids, times,
// states, codes and staff's names, by table.
var keptColumns = map[string]string{
	"patients": "id version calendar_rev created_at updated_at merged_into made_by_key erased_at keys_of",
	"appointments": "id patient_id doctor_id type_id room_id series_id start_time end_time duration_minutes buffer_before_minutes " +
		"buffer_after_minutes status cancellation_reason cancelled_at version created_at updated_at doctor_overbooked " +
		"patient_overbooked outside_hours made_by_key",
	"appointment_events": "appointment_id version at action actor from_status to_status reason start_time duration_minutes " +
		"doctor_id patient_id room_id", // reason is a code
	"appointment_event_overrides": "appointment_id version doctor_overbooked patient_overbooked outside_hours",
	"appointment_series":          "id rule time_zone patient_id doctor_id start_time duration_minutes version created_at updated_at made_by_key",
	"tickets":                     "id doctor_id day number patient_id appointment_id status transferred_to called_at version created_at updated_at",
	"waitlist": "id patient_id doctor_ids specialization type_id duration_minutes from_time to_time offer_id offered_doctor " +
		"offered_start offer_expires_at missed_offers appointment_id version created_at updated_at made_by_key",
	"waitlist_missed": "waitlist_id doctor_id start_time",
	"freed_times":     "id doctor_id waitlist_id start_time end_time due_at after_entry",
	"occupied_times":  "party party_id start_time end_time appointment_id",
	"plan_items":      "plan_id appointment_id appointment_version start_time doctor_id room_id moved",
	"audit_entries": "id chain seq at subject address request_id operation action object object_id patient_id patient_ids details " +
		"secret mac_key hash", // details that are private are encrypted with patient_secrets
	"audit_patients": "patient_id entry_id",
	"changes":        "id position at type object object_id doctor_id left_doctor made_by_key",
	"webhook_deliveries": "id webhook_id position at type object object_id doctor_id status resent attempts since next_at last_at " +
		"last_status last_error created_at",
}

// withoutPatients are the tables without data of patients.
var withoutPatients = strings.Fields(`api_key_sealing api_keys appointment_types audit_chains audit_index calendar_feeds change_head
	clinic_zone closures doctors installation patient_name_guards plans rooms time_off webhooks working_hours`)

// An erasure fails closed: each column of each table with patients' data is erased, or keptColumns
// has it. A new table must be named in one of the lists.
func TestErasureKnowsEveryColumn(t *testing.T) {
	t.Parallel()
	deletes := regexp.MustCompile(`^DELETE FROM (\w+) WHERE patient_id IN`)
	updates := regexp.MustCompile(`(?s)^UPDATE (\w+)\s+SET (.*?)\s+WHERE `)
	assigns := regexp.MustCompile(`(?:^|,\s*)(\w+) = `)
	emptied, erased := map[string]bool{}, map[string][]string{}
	for _, row := range kinds {
		for _, statement := range row.erase {
			if found := deletes.FindStringSubmatch(statement); found != nil {
				emptied[found[1]] = true
				continue
			}
			found := updates.FindStringSubmatch(statement)
			if found == nil {
				t.Fatalf("neither deletes rows nor sets columns: %s", statement)
			}
			for _, set := range assigns.FindAllStringSubmatch(found[2], -1) {
				erased[found[1]] = append(erased[found[1]], set[1])
			}
		}
	}
	tables := readSchema(t)
	for name, table := range tables {
		kept := strings.Fields(keptColumns[name])
		with := emptied[name] || len(kept) > 0
		if with == slices.Contains(withoutPatients, name) {
			t.Errorf("%s: say in keptColumns or withoutPatients whether it holds patients' data, or erase it", name)
		}
		if !with || emptied[name] {
			continue
		}
		for _, column := range table.columns {
			if is := slices.Contains(erased[name], column); !is && !slices.Contains(kept, column) {
				t.Errorf("%s.%s is neither erased nor in keptColumns", name, column)
			}
		}
		for _, column := range kept {
			if !slices.Contains(table.columns, column) {
				t.Errorf("keptColumns has %s.%s, which the schema has not", name, column)
			}
		}
	}
	for name := range maps.Keys(keptColumns) {
		if tables[name].columns == nil {
			t.Errorf("keptColumns has %s, which the schema has not", name)
		}
	}
}

// Pruning is recorded with the kind that verification looks for.
func TestPruneEntryIsOfAuditChain(t *testing.T) {
	t.Parallel()
	if got := clinic.KindAuditChain.String(); got != auditchain.PruneObject {
		t.Errorf("pruning is recorded with kind %q, want auditchain's %q", got, auditchain.PruneObject)
	}
}
