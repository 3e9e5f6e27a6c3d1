// Package clinic is the domain of MEMS: patients, doctors, appointments, and
// the rules that decide what may be booked.
//
// Its rules are pure functions: the present moment and the state of the calendar
// are arguments, the decision is the result. Nothing here reads a clock, a context, a
// database or an HTTP request, or draws a random number, so every rule is written once
// and can be tested and fuzzed by itself.
//
// All times inside MEMS are UTC, in whole microseconds (see [Instant]); zones
// appear only where people do ([Day]). All intervals are half-open, so that
// back-to-back appointments do not overlap.
package clinic
