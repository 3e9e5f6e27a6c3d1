package database

import (
	"testing"
	"time"
)

func TestNextRange(t *testing.T) {
	const largest = 2000
	for _, test := range []struct {
		size int64
		took time.Duration
		want int64
	}{
		{250, rangeShort - 1, 500},
		{250, rangeShort, 250},
		{250, rangeLong, 250},
		{250, rangeLong + 1, 125},
		{1500, 0, largest},
		{leastRange + 1, time.Minute, leastRange},
		{leastRange, time.Minute, leastRange},
	} {
		if got := nextRange(test.size, largest, test.took); got != test.want {
			t.Errorf("nextRange(%d, %d, %v) = %d, want %d", test.size, largest, test.took, got, test.want)
		}
	}
	if got := nextRange(10, 10, time.Minute); got != 10 {
		t.Errorf("nextRange(10, 10, 1m) = %d, want 10", got)
	}
}
