package clinic

import (
	"fmt"
	"strings"
)

// Counted returns a number with its noun, in the plural unless there is one: "1 row",
// "2 rows", "0 entries". noun is a regular one, in the singular.
func Counted[N ~int | ~int32 | ~int64 | ~uint64](n N, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	if stem, ok := strings.CutSuffix(noun, "ry"); ok {
		return fmt.Sprintf("%d %sries", n, stem)
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
