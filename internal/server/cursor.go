package server

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"time"

	"mems/internal/clinic"
	"mems/internal/store"
)

// A cursor is a position in a list: a version byte, a hash of the list and its other
// parameters, and the last item of the page, as base64url. It holds no personal data,
// because cursors end up in logs. The hash detects mistakes, not attacks: a cursor grants
// no access.
const cursorVersion = 1

// filter is the name of a list and the parameters that a cursor belongs to.
type filter []string

// byTime is the first element of the filter of every list that is ordered by time:
// a position in such a list is a start and an id, in other lists an id alone. It is
// hashed into cursors, so another value would invalidate those that clients hold.
const byTime = "appointments"

func (f filter) hash() [4]byte {
	h := sha256.New()
	for _, s := range f {
		_ = binary.Write(h, binary.BigEndian, int64(len(s))) // a hash never fails
		h.Write([]byte(s))
	}
	return [4]byte(h.Sum(nil))
}

// encodeCursor returns the cursor of the position after an item.
func encodeCursor(f filter, after store.After) string {
	b := []byte{cursorVersion}
	hash := f.hash()
	b = append(b, hash[:]...)
	b = binary.AppendVarint(b, after.ID)
	if f[0] == byTime {
		b = binary.AppendVarint(b, after.Start.UnixMicro())
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// decodeCursor decodes a cursor of the same filter. A nil cursor is the first page. Errors:
// clinic.CodeValidationFailed.
func decodeCursor(f filter, cursor *string) (store.After, error) {
	return decodeParameter("cursor", f, cursor)
}

// decodeParameter is decodeCursor for a cursor in another parameter.
func decodeParameter(parameter string, f filter, cursor *string) (store.After, error) {
	if cursor == nil {
		return store.After{}, nil
	}
	refuse := clinic.Invalid(clinic.Violation{
		Parameter: parameter, Code: "invalid",
		Detail: "is not one that this list gave for these parameters; start again from the first page",
	})
	b, err := base64.RawURLEncoding.Strict().DecodeString(*cursor)
	if err != nil || len(b) < 6 || b[0] != cursorVersion || [4]byte(b[1:5]) != f.hash() {
		return store.After{}, refuse
	}
	var after store.After
	b = b[5:]
	id, n := binary.Varint(b)
	if n <= 0 || id <= 0 {
		return store.After{}, refuse
	}
	after.ID = id
	b = b[n:]
	if f[0] == byTime {
		// Without a start the statement would have the year 0, which MySQL rejects.
		micro, n := binary.Varint(b)
		if n <= 0 {
			return store.After{}, refuse
		}
		b = b[n:]
		after.Start = time.UnixMicro(micro).UTC()
		if after.Start.Before(clinic.MinInstant) || after.Start.After(clinic.MaxInstant) {
			return store.After{}, refuse
		}
	}
	if len(b) > 0 {
		return store.After{}, refuse
	}
	return after, nil
}
