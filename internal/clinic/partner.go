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

// IsPartner reports whether the caller can access only what was made with its own key.
func (a Access) IsPartner() bool { return !a.Reach.All && a.Reach.KeyID != 0 }
