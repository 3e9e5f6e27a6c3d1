package contract

import "testing"

func FuzzBody(f *testing.F) {
	for _, s := range []string{`{"a":1,"a":2}`, `{"a":{"a":1},"b":[{"a":1},{"a":2}]}`, `[1,"a",{"":null}]`, `"x"`, `{`, "\xff"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(_ *testing.T, body []byte) {
		_ = notJSON(body) // must terminate without a panic
	})
}

func TestDuplicateNames(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]bool{
		`{"a":1,"b":2}`: false, `{"a":1,"a":2}`: true, `{"a":{"a":1}}`: false, `{"x":[{"a":1},{"a":2}]}`: false,
		`{"x":[{"a":1,"a":2}]}`: true, `{"a":"a","b":"a"}`: false, `{"a":1,"\u0061":2}`: true, `[]`: false, `"a"`: false,
		`{"a":[1,2],"b":{},"a":3}`: true,
	} {
		if got := hasDuplicateNames([]byte(body)); got != want {
			t.Errorf("%s: %v, want %v", body, got, want)
		}
	}
}
