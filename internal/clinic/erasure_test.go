package clinic_test

import (
	"strings"
	"testing"

	"mems/internal/clinic"
)

func TestErasureReason(t *testing.T) {
	t.Parallel()
	refused := func(code string) *clinic.Error {
		return &clinic.Error{Code: clinic.CodeValidationFailed, Violations: []clinic.Violation{{Pointer: "#/reason", Code: code}}}
	}
	tests := []struct {
		name, reason, want string
		err                *clinic.Error
	}{
		{"AsSent", "asked in writing", "asked in writing", nil},
		{"SurroundingSpace", "\u00a0 asked in writing ", "asked in writing", nil},
		{"NormalFormC", "Mu\u0308ller asked", "Müller asked", nil},
		{"Longest", strings.Repeat("x", 500), strings.Repeat("x", 500), nil},
		{"Blank", "\u00a0\u2003", "", refused("min_length")},
		{"TooLong", strings.Repeat("x", 501), strings.Repeat("x", 501), refused("max_length")},
		{"LongerInNormalFormC", strings.Repeat("\u2adc", 251), strings.Repeat("\u2add\u0338", 251), refused("max_length")},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := clinic.ErasureReason(test.reason)
			if got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
			wantViolations(t, err, test.err)
		})
	}
}
