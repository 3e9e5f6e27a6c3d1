// Package clinic is the domain of MEMS: patients, doctors, appointments, and
// the rules that decide what may be booked.
//
// It is pure. Nothing here reads a clock, a database or a request: the present
// moment and the state of the calendar are arguments, the decision is the
// result. So every rule can be tested, fuzzed and reasoned about by itself, and
// is written once.
//
// All times inside MEMS are UTC, in whole microseconds (see [Instant]); zones
// appear only where people do ([Day]). All intervals are half-open, so that
// back-to-back appointments do not overlap.
package clinic
