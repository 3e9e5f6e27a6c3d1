package server_test

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"mems/gen/api"
	"mems/internal/clinic"
	"mems/internal/contracttest"
)

// A body with thousands of faults gets a response within the contract's bounds, not one many times
// its size.
func TestViolationsAreBounded(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	var body, query strings.Builder
	body.WriteString(`{"first_name":"A"`)
	for i := range 5000 {
		fmt.Fprintf(&body, `,"x%d":0`, i)
		fmt.Fprintf(&query, "&y%d=", i)
	}
	body.WriteString(`}`)
	for name, r := range map[string]contracttest.Request{
		"Members":    {Method: "POST", Path: "/patients", Body: body.String()},
		"Parameters": {Method: "GET", Path: "/patients?" + query.String()[1:]},
	} {
		t.Run(name, func(t *testing.T) {
			answer := f.Send(r).Want(t, 422, "validation-failed")
			if n := len(answer.Violations(t)); n == 0 || n > 1000 || len(answer.Body) > 256<<10 {
				t.Errorf("%d violations in %d bytes, want 1 to 1000 in at most 256 KiB", n, len(answer.Body))
			}
		})
	}
	// Missing members are still reported when unknown ones exceed the limit.
	vs := f.Post("/patients", body.String()).Violations(t)
	if !slices.Contains(vs, "#/last_name required") {
		t.Errorf("violations = %v, want \"#/last_name required\" among them", vs)
	}
}

// A pointer is a valid URI fragment and instance a valid URI reference, whatever members and paths
// a client sends.
func TestWhatIsEchoedIsAURI(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	for _, name := range []string{"a b", "ä/~%\"", "\u0000\n", strings.Repeat("😀", 300)} {
		r := f.Post("/patients", object{"first_name": "A", "last_name": "B", name: 1}).Want(t, 422, "validation-failed")
		var p api.Problem
		r.Decode(t, &p)
		pointer := *p.Errors[0].Pointer
		if strings.ContainsFunc(pointer, func(c rune) bool { return c <= ' ' || c > '~' || c == '"' }) {
			t.Errorf("member %.20q: pointer %q, want a URI fragment", name, pointer)
		}
		fragment, err := url.PathUnescape(pointer)
		want := "#/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
		if err != nil || fragment != want && len(name) < 100 {
			t.Errorf("member %.20q: pointer %q decodes to %q (%v), want %q", name, pointer, fragment, err, want)
		}
	}
	for _, path := range []string{"/none/" + strings.Repeat("%C3%A4", 300), "/none/" + strings.Repeat("a", 3000)} {
		var p api.Problem
		f.Get(path).Want(t, 404, "not-found").Decode(t, &p)
		if _, err := url.Parse(p.Instance); err != nil || strings.ContainsFunc(p.Instance, func(c rune) bool { return c > '~' }) {
			t.Errorf("instance %q (%v), want a URI reference", p.Instance, err)
		}
	}
}

func TestParametersAndBodyAtOnce(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	r := f.Send(contracttest.Request{
		Method: "PATCH", Path: "/patients/0?page=2", Body: object{"email": "nope", "zz": 1},
		Header: http.Header{"Content-Type": {"application/merge-patch+json"}, "If-Match": {"1"}},
	}).Want(t, 422, "validation-failed")
	want := []string{"If-Match pattern", "id minimum", "page unknown", "#/email format", "#/zz unknown"}
	if got := r.Violations(t); !slices.Equal(got, want) {
		t.Errorf("violations %v, want %v", got, want)
	}
}

// Bodies that no operation asked for are not read to the end, however large.
func TestBodySizes(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	large := strings.Repeat(" ", 1<<20)
	patient := fmt.Sprintf("/patients/%d", f.patient())
	f.Send(contracttest.Request{Method: "GET", Path: patient, Body: large}).Want(t, 200, "")
	f.Send(contracttest.Request{Method: "DELETE", Path: patient, Body: large}).Want(t, 422, "validation-failed")
	f.Post("/patients", large).Want(t, 413, "payload-too-large")
	// Without a Content-Length, the size is known only while reading.
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.url+"/patients", io.MultiReader(strings.NewReader(large)))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("chunked body that is too large = %d, want 413", answer.StatusCode)
	}
}

// The most specific media range decides (RFC 9110 section 12.5.1).
func TestAccept(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	for accept, status := range map[string]int{
		"":                               200,
		"application/json":               200,
		"APPLICATION/JSON":               200,
		"application/json;q=0, */*":      406,
		"*/*;q=0, application/*;q=0.001": 200,
		"application/*;q=0, */*":         406,
		"text/html,application/xml;q=0.9,*/*;q=0.8": 200,
		"*/*;q=0.000": 406,
	} {
		t.Run(accept, func(t *testing.T) {
			r := f.Send(contracttest.Request{Method: "GET", Path: "/healthz", Header: http.Header{"Accept": {accept}}})
			if r.Status != status {
				t.Errorf("answered %d, want %d", r.Status, status)
			}
		})
	}
}

// Tags are compared octet by octet, however many header lines they are spread over.
func TestIfMatch(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	path := fmt.Sprintf("/patients/%d", f.patient())
	for _, test := range []struct {
		tags   []string
		status int
	}{
		{[]string{`"01"`}, 412},
		{[]string{`"+1"`}, 412},
		{[]string{`"-1"`}, 412},
		{[]string{`" 1"`}, 412},
		{[]string{`W/"1"`}, 412},
		{[]string{`"7"`, `"8"`}, 412},
		{[]string{`"7", "a,b"`, `"1"`}, 200},
	} {
		r := f.Send(contracttest.Request{Method: "PATCH", Path: path, Body: object{"first_name": "B"}, Header: http.Header{
			"If-Match": test.tags, "Content-Type": {"application/merge-patch+json"},
		}})
		if r.Status != test.status {
			t.Errorf("%q answered %d, want %d\n%s", test.tags, r.Status, test.status, r.Body)
		}
	}
}

// Hand-made cursors are rejected before the database is queried.
func TestForgedCursors(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	for range 2 {
		f.booked(f.patient(), f.doctor(), "2027-03-02T10:00:00Z", 15)
	}
	first := func(path string, query ...string) []byte {
		var list struct {
			NextCursor string `json:"next_cursor"`
		}
		f.Get(path, append(query, "limit", "1")...).Want(t, 200, "").Decode(t, &list)
		b, err := base64.RawURLEncoding.DecodeString(list.NextCursor)
		if err != nil {
			t.Fatal(err)
		}
		return b[:5] // version and filter
	}
	refused := func(name, path string, b []byte, query ...string) {
		t.Run(name, func(t *testing.T) {
			cursor := base64.RawURLEncoding.EncodeToString(b)
			r := f.Get(path, append(query, "limit", "1", "cursor", cursor)...).Want(t, 422, "validation-failed")
			if vs := r.Violations(t); !slices.Equal(vs, []string{"cursor invalid"}) {
				t.Errorf("violations = %v, want [cursor invalid]", vs)
			}
		})
	}
	head := first("/appointments", "date", "2027-03-02")
	refused("WithoutStart", "/appointments", binary.AppendVarint(slices.Clone(head), 1), "date", "2027-03-02")
	refused("StartOutOfRange", "/appointments", binary.AppendVarint(binary.AppendVarint(slices.Clone(head), 1), 1<<62), "date", "2027-03-02")
	refused("NegativeID", "/appointments", binary.AppendVarint(binary.AppendVarint(slices.Clone(head), -1), 0), "date", "2027-03-02")
	refused("WithStart", "/patients", binary.AppendVarint(binary.AppendVarint(first("/patients"), 1), 0))
}

// Numbers and nesting that break careless parsers.
func TestStrangeJSON(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	book := func(member, value string) string {
		members := map[string]string{"patient_id": "1", "doctor_id": "1", "start_time": `"2027-03-02T09:00:00Z"`, "duration_minutes": "30"}
		members[member] = value
		var parts []string
		for name, v := range members {
			parts = append(parts, fmt.Sprintf("%q:%s", name, v))
		}
		return "{" + strings.Join(parts, ",") + "}"
	}
	digits := strings.Repeat("9", 10_000)
	for name, test := range map[string]struct{ body, want string }{
		"ManyDigits":   {book("patient_id", digits), "#/patient_id type"},
		"ManyDecimals": {book("duration_minutes", "30.5"+digits), "#/duration_minutes type"},
		"HugeExponent": {book("duration_minutes", "1e999999999"), ""},
		"TinyExponent": {book("duration_minutes", "1e-999999999"), "#/duration_minutes minimum"},
		"MinusZero":    {book("patient_id", "-0"), "#/patient_id minimum"},
		"DeepUnknown":  {book("zz", strings.Repeat("[", 9000)+strings.Repeat("]", 9000)), "#/zz unknown"},
		"DeepKnown":    {book("patient_id", strings.Repeat("[", 9000)+strings.Repeat("]", 9000)), "#/patient_id type"},
		"Object":       {book("start_time", `{"a":1}`), "#/start_time type"},
		"Null":         {book("doctor_id", "null"), "#/doctor_id not_null"},
	} {
		t.Run(name, func(t *testing.T) {
			r := f.Post("/appointments", test.body).Want(t, 422, "validation-failed")
			if vs := r.Violations(t); test.want != "" && !slices.Contains(vs, test.want) {
				t.Errorf("violations %v, want %s", vs, test.want)
			}
			if strings.Contains(string(r.Body), "99999") || !json.Valid(r.Body) {
				t.Errorf("answer: %.300s, want valid JSON that does not repeat the value", r.Body)
			}
		})
	}
}

// The database's collation treats a lone combining accent as the empty text.
func TestNamesOfWhatHasNoWeight(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	const accent = "\u0300"
	f.Post("/doctors", object{"full_name": accent, "specialization": accent}).Want(t, 201, "")
	f.Post("/patients", object{"first_name": accent, "last_name": accent}).Want(t, 201, "")
	f.Post("/rooms", object{"name": accent}).Want(t, 201, "")
	f.Post("/rooms", object{"name": "\u0301"}).Want(t, 409, "name-taken") // no weight either
	f.Post("/appointment-types", object{"name": accent, "duration_minutes": 30}).Want(t, 201, "")
	f.Post("/closures", object{"name": accent, "first_date": "2027-03-02", "last_date": "2027-03-02"}).Want(t, 201, "")
}

// A text of invisible characters counts as empty: where a text is required, it is rejected in every
// operation, before the database is queried.
func TestTextsThatNobodySees(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	for _, blank := range []string{"\u00a0", "\u0085", "\u2028", "\u3000", "\ufeff", "\u200b\u200d", "\u00ad", "\u2066\u2069", "\u3164", "\u115f", "\u2800"} {
		for path, body := range map[string]object{
			"/patients":          {"first_name": blank, "last_name": "Muster"},
			"/doctors":           {"full_name": "Dr. Noor Haddad", "specialization": blank},
			"/rooms":             {"name": blank},
			"/appointment-types": {"name": blank, "duration_minutes": 30},
			"/closures":          {"name": blank, "first_date": "2027-03-02", "last_date": "2027-03-02"},
			"/waitlist":          {"patient_id": 1, "duration_minutes": 30, "specialization": "Dermatology", "from": "2027-03-02T00:00:00Z", "to": "2027-03-03T00:00:00Z", "note": blank},
		} {
			r := f.Post(path, body).Want(t, 422, "validation-failed")
			if vs := r.Violations(t); len(vs) != 1 || !strings.HasSuffix(vs[0], " pattern") || !strings.Contains(string(r.Body), clinic.DetailBlank) {
				t.Errorf("%s with the blank text %+q: violations %v, %s; want one of pattern with %q",
					path, blank, vs, r.Body, clinic.DetailBlank)
			}
		}
	}
	// Joiners and marks are allowed in names that have visible characters.
	f.Post("/patients", object{"first_name": "\u0646\u0627\u0632\u200c\u0646\u06cc\u0646", "last_name": "\u200fX"}).Want(t, 201, "")
}

// Control characters and characters that change the direction of text are rejected in every text,
// and the violation says why.
func TestUnreadableTexts(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	a := f.booked(f.patient(), f.doctor(), "2027-03-02T10:00:00Z", 30)
	search := []string{"\u0080", "\u0085", "\u009f", "\x7f"}
	for _, c := range append([]string{
		"\u2028", "\u2029", "\u202a", "\u202e", "\u2066", "\u2069", "\ufdd0", "\ufeff", "\uffff", "\U000e0041", "\U0001fffe", "\U0010ffff",
	}, search...) {
		text := "Mu" + c + "ster"
		for name, r := range map[string]*contracttest.Response{
			"#/first_name": f.Post("/patients", object{"first_name": text, "last_name": "B"}),
			"#/name":       f.Post("/rooms", object{"name": text}),
			"MEMS-Actor": f.Send(contracttest.Request{
				Method: "POST", Path: fmt.Sprintf("/appointments/%d/confirm", a.ID), Header: http.Header{"Mems-Actor": {strings.ReplaceAll(text, "\x7f", "\u0080")}},
			}),
			"#/identifiers/0/value": f.Post("/patients", object{"first_name": "A", "last_name": "B", "identifiers": []object{{"system": "ahv", "value": text}}}),
		} {
			if vs := r.Want(t, 422, "validation-failed").Violations(t); len(vs) != 1 || vs[0] != name+" pattern" || !strings.Contains(string(r.Body), clinic.DetailUnreadable) {
				t.Errorf("%s with %U: violations %v, %s; want one of pattern with %q",
					name, []rune(c)[0], vs, r.Body, clinic.DetailUnreadable)
			}
		}
		if r := f.Get("/fhir/Patient?name=" + url.QueryEscape(text)); r.Status != 422 || !strings.Contains(string(r.Body), clinic.DetailUnreadable) {
			t.Errorf("FHIR search with %U = %d %s, want 422 with %q",
				[]rune(c)[0], r.Status, r.Body, clinic.DetailUnreadable)
		}
	}
	for _, c := range search {
		for _, path := range []string{"/patients?q=", "/patients?name=", "/doctors?specialization=", "/audit?subject="} {
			if vs := f.Get(path+url.QueryEscape("a"+c+"b")).Want(t, 422, "validation-failed").Violations(t); len(vs) != 1 || !strings.HasSuffix(vs[0], " pattern") {
				t.Errorf("%s with %U: violations %v, want one of pattern", path, []rune(c)[0], vs)
			}
		}
	}
	// A search accepts what is pasted from a table.
	f.Get("/patients?q="+url.QueryEscape("Berg\tJan")).Want(t, 200, "")
}

// A request is rejected if the response could not repeat its text: control characters in the words
// of a request.
func TestControlsAreRefused(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	a := f.booked(f.patient(), f.doctor(), "2027-03-02T10:00:00Z", 30)
	for _, text := range []string{"\x00", "a\x00b", "a\nb", "\x7f"} {
		for path, body := range map[string]object{
			fmt.Sprintf("/appointments/%d/cancel", a.ID): {"reason": "other", "note": text},
			"/waitlist": {"patient_id": 1, "duration_minutes": 30, "specialization": text, "from": "2027-03-02T00:00:00Z", "to": "2027-03-03T00:00:00Z"},
		} {
			r := f.Post(path, body).Want(t, 422, "validation-failed")
			if vs := r.Violations(t); len(vs) != 1 || !strings.HasSuffix(vs[0], " pattern") {
				t.Errorf("%s with %+q: violations %v, want one of pattern", path, text, vs)
			}
		}
	}
}

// A chunked body is the last request of its connection, because a proxy may have trusted a
// Content-Length beside it: the next request could be another client's.
func TestChunksEndTheConnection(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	for _, lengths := range []string{
		"Transfer-Encoding: chunked\r\n", "Content-Length: 60\r\nTransfer-Encoding: chunked\r\n", "Transfer-Encoding:\r\n chunked\r\nContent-Length: 60\r\n",
	} {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(f.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		text := "POST /doctors HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" + lengths +
			"\r\n0\r\n\r\nGET /version HTTP/1.1\r\nHost: localhost\r\n\r\n"
		if _, err := io.WriteString(conn, text); err != nil {
			t.Fatal(err)
		}
		all, err := io.ReadAll(conn)
		_ = conn.Close()
		if err != nil || strings.Count(string(all), "HTTP/1.1 ") != 1 || !strings.Contains(string(all), "Connection: close") {
			t.Errorf("request with the headers %q: %v\n%s\nwant one answer and a closed connection", lengths, err, all)
		}
	}
}
