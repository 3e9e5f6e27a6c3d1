package clinic_test

import (
	"reflect"
	"slices"
	"testing"

	"mems/internal/clinic"
)

// keptByMerge are the optional members of a patient that a merge does not copy: those of the
// record, not of the person.
var keptByMerge = []string{"MergedInto", "MadeBy", "ErasedAt"}

// A merge copies each optional member that the surviving record lacks, also one that is added
// later, and never replaces one.
func TestMergeGainCopiesEveryOptionalMember(t *testing.T) {
	t.Parallel()
	members := reflect.TypeFor[clinic.Patient]()
	for i := range members.NumField() {
		member := members.Field(i)
		if member.Type.Kind() != reflect.Pointer {
			continue
		}
		of := func(p *clinic.Patient) reflect.Value { return reflect.ValueOf(p).Elem().Field(i) }
		var survivor, duplicate clinic.Patient
		of(&duplicate).Set(reflect.New(member.Type.Elem()))
		gained := clinic.MergeGain(&survivor, duplicate)
		copied := of(&survivor).Pointer() == of(&duplicate).Pointer()
		if kept := slices.Contains(keptByMerge, member.Name); copied == kept || len(gained) != 1 && !kept {
			t.Errorf("%s: copied %v, reported as gained %q; copy it in MergeGain and add it to the contract's \"gained\", or list it in keptByMerge",
				member.Name, copied, gained)
		}
		own := reflect.New(member.Type.Elem())
		of(&survivor).Set(own)
		if gained := clinic.MergeGain(&survivor, duplicate); len(gained) != 0 || of(&survivor).Pointer() != own.Pointer() {
			t.Errorf("%s of the surviving record was replaced, gained %q", member.Name, gained)
		}
	}
}
