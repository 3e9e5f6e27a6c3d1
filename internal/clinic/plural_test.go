package clinic_test

import (
	"testing"

	"mems/internal/clinic"
)

func TestCounted(t *testing.T) {
	t.Parallel()
	for want, got := range map[string]string{
		"0 rows": clinic.Counted(0, "row"), "1 row": clinic.Counted(1, "row"), "2 days": clinic.Counted(2, "day"),
		"1 entry": clinic.Counted(int64(1), "entry"), "3 entries": clinic.Counted(int64(3), "entry"),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
