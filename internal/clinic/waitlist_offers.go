package clinic

import "time"

// How an entry of the waitlist goes on. The version is counted where the entry is
// written; a transition that is refused changes nothing.
//
//	waiting ── offer ──> offered ── accept ──> booked
//	   │  <─ decline, expire, retract ─┤
//	   │                               │
//	   ├── withdraw ──> withdrawn <────┘
//	   └── window has passed ──> expired

// Waits reports whether an entry of this status may be offered a time.
func (s WaitlistStatus) Waits() bool { return s == WaitlistWaiting }

// Open reports whether an entry of this status may still come to a time.
func (s WaitlistStatus) Open() bool { return s == WaitlistWaiting || s == WaitlistOffered }

// LiveOffer returns the time that the patient may accept or decline now. Errors:
// ErrNoOffer, also when it has expired.
func (e *WaitlistEntry) LiveOffer(now time.Time) (Offer, error) {
	if e.Status != WaitlistOffered || e.Offer == nil || !e.Offer.ExpiresAt.After(now) {
		return Offer{}, ErrNoOffer
	}
	return *e.Offer, nil
}

// MakeOffer offers a time to an entry that waits. Errors: ErrWaitlistClosed.
func (e *WaitlistEntry) MakeOffer(o Offer) error {
	if !e.Status.Waits() {
		return ErrWaitlistClosed
	}
	e.Status, e.Offer = WaitlistOffered, &o
	return nil
}

// AcceptOffer ends the entry with the appointment that its offer was booked as.
// Errors: ErrNoOffer.
func (e *WaitlistEntry) AcceptOffer(now time.Time, appointmentID int64) error {
	if _, err := e.LiveOffer(now); err != nil {
		return err
	}
	e.Status, e.Offer, e.AppointmentID = WaitlistBooked, nil, &appointmentID
	return nil
}

// DeclineOffer lets the entry wait for another time. Errors: ErrNoOffer.
func (e *WaitlistEntry) DeclineOffer(now time.Time) error {
	if _, err := e.LiveOffer(now); err != nil {
		return err
	}
	e.missOffer(WaitlistWaiting)
	return nil
}

// ExpireOffer is DeclineOffer for an offer that the patient has let pass. Errors:
// ErrNoOffer, also when it can still be accepted.
func (e *WaitlistEntry) ExpireOffer(now time.Time) error {
	if _, err := e.LiveOffer(now); err == nil || e.Status != WaitlistOffered {
		return ErrNoOffer
	}
	e.missOffer(WaitlistWaiting)
	return nil
}

// RetractOffer takes back an offer that was not answered, if there is one: the entry
// waits on and has missed nothing.
func (e *WaitlistEntry) RetractOffer() {
	if e.Offer != nil {
		e.Status, e.Offer = WaitlistWaiting, nil
	}
}

// Withdraw takes an open entry off the waitlist; an offer counts as missed. Errors:
// ErrWaitlistClosed.
func (e *WaitlistEntry) Withdraw() error {
	if !e.Status.Open() {
		return ErrWaitlistClosed
	}
	e.missOffer(WaitlistWithdrawn)
	return nil
}

// Expire ends an entry that waits when no start is left in its window. One with an
// offer may still accept it. Errors: ErrWaitlistClosed.
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
