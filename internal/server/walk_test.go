package server_test

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"pgregory.net/rapid"

	"mems/gen/api"
	"mems/internal/contracttest"
)

// Operations in any order on few records and days, so that each meets what the others left:
// deleted, merged, erased, undone, rescheduled. Every response matches the contract, and none is a
// 5xx.
func TestOperationsInAnyOrder(t *testing.T) {
	t.Parallel()
	f := setup(t, "Europe/Zurich")
	f.Random = true
	const records, requests = 12, 1500
	for range records {
		f.booked(f.patient(), f.doctor(), "2027-03-02T10:00:00Z", 30)
		f.room()
	}
	operations := operationsOf(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	draw := rand.New(rand.NewPCG(seed, 0))
	for n := 0; n < requests; {
		o := operations[draw.IntN(len(operations))]
		if draw.Float64() > o.share {
			continue
		}
		n++
		if n%300 == 0 {
			f.patient() // for those who are erased
		}
		request := rapid.Custom(func(r *rapid.T) contracttest.Request {
			rapid.Bool().Draw(r, "something") // rapid wants every example to use chance
			return drawRequest(r, o.method, o.path, o.parameters, o.Operation, true)
		}).Example(draw.Int())
		meet(draw, &request, records)
		if answer := f.Send(request); answer.Status >= 500 {
			t.Fatalf("request %d, %s %s %s = %d %s, want no 5xx",
				n, request.Method, request.Path, request.Body, answer.Status, answer.Body)
		}
	}
}

type drawnOperation struct {
	*openapi3.Operation
	path, method string
	parameters   openapi3.Parameters
	share        float64 // of the times that it is drawn
}

func operationsOf(t *testing.T) (list []drawnOperation) {
	t.Helper()
	doc, err := api.GetSpec()
	if err != nil {
		t.Fatal(err)
	}
	paths := doc.Paths.Map()
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		operations := paths[path].Operations()
		for _, method := range slices.Sorted(maps.Keys(operations)) {
			o := drawnOperation{
				Operation: operations[method], path: path, method: method, share: 1,
				parameters: slices.Concat(paths[path].Parameters, operations[method].Parameters),
			}
			switch o.OperationID {
			case "erasePatient", "deletePatient", "mergePatients", "deleteDoctor", "deleteRoom":
				o.share = 0.05 // or soon nobody is left
			default:
				if method == http.MethodGet || method == http.MethodDelete {
					o.share = 0.3
				}
			}
			list = append(list, o)
		}
	}
	return list
}

var (
	pathID        = regexp.MustCompile(`/[0-9]+\b`)
	memberID      = regexp.MustCompile(`("\w+_id":)[0-9]+`)
	optional      = regexp.MustCompile(`,"(type_id|room_id|hold_id|appointment_type_id)":[0-9]+`)
	memberTime    = regexp.MustCompile(`"20\d\d-\d\d-\d\dT[^"]*"`)
	memberDate    = regexp.MustCompile(`"(19|20)\d\d-\d\d-\d\d"`)
	memberMinutes = regexp.MustCompile(`"duration_minutes":[0-9]+`)
)

// meet makes a request refer to existing records within four days, usually without conditions, so
// that it is likely to succeed or to conflict with another one.
func meet(draw *rand.Rand, request *contracttest.Request, records int) {
	for _, name := range []string{"If-Match", "Idempotency-Key"} {
		if draw.IntN(10) > 0 {
			delete(request.Header, name)
		}
	}
	id := func() int { return 1 + draw.IntN(records+3) }
	request.Path = pathID.ReplaceAllStringFunc(request.Path, func(string) string { return fmt.Sprint("/", id()) })
	body, ok := request.Body.([]byte)
	if !ok || draw.IntN(10) == 0 {
		return
	}
	if draw.IntN(4) > 0 {
		body = optional.ReplaceAll(body, nil)
	}
	body = memberID.ReplaceAllFunc(body, func(m []byte) []byte {
		return fmt.Appendf(bytes.Clone(m[:bytes.LastIndexByte(m, ':')+1]), "%d", id())
	})
	body = memberTime.ReplaceAllFunc(body, func([]byte) []byte {
		return fmt.Appendf(nil, `"2027-03-0%dT%02d:%02d:00Z"`, 1+draw.IntN(4), 8+draw.IntN(9), 15*draw.IntN(4))
	})
	body = memberDate.ReplaceAllFunc(body, func([]byte) []byte { return fmt.Appendf(nil, `"2027-03-0%d"`, 1+draw.IntN(4)) })
	request.Body = memberMinutes.ReplaceAllFunc(body, func([]byte) []byte {
		return fmt.Appendf(nil, `"duration_minutes":%d`, 15*(1+draw.IntN(3)))
	})
}
