// Package model holds Promela models of what MEMS promises under concurrency. SPIN
// checks every interleaving of each, and finds the fault in each spoilt variant:
// "make model". README.md says what each model states and leaves out.
package model
