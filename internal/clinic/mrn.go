package clinic

import (
	"fmt"
	"strconv"
	"strings"
)

// damm is the quasigroup of order 10 of H. M. Damm, "Total anti-symmetrische Quasigruppen"
// (2004). Its check digit detects every single wrong digit and every swap of two
// neighbours, with decimal digits alone; Luhn's misses 09 for 90, and ISO 7064 MOD 11-2
// needs an X.
var damm = [10][10]byte{
	{0, 3, 1, 7, 5, 9, 8, 6, 4, 2},
	{7, 0, 9, 2, 1, 5, 4, 8, 6, 3},
	{4, 2, 0, 6, 8, 7, 1, 3, 5, 9},
	{1, 7, 5, 0, 9, 8, 3, 4, 2, 6},
	{6, 1, 2, 3, 0, 4, 5, 9, 7, 8},
	{3, 6, 7, 4, 2, 0, 9, 5, 8, 1},
	{5, 8, 6, 9, 7, 2, 0, 1, 3, 4},
	{8, 9, 4, 5, 3, 6, 2, 0, 1, 7},
	{9, 4, 3, 8, 6, 1, 7, 2, 0, 5},
	{2, 5, 8, 1, 4, 3, 6, 7, 9, 0},
}

func dammDigit(digits string) byte {
	interim := byte(0)
	for i := range len(digits) {
		interim = damm[interim][digits[i]-'0']
	}
	return interim
}

// MRN returns a patient's medical record number: the id, padded to seven digits, and a
// check digit. It is a function of the id, so it need not be stored and never changes.
func MRN(id int64) string {
	digits := fmt.Sprintf("%07d", id)
	return digits + strconv.Itoa(int(dammDigit(digits)))
}

// ParseMRN returns the id in a medical record number. Spaces and hyphens are ignored. It
// reports false for a wrong length or check digit.
func ParseMRN(s string) (int64, bool) {
	digits := strings.NewReplacer(" ", "", "-", "").Replace(s)
	if len(digits) < 8 || len(digits) > 17 || strings.Trim(digits, "0123456789") != "" || dammDigit(digits) != 0 {
		return 0, false
	}
	id, err := strconv.ParseInt(digits[:len(digits)-1], 10, 64)
	return id, err == nil && id > 0 && MRN(id) == digits
}
