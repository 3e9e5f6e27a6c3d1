package clinic_test

import (
	"testing"

	"pgregory.net/rapid"

	"mems/internal/clinic"
)

func TestMRN(t *testing.T) {
	t.Parallel()
	for id, want := range map[int64]string{1: "00000013", 2: "00000021", 572: "00005724", 9007199254740991: clinic.MRN(9007199254740991)} {
		if got := clinic.MRN(id); got != want {
			t.Errorf("%d: %s, want %s", id, got, want)
		}
	}
	if id, ok := clinic.ParseMRN(" 0000-0013 "); !ok || id != 1 {
		t.Errorf("%d %v", id, ok)
	}
	for _, s := range []string{"", "3", "0000013", "00000014", "000000013", "x0000013", "99999999999999999999", "00000000"} {
		if id, ok := clinic.ParseMRN(s); ok {
			t.Errorf("%q is %d", s, id)
		}
	}
}

// Every wrong digit and every transposition of two adjacent digits is detected.
func TestMRNFindsMistakes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.Int64Range(1, 9007199254740991).Draw(t, "id")
		mrn := []byte(clinic.MRN(id))
		if got, ok := clinic.ParseMRN(string(mrn)); !ok || got != id {
			t.Fatalf("%s is read as %d %v", mrn, got, ok)
		}
		i := rapid.IntRange(0, len(mrn)-2).Draw(t, "place")
		if mrn[i] != mrn[i+1] {
			swapped := append([]byte{}, mrn...)
			swapped[i], swapped[i+1] = mrn[i+1], mrn[i]
			if _, ok := clinic.ParseMRN(string(swapped)); ok {
				t.Fatalf("%s passes for %s", swapped, mrn)
			}
		}
		for d := byte('0'); d <= '9'; d++ {
			wrong := append([]byte{}, mrn...)
			if wrong[i] = d; d == mrn[i] {
				continue
			}
			if _, ok := clinic.ParseMRN(string(wrong)); ok {
				t.Fatalf("%s passes for %s", wrong, mrn)
			}
		}
	})
}

func TestNameBucket(t *testing.T) {
	t.Parallel()
	same := clinic.NameBucket("Renée", "Müller")
	for _, names := range [][2]string{{"renee", "MULLER"}, {"Muller", "Renée"}, {" Rene\u0301e", "Mu\u0308ller"}} {
		if got := clinic.NameBucket(names[0], names[1]); got != same {
			t.Errorf("%q: %d, want %d", names, got, same)
		}
	}
	if got := clinic.NameBucket("Ann", "Muster"); got == same || got < 0 || got >= clinic.NameBuckets {
		t.Errorf("%d", got)
	}
}
