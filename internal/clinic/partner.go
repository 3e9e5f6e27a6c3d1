package clinic

import "time"

// What one partner may hold at a time, so that none can block the clinic's calendar.
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
	if w.Lead > 0 {
		refusal.EarliestStart = now.Add(w.Lead)
	}
	if w.Horizon > 0 {
		refusal.LatestStart = now.Add(w.Horizon)
	}
	if start.Before(refusal.EarliestStart) || !refusal.LatestStart.IsZero() && start.After(refusal.LatestStart) {
		return refusal
	}
	return nil
}

// Clip returns the part of a window of starts in which the caller may book now, empty
// where there is none.
func (w PartnerWindow) Clip(now time.Time, a Access, starts Interval) Interval {
	if !a.IsPartner() {
		return starts
	}
	return w.Within(now, starts)
}

// Within returns the part of a window of starts in which partners may book now.
func (w PartnerWindow) Within(now time.Time, starts Interval) Interval {
	if earliest := now.Add(w.Lead); w.Lead > 0 && earliest.After(starts.Start) {
		starts.Start = earliest
	}
	if end := now.Add(w.Horizon + time.Microsecond); w.Horizon > 0 && end.Before(starts.End) {
		starts.End = end // the latest start is one of them
	}
	if starts.End.Before(starts.Start) {
		starts.End = starts.Start
	}
	return starts
}

// IsPartner reports whether the caller can access only what was made with its own key.
func (a Access) IsPartner() bool { return !a.Reach.All && a.Reach.KeyID != 0 }
