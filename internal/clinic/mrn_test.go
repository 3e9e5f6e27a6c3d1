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
		t.Errorf("ParseMRN = %d, %t, want 1", id, ok)
	}
	for _, s := range []string{"", "3", "0000013", "00000014", "000000013", "x0000013", "99999999999999999999", "00000000"} {
		if id, ok := clinic.ParseMRN(s); ok {
			t.Errorf("ParseMRN(%q) = %d, want it refused", s, id)
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
			t.Fatalf("ParseMRN(%s) = %d, %t, want %d", mrn, got, ok, id)
		}
		i := rapid.IntRange(0, len(mrn)-2).Draw(t, "place")
		if mrn[i] != mrn[i+1] {
			swapped := append([]byte{}, mrn...)
			swapped[i], swapped[i+1] = mrn[i+1], mrn[i]
			if _, ok := clinic.ParseMRN(string(swapped)); ok {
				t.Fatalf("ParseMRN(%s) accepts it, want it refused: %s with two digits swapped", swapped, mrn)
			}
		}
		for d := byte('0'); d <= '9'; d++ {
			wrong := append([]byte{}, mrn...)
			if wrong[i] = d; d == mrn[i] {
				continue
			}
			if _, ok := clinic.ParseMRN(string(wrong)); ok {
				t.Fatalf("ParseMRN(%s) accepts it, want it refused: %s with a wrong digit", wrong, mrn)
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
		t.Errorf("NameBucket of another name = %d, want another than %d, below %d", got, same, clinic.NameBuckets)
	}
}
