package clinic

import "time"

// The transitions of a waitlist entry. The version is incremented where the entry is
// written; a refused transition changes nothing.
//
//	waiting ── offer ──> offered ── accept ──> booked
//	   │  <─ decline, expire, retract ─┤
//	   │                               │
//	   ├── withdraw ──> withdrawn <────┘
//	   └── window has passed ──> expired

// Waits reports whether an entry of this status may be offered a time.
func (s WaitlistStatus) Waits() bool { return s == WaitlistWaiting }

// Open reports whether an entry of this status may still be booked.
func (s WaitlistStatus) Open() bool { return s == WaitlistWaiting || s == WaitlistOffered }

// LiveOffer returns the offer that can be accepted or declined at now. Errors: ErrNoOffer,
// also when it has expired.
func (e *WaitlistEntry) LiveOffer(now time.Time) (Offer, error) {
	if e.Status != WaitlistOffered || e.Offer == nil || !e.Offer.ExpiresAt.After(now) {
		return Offer{}, ErrNoOffer
	}
	return *e.Offer, nil
}

// CheckOffer compares an entry's offer with the one that the caller means, 0 for any.
// Errors: ErrNoOffer.
func (e *WaitlistEntry) CheckOffer(meant int64) error {
	if meant != 0 && (e.Offer == nil || e.Offer.HoldID != meant) {
		return ErrNoOffer
	}
	return nil
}

// MakeOffer offers a time to a waiting entry. Errors: ErrWaitlistClosed.
func (e *WaitlistEntry) MakeOffer(o Offer) error {
	if !e.Status.Waits() {
		return ErrWaitlistClosed
	}
	e.Status, e.Offer = WaitlistOffered, &o
	return nil
}

// AcceptOffer closes the entry with the appointment booked from its offer. Errors:
// ErrNoOffer.
func (e *WaitlistEntry) AcceptOffer(now time.Time, appointmentID int64) error {
	if _, err := e.LiveOffer(now); err != nil {
		return err
	}
	e.Status, e.Offer, e.AppointmentID = WaitlistBooked, nil, &appointmentID
	return nil
}

// DeclineOffer puts the entry back to waiting. Errors: ErrNoOffer.
func (e *WaitlistEntry) DeclineOffer(now time.Time) error {
	if _, err := e.LiveOffer(now); err != nil {
		return err
	}
	e.missOffer(WaitlistWaiting)
	return nil
}

// ExpireOffer is DeclineOffer for an expired offer. Errors: ErrNoOffer, also when it can
// still be accepted.
func (e *WaitlistEntry) ExpireOffer(now time.Time) error {
	if _, err := e.LiveOffer(now); err == nil || e.Status != WaitlistOffered {
		return ErrNoOffer
	}
	e.missOffer(WaitlistWaiting)
	return nil
}

// RetractOffer withdraws an open offer, if there is one: the entry waits again, and the
// offer does not count as missed.
func (e *WaitlistEntry) RetractOffer() {
	if e.Offer != nil {
		e.Status, e.Offer = WaitlistWaiting, nil
	}
}

// Withdraw closes an open entry; an offer counts as missed. Errors: ErrWaitlistClosed.
func (e *WaitlistEntry) Withdraw() error {
	if !e.Status.Open() {
		return ErrWaitlistClosed
	}
	e.missOffer(WaitlistWithdrawn)
	return nil
}

// Expire closes a waiting entry with no start left in its window. An entry with an offer
// can still accept it. Errors: ErrWaitlistClosed.
func (e *WaitlistEntry) Expire(now time.Time) error {
	if !e.Status.Waits() || e.Window.End.After(now) {
		return ErrWaitlistClosed
	}
	e.Status = WaitlistExpired
	return nil
}

// missOffer changes the status and counts an offer that was not accepted.
func (e *WaitlistEntry) missOffer(to WaitlistStatus) {
	e.Status = to
	if e.Offer != nil {
		e.Offer = nil
		e.MissedOffers++
	}
}
