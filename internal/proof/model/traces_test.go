package model

import (
	"slices"
	"testing"
)

func TestParse(t *testing.T) {
	t.Parallel()
	got, err := parse("0 1 2 0 0 : 2 4 3 5 : 0 1 2 0 0 0 0")
	if err != nil {
		t.Fatal(err)
	}
	if want := []Event{{1, false}, {2, false}, {1, true}, {2, true}}; !slices.Equal(got.Events, want) {
		t.Errorf("events: %v, want %v", got.Events, want)
	}
	if got.Asked != "0 1 2 0 0" || got.Results[1] != 1 || got.Results[2] != 2 {
		t.Errorf("parsed trace = %+v, want asked 0 1 2 0 0 and results 1 and 2", got)
	}
	for _, bad := range []string{"", "1 : 2", "0 : x : 0", "0 : 1 : y"} {
		if _, err := parse(bad); err == nil {
			t.Errorf("parse(%q) = nil, want an error", bad)
		}
	}
}
