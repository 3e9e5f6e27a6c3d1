package server_test

import (
	"fmt"
	"time"
)

// stories lists what happens in the clinic before an example is sent: other examples, and steps. An
// entry for an operation applies to all of its examples without an entry of their own.
var stories = map[string][]string{
	"acceptOffer":              {"an offer is made"},
	"applyPlan":                {"booked at 10 and 11", "createPlan/days"},
	"callNext":                 {"createWalkIn/doctor"},
	"callTicket":               {"createWalkIn/doctor"},
	"cancelAppointment":        {"bookAppointment/halfHour"},
	"cancelSeries":             {"createSeries/weekly"},
	"checkInAppointment":       {"bookAppointment/halfHour"},
	"completeAppointment":      {"bookAppointment/halfHour", "checkInAppointment", "startAppointment"},
	"completeTicket":           {"createWalkIn/doctor", "callTicket", "startTicket"},
	"confirmAppointment":       {"bookAppointment/halfHour"},
	"declineOffer":             {"an offer is made"},
	"deleteAppointmentType":    {"createAppointmentType/skinCheck"},
	"deleteClosure":            {"createClosure/christmas"},
	"deleteWebhook":            {"createWebhook/portal"},
	"getCalendarFeed":          {"createCalendarFeed/phone"},
	"getWebhook":               {"createWebhook/portal"},
	"listWebhookDeliveries":    {"createWebhook/portal"},
	"redeliverWebhook":         {"createWebhook/portal", "testWebhook"},
	"revokeCalendarFeed":       {"createCalendarFeed/phone"},
	"rotateWebhookSecret":      {"createWebhook/portal"},
	"testWebhook":              {"createWebhook/portal"},
	"updateWebhook":            {"createWebhook/portal"},
	"deleteHold":               {"createHold/twoMinutes"},
	"deleteRoom":               {"createRoom/one"},
	"deleteTimeOff":            {"createTimeOff/week"},
	"getApiKey":                {"createApiKey/portal"},
	"getAppointment":           {"bookAppointment/halfHour"},
	"getAppointmentHistory":    {"bookAppointment/halfHour"},
	"getAppointmentType":       {"createAppointmentType/skinCheck"},
	"getClosure":               {"createClosure/christmas"},
	"getHold":                  {"createHold/twoMinutes"},
	"getPlan":                  {"createPlan/days"},
	"getRoom":                  {"createRoom/one"},
	"getSeries":                {"createSeries/weekly"},
	"getTicket":                {"createWalkIn/doctor"},
	"getTimeOff":               {"createTimeOff/week"},
	"getWaitlistEntry":         {"createWaitlistEntry/skin"},
	"leaveAppointment":         {"bookAppointment/halfHour", "checkInAppointment"},
	"leaveTicket":              {"createWalkIn/doctor"},
	"listAvailability?type_id": {"createRoom/one", "createAppointmentType/skinCheck"},
	"listNextAvailable?type_id": {
		"createRoom/one", "createAppointmentType/skinCheck",
	},
	"noShowAppointment":     {"bookAppointment/halfHour", "two hours pass"},
	"readFhirAppointment":   {"bookAppointment/halfHour"},
	"rescheduleAppointment": {"bookAppointment/halfHour"},
	"rescheduleSeries":      {"createSeries/weekly"},
	"revokeApiKey":          {"createApiKey/portal"},
	"startAppointment":      {"bookAppointment/halfHour", "checkInAppointment"},
	"startTicket":           {"createWalkIn/doctor", "callTicket"},
	"transferTicket":        {"createWalkIn/doctor"},
	"undoAppointment":       {"bookAppointment/halfHour", "confirmAppointment"},
	"updateAppointment":     {"bookAppointment/halfHour"},
	"updateAppointmentType": {"createAppointmentType/skinCheck"},
	"updateRoom":            {"createRoom/one"},
	"withdrawWaitlistEntry": {"createWaitlistEntry/skin"},
}

// steps are actions that no example covers.
var steps = map[string]func(*fixture){
	"two hours pass": func(f *fixture) { f.pass(2 * time.Hour) },
	"booked at 10 and 11": func(f *fixture) {
		f.hours(1, "Europe/Zurich", "08:00-18:00")
		f.hours(2, "Europe/Zurich", "08:00-18:00")
		f.booked(1, 1, "2027-03-01T10:00:00+01:00", 30)
		f.booked(2, 1, "2027-03-01T11:00:00+01:00", 30)
	},
	"an offer is made": func(f *fixture) {
		visit := f.booked(2, 1, "2027-03-01T10:00:00+01:00", 30)
		f.Post("/waitlist", object{
			"patient_id": 1, "specialization": "Dermatology", "duration_minutes": 30,
			"from": "2027-03-01T08:00:00+01:00", "to": "2027-03-12T18:00:00+01:00",
		}).Want(f.t, 201, "")
		f.Post(fmt.Sprintf("/appointments/%d/cancel", visit.ID), object{"reason": "patient_request"}).Want(f.t, 200, "")
	},
}

// alongside are query parameters that an operation's other parameters require.
var alongside = map[string]map[string]string{
	"listAppointments":  {"from": "2027-03-01T00:00:00Z", "to": "2027-03-08T00:00:00Z"},
	"listAvailability":  {"duration_minutes": "30"},
	"listNextAvailable": {"duration_minutes": "30"},
}

// instead are parameters that cannot be combined with those of alongside.
var instead = map[string]map[string]string{
	"listAppointments?date":          {},
	"listAvailability?type_id":       {"from": "2027-03-01T00:00:00Z", "to": "2027-03-08T00:00:00Z"},
	"listNextAvailable?type_id":      {},
	"listPatients?identifier":        {"identifier_system": "ahv"},
	"listPatients?identifier_system": {"identifier": "756.1234.5678.97"},
}

// notExecuted are the examples that are not sent, each with the reason.
var notExecuted = map[string]string{
	"acceptOffer?If-Match":         firstETag,
	"completeAppointment?If-Match": firstETag,
	"completeTicket?If-Match":      firstETag,
	"declineOffer?If-Match":        firstETag,
	"leaveAppointment?If-Match":    firstETag,
	"startAppointment?If-Match":    firstETag,
	"startTicket?If-Match":         firstETag,
	"getCalendar":                  drawnByServer,
	"getCalendar?If-None-Match":    drawnByServer,
	"streamChanges?Last-Event-ID":  drawnByServer,
	"undoAppointment?If-Match":     firstETag,
}

const drawnByServer = "the server draws it, and no example can know it; feed and stream have tests of their own"

const firstETag = `the example "1" is the ETag of a new record, and this needs one to which something has happened`

// base creates the records that the examples refer to, unless the operation creates them: patients
// 1 and 2, doctors 1 and 2.
func (f *fixture) base(operation string) {
	f.t.Helper()
	if operation != "createPatient" {
		for _, name := range []string{"Ben", "Lea"} {
			f.Post("/patients", object{"first_name": name, "last_name": "Keller"}).Want(f.t, 201, "")
		}
	}
	if operation != "createDoctor" {
		for range 2 {
			f.doctor()
		}
	}
}
