package server_test

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"mems/gen/api"
	"mems/internal/contracttest"
)

// ofTheWayIn are the problem types of code that runs before or below all operations and does not
// know which one it serves: one operation that returns them is enough.
var ofTheWayIn = []api.ProblemSlug{
	api.ProblemSlugMalformedRequest, api.ProblemSlugUnauthenticated, api.ProblemSlugForbidden, api.ProblemSlugCrossOrigin,
	api.ProblemSlugLocalOnly, api.ProblemSlugRateLimited, api.ProblemSlugNotAcceptable, api.ProblemSlugPayloadTooLarge,
	api.ProblemSlugUnsupportedMediaType, api.ProblemSlugValidationFailed, api.ProblemSlugPreconditionFailed,
	api.ProblemSlugIdempotencyKeyReused, api.ProblemSlugIdempotencyKeyInUse, api.ProblemSlugUnavailable,
}

// unreached are listed problems that no client of this package's tests gets, of any operation or of
// one, with the reason.
var unreached = map[contracttest.Problem]string{
	{Slug: api.ProblemSlugInternalError}:  "fails a test of this client; TestUnexpectedErrors sends none",
	{Slug: api.ProblemSlugOutcomeUnknown}: "needs a connection that breaks between COMMIT and its answer; tests of telemetry and cmd/mems",

	{Operation: "startTicket", Slug: api.ProblemSlugInvalidTransition}:    followed,
	{Operation: "startTicket", Slug: api.ProblemSlugTooEarly}:             followed,
	{Operation: "completeTicket", Slug: api.ProblemSlugInvalidTransition}: followed,
	{Operation: "completeTicket", Slug: api.ProblemSlugTooEarly}:          followed,
	{Operation: "leaveTicket", Slug: api.ProblemSlugInvalidTransition}:    followed,
	{Operation: "acceptOffer", Slug: api.ProblemSlugDoctorOverlap}:        keptTime,
	{Operation: "acceptOffer", Slug: api.ProblemSlugRoomOverlap}:          keptTime,
}

const followed = "a ticket follows its appointment, so the ticket's own rule refuses first; the appointment's is asked nevertheless"

const keptTime = "a hold keeps the offered time, and a booking that overrides it takes the offer back; the rule is asked nevertheless"

// TestMain fails a run of all tests that succeeded if the contract lists a problem for an
// operation (x-problems) that the operation did not return: either it cannot happen, or
// its test is missing. Requests drawn at random do not count. contracttest checks in each
// response that nothing else is returned.
func TestMain(m *testing.M) {
	code := m.Run()
	if code == 0 && allTestsRan() {
		missing, err := missingProblems()
		for _, line := range missing {
			fmt.Println("FAIL: listed in x-problems, but returned in no test:", line)
			code = 1
		}
		if err != nil {
			fmt.Println("FAIL: read x-problems:", err)
			code = 1
		}
	}
	os.Exit(code)
}

// allTestsRan reports whether no flag has left any test out.
func allTestsRan() bool {
	for _, name := range []string{"test.run", "test.skip", "test.fuzz", "test.list", "test.bench"} {
		if flag.Lookup(name).Value.String() != "" {
			return false
		}
	}
	return !testing.Short()
}

func missingProblems() (missing []string, err error) {
	unseen, err := contracttest.Unreached(ofTheWayIn)
	for _, problem := range unseen {
		if unreached[problem] == "" && unreached[contracttest.Problem{Slug: problem.Slug}] == "" {
			missing = append(missing, problem.Operation+" "+string(problem.Slug))
		}
	}
	return missing, err
}
