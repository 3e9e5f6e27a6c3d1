package clinic_test

import (
	"testing"

	"mems/internal/clinic"
)

func TestSamePhone(t *testing.T) {
	for _, same := range [][]string{
		{"+41 44 555 01 77", "044 555 01 77", "+41 (0)44 555 01 77", "0041 44 555 01 77", "044/555.01-77", "41 44 555 01 77"},
		{"+1 212 555 0100", "(212) 555-0100", "1-212-555-0100", "+1 (212) 555-0100"},
		{"+49 171 5550123", "0171 5550123", "+49 (0)171 5550123"},
		{"+39 06 698 12345", "06 698 12345"},
		{"+44 20 7946 0958", "020 7946 0958", "+44 (0) 20 7946 0958"},
		{"+41 44 555 01 77 ext. 12", "044 555 01 77 x12", "044 555 01 77 #12"},
		{"+41 44 555 01 77 ext. 12", "044 555 01 77"},
	} {
		for _, a := range same {
			for _, b := range same {
				if !clinic.SamePhone(clinic.PhoneKey(a), clinic.PhoneKey(b)) {
					t.Errorf("keys of %q and %q = %s and %s, want the same phone",
						a, b, clinic.PhoneKey(a), clinic.PhoneKey(b))
				}
			}
		}
	}
	for _, two := range [][2]string{
		{"+41 44 555 01 77", "+49 44 555 01 77"},
		{"044 555 01 77", "044 555 01 78"},
		{"044 555 01 77 x12", "044 555 01 77 x13"},
		{"0177", "044 555 01 77"},
	} {
		if clinic.SamePhone(clinic.PhoneKey(two[0]), clinic.PhoneKey(two[1])) {
			t.Errorf("SamePhone of %q and %q = true, want false", two[0], two[1])
		}
	}
}

func TestEmailKeyOfPunycode(t *testing.T) {
	if a, b := clinic.EmailKey("ann@bücher.example"), clinic.EmailKey("Ann@XN--BCHER-KVA.example"); a != b {
		t.Errorf("keys of a domain in Unicode and in punycode = %q and %q, want the same", a, b)
	}
	for _, same := range [][]string{
		{"ann@straße.example", "ann@xn--strae-oqa.example", "ANN@XN--STRAE-OQA.example"},
		{"ann@βόλος.example", "ann@xn--nxasmm1c.example", "ann@ΒΌΛΟΣ.example"},
		{"ann@例え.jp", "ann@xn--r8jz45g.jp", "ann@例え。jp", "ann@例え．ｊｐ", "ann@例え｡JP"},
		{"ann@abc.example", "ann@ａｂｃ.example", "ann@ＡＢＣ．example"},
	} {
		for _, address := range same {
			if key := clinic.EmailKey(address); key != clinic.EmailKey(same[0]) || clinic.EmailKey(key) != key {
				t.Errorf("EmailKey(%q) = %q, want that of %q, %q, and its own key",
					address, key, same[0], clinic.EmailKey(same[0]))
			}
		}
	}
	for _, odd := range []string{"ann@xn--.example", "ann@xn--a.example", "ann@xn--abc-.example", "xn--bcher-kva"} {
		if key := clinic.EmailKey(odd); clinic.EmailKey(key) != key {
			t.Errorf("EmailKey(%q) = %q, whose key is %q, want the same", odd, key, clinic.EmailKey(key))
		}
	}
}
