package main

import (
	"slices"
	"testing"

	"mems/gen/api"
	"mems/internal/conformance"
)

// A run accepts no refusal that the contract does not list for the operation (x-problems).
func TestRefusalsAreTheContracts(t *testing.T) {
	t.Parallel()
	contract, err := conformance.NewContract()
	if err != nil {
		t.Fatal(err)
	}
	operationIDs := map[string]string{
		"book": "bookAppointment", "book-held": "bookAppointment", "hold": "createHold", "release": "deleteHold",
		"reschedule": "rescheduleAppointment", "undo": "undoAppointment", "cancel": "cancelAppointment",
		"confirm": "confirmAppointment", "check-in": "checkInAppointment", "start": "startAppointment",
		"complete": "completeAppointment", "leave": "leaveAppointment",
		"series": "createSeries", "reschedule-series": "rescheduleSeries",
		"wait": "createWaitlistEntry", "accept": "acceptOffer", "decline": "declineOffer", "withdraw": "withdrawWaitlistEntry",
		"walk-in": "createWalkIn", "call-next": "callNext", "call-ticket": "callTicket", "start-ticket": "startTicket",
		"complete-ticket": "completeTicket", "leave-ticket": "leaveTicket", "transfer": "transferTicket",
		"merge": "mergePatients", "end-time-off": "deleteTimeOff", "apply": "applyPlan",
	}
	for kind, codes := range refusals {
		id := operationIDs[kind]
		listed, known := contract.Problems()[id]
		if !known && len(codes) > 0 {
			t.Errorf("%s: operation %q is not in the contract, want it there", kind, id)
		}
		for code := range codes {
			if !slices.Contains(listed, api.ProblemSlug(code)) {
				t.Errorf("%s: a run accepts %s, which %s does not list in x-problems", kind, code, id)
			}
		}
	}
}
