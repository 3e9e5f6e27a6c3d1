package contract

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"mime"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"mems/gen/api"
	"mems/internal/clinic"
	"mems/internal/fhir"
)

// checkBody reads the request's body up to the size limit and rejects anything but JSON in
// a media type of the operation (RFC 9110 section 15.5.16, RFC 8259). It replaces the body
// by what it has read.
func (o *Operation) checkBody(w http.ResponseWriter, r *http.Request) error {
	if len(o.consumes) == 0 {
		return o.checkNoBody(r)
	}
	if err := checkEncoding(r); err != nil {
		return err
	}
	tooLarge := &Error{
		Slug: api.ProblemSlugPayloadTooLarge, Detail: fmt.Sprintf("The body has more than %d bytes; nothing in this contract needs so much.", o.maxBody),
		Header: http.Header{"Connection": {"close"}}, // otherwise net/http first waits for the rest of the body
	}
	if r.ContentLength > o.maxBody {
		return tooLarge
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, o.maxBody))
	var beyond *http.MaxBytesError
	switch {
	case errors.As(err, &beyond):
		return tooLarge
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &Error{
			Slug: api.ProblemSlugMalformedRequest, Detail: "The body did not arrive in time; send the request again.",
			Header: http.Header{"Connection": {"close"}}, Cause: err,
		}
	case err != nil:
		return &Error{Slug: api.ProblemSlugMalformedRequest, Detail: "The body could not be read to its end.", Cause: err}
	}
	if len(body) > 0 || r.Header.Get("Content-Type") != "" {
		if err := o.checkMediaType(r); err != nil {
			return err
		}
	}
	if len(body) > 0 {
		if detail := notJSON(body); detail != "" {
			return &Error{Slug: api.ProblemSlugMalformedRequest, Detail: detail}
		}
	}
	if o.parameters && len(body) > 0 {
		if body, err = fhir.AppointmentOf(body); err != nil {
			return err
		}
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	r.ContentLength = int64(len(body))
	return nil
}

// checkNoBody rejects a body that says something to an operation that takes none: its
// sender would believe that it was heard. Generic clients send {}. The body of a read, which
// has no meaning (RFC 9110 section 9.3.1), is ignored.
func (o *Operation) checkNoBody(r *http.Request) error {
	if r.ContentLength == 0 || o.Method == http.MethodGet {
		return nil
	}
	const enough = 64 // for {} and spaces
	body, err := io.ReadAll(io.LimitReader(r.Body, enough))
	if err != nil {
		return &Error{Slug: api.ProblemSlugMalformedRequest, Detail: "The body could not be read to its end.", Header: http.Header{"Connection": {"close"}}, Cause: err}
	}
	if text := strings.Join(strings.Fields(string(body)), ""); text == "" && len(body) < enough || text == "{}" {
		return nil
	}
	return clinic.Invalid(clinic.Violation{Pointer: "#", Code: "unknown", Detail: "this operation takes no body"})
}

// checkEncoding rejects compressed bodies: a few bytes could decompress to more than the
// limit, and no body of this contract is large.
func checkEncoding(r *http.Request) error {
	for encoding := range strings.SplitSeq(strings.Join(r.Header.Values("Content-Encoding"), ","), ",") {
		if encoding = strings.TrimSpace(encoding); encoding != "" && !strings.EqualFold(encoding, "identity") && r.ContentLength != 0 {
			return &Error{
				Slug: api.ProblemSlugUnsupportedMediaType, Detail: "Send the body as it is, without Content-Encoding.",
				Header: http.Header{"Accept-Encoding": {"identity"}}, // RFC 9110 section 15.5.16
			}
		}
	}
	return nil
}

func (o *Operation) checkMediaType(r *http.Request) error {
	mediaType, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	charset := strings.ToLower(params["charset"])
	if o.fhir && slices.Contains(fhirFormats, mediaType) {
		mediaType = fhirMediaType
	}
	if err == nil && slices.Contains(o.consumes, mediaType) && (charset == "" || charset == "utf-8") {
		if o.fhir {
			r.Header.Set("Content-Type", mediaType) // normalised, for the handler
		}
		return nil
	}
	header := http.Header{}
	accepted := strings.Join(o.consumes, ", ")
	if r.Method == http.MethodPatch {
		header.Set("Accept-Patch", accepted) // RFC 5789 section 2.2
	} else {
		header.Set("Accept", accepted)
	}
	return &Error{Slug: api.ProblemSlugUnsupportedMediaType, Detail: "Send the body as " + accepted + ", in UTF-8.", Header: header}
}

// notJSON returns why body is not one JSON text with unique member names in UTF-8, or "".
// Parsers disagree on which of two equal names counts, so a check might see one value and a
// handler the other.
func notJSON(body []byte) string {
	switch {
	case !utf8.Valid(body):
		return "The body is not UTF-8."
	case !json.Valid(body):
		return "The body is not one complete JSON text."
	case hasLoneSurrogate(body):
		return "A string in the body has half of a surrogate pair, which is no character."
	case hasDuplicateNames(body):
		return "An object in the body has two members of the same name."
	}
	return ""
}

// hasLoneSurrogate reports whether a string of valid JSON escapes half of a surrogate pair
// (RFC 8259 section 8.2). Decoders replace it by U+FFFD, which would make different texts
// equal.
func hasLoneSurrogate(body []byte) bool {
	for i := 0; i < len(body); i++ {
		if body[i] != '\\' {
			continue
		}
		first := escapedUnit(body[i:])
		switch i++; { // skip the escaped character, which may be a backslash
		case !utf16.IsSurrogate(first):
		case utf16.DecodeRune(first, escapedUnit(body[i+5:])) == utf8.RuneError:
			return true
		default:
			i += 10 // skip the rest of the pair
		}
	}
	return false
}

// escapedUnit parses the UTF-16 unit of an escape such as \ud83d; 0 for any other text.
func escapedUnit(text []byte) rune {
	if len(text) < 6 || text[0] != '\\' || text[1] != 'u' {
		return 0
	}
	unit, err := strconv.ParseUint(string(text[2:6]), 16, 16)
	if err != nil {
		return 0
	}
	return rune(unit)
}

// hasDuplicateNames reports whether an object in valid JSON has two members of the same
// name.
func hasDuplicateNames(body []byte) bool {
	d := json.NewDecoder(bytes.NewReader(body))
	type level struct {
		names  map[string]bool // nil for an array
		atName bool
	}
	var levels []level
	for {
		token, err := d.Token()
		if err != nil {
			return false // end of the text
		}
		if n := len(levels); n > 0 && levels[n-1].names != nil && levels[n-1].atName {
			if name, ok := token.(string); ok {
				if levels[n-1].names[name] {
					return true
				}
				levels[n-1].names[name] = true
				levels[n-1].atName = false
				continue
			}
		}
		switch token {
		case json.Delim('{'):
			levels = append(levels, level{names: map[string]bool{}, atName: true})
			continue
		case json.Delim('['):
			levels = append(levels, level{})
			continue
		case json.Delim('}'), json.Delim(']'):
			levels = levels[:len(levels)-1]
		}
		if n := len(levels); n > 0 {
			levels[n-1].atName = true // a value is complete
		}
	}
}

// writeIntegersPlainly rewrites integers such as 30.0 or 3e1, which the contract allows
// (JSON has only numbers), as 30, which Go can decode.
func writeIntegersPlainly(body any) {
	members, ok := body.(map[string]any)
	if !ok {
		return
	}
	for name, value := range members {
		number, ok := value.(json.Number)
		if !ok || !strings.ContainsAny(number.String(), ".eE") {
			continue
		}
		// Every number in the contract's bodies is an integer of at most 2^53,
		// which a float64 holds exactly.
		if f, err := number.Float64(); err == nil && f == math.Trunc(f) && math.Abs(f) <= 1<<53 {
			members[name] = json.Number(strconv.FormatInt(int64(f), 10))
		}
	}
}
