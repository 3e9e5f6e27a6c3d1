// Package clinic is the domain of MEMS: patients, doctors, appointments, and the rules of
// booking.
//
// Its rules are pure functions of the current time and the state of the calendar. Nothing
// here reads a clock, a context, a database or an HTTP request, or draws a random number,
// so every rule is written once and can be tested and fuzzed in isolation.
//
// All times inside MEMS are UTC, in whole microseconds (see [Instant]); zones appear only
// where wall clocks matter ([Day]). All intervals are half-open, so that back-to-back
// appointments do not overlap.
package clinic
