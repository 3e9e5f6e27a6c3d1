package clinic

import "time"

// What a partner may have at one time, so that none keeps the times of a clinic from
// its patients.
const (
	MaxPartnerHolds   = 5
	MaxPartnerEntries = 50 // of the waitlist, waiting or with an offer
)

// PartnerWindow bounds how far ahead partners book; zero values bound nothing.
type PartnerWindow struct {
	Lead    time.Duration // from now to the earliest start
	Horizon time.Duration // from now to the latest start
}

// Check rejects a start that a partner may not book now: CodeOutsideBookingWindow,
// with the bounds. Other callers may book any start.
func (w PartnerWindow) Check(now time.Time, a Access, start time.Time) error {
	if !a.IsPartner() {
		return nil
	}
	refusal := &Error{Code: CodeOutsideBookingWindow}
	refusal.EarliestStart, refusal.LatestStart = w.bounds(now)
	if start.Before(refusal.EarliestStart) || !refusal.LatestStart.IsZero() && start.After(refusal.LatestStart) {
		return refusal
	}
	return nil
}

// Narrow cuts off a window of starts those that Check rejects; what is left may be empty.
func (w PartnerWindow) Narrow(now time.Time, starts Interval) Interval {
	earliest, latest := w.bounds(now)
	if starts.Start.Before(earliest) {
		starts.Start = earliest
	}
	if end := latest.Add(time.Microsecond); !latest.IsZero() && end.Before(starts.End) {
		starts.End = end
	}
	if starts.End.Before(starts.Start) {
		starts.End = starts.Start
	}
	return starts
}

// bounds are the earliest and the latest start; zero: no bound.
func (w PartnerWindow) bounds(now time.Time) (earliest, latest time.Time) {
	if w.Lead > 0 {
		earliest = now.Add(w.Lead)
	}
	if w.Horizon > 0 {
		latest = now.Add(w.Horizon)
	}
	return earliest, latest
}

// IsPartner reports whether the caller can access only what was made with its own key.
func (a Access) IsPartner() bool { return !a.Reach.All && a.Reach.KeyID != 0 }
