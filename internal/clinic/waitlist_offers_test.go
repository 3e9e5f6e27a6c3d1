package clinic_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"mems/internal/clinic"
)

// offered is an offer that is open until ten o'clock.
var offered = clinic.Offer{HoldID: 5, Slot: clinic.Slot{DoctorID: 3, Time: minutes(120, 150)}, ExpiresAt: minutes(60, 90).Start}

// entryOf returns an entry with a status, and an offer if the status has one, whose window
// ends at half past eleven.
func entryOf(status clinic.WaitlistStatus) clinic.WaitlistEntry {
	e := clinic.WaitlistEntry{ID: 7, PatientID: 9, Window: minutes(0, 150), Status: status, MissedOffers: 1, Version: 3}
	if status == clinic.WaitlistOffered {
		o := offered
		e.Offer = &o
	}
	return e
}

// waitlistTransitions restates the transitions: their results and when they apply.
var waitlistTransitions = []struct {
	name string
	do   func(*clinic.WaitlistEntry, time.Time) error
	// to maps the previous status to the new one; others refuse the transition.
	to      map[clinic.WaitlistStatus]clinic.WaitlistStatus
	refusal error
	allowed func(now time.Time) bool
	missed  int // number of offers
}{
	{
		"Offer", func(e *clinic.WaitlistEntry, _ time.Time) error { return e.MakeOffer(offered) },
		map[clinic.WaitlistStatus]clinic.WaitlistStatus{"waiting": "offered"},
		clinic.ErrWaitlistClosed, always, 0,
	},
	{
		"Accept", func(e *clinic.WaitlistEntry, now time.Time) error { return e.AcceptOffer(now, 11) },
		map[clinic.WaitlistStatus]clinic.WaitlistStatus{"offered": "booked"},
		clinic.ErrNoOffer, offered.ExpiresAt.After, 0,
	},
	{
		"Decline", (*clinic.WaitlistEntry).DeclineOffer,
		map[clinic.WaitlistStatus]clinic.WaitlistStatus{"offered": "waiting"},
		clinic.ErrNoOffer, offered.ExpiresAt.After, 1,
	},
	{
		"ExpireOffer", (*clinic.WaitlistEntry).ExpireOffer,
		map[clinic.WaitlistStatus]clinic.WaitlistStatus{"offered": "waiting"},
		clinic.ErrNoOffer,
		func(now time.Time) bool { return !now.Before(offered.ExpiresAt) }, 1,
	},
	{
		"Withdraw", func(e *clinic.WaitlistEntry, _ time.Time) error { return e.Withdraw() },
		map[clinic.WaitlistStatus]clinic.WaitlistStatus{"waiting": "withdrawn", "offered": "withdrawn"},
		clinic.ErrWaitlistClosed, always, 1,
	},
	{
		"Expire", (*clinic.WaitlistEntry).Expire,
		map[clinic.WaitlistStatus]clinic.WaitlistStatus{"waiting": "expired"},
		clinic.ErrWaitlistClosed,
		func(now time.Time) bool { return !now.Before(minutes(150, 180).Start) }, 0,
	},
}

func always(time.Time) bool { return true }

var waitlistStatuses = []clinic.WaitlistStatus{"waiting", "offered", "booked", "withdrawn", "expired"}

func TestWaitlistTransitions(t *testing.T) {
	moments := []struct {
		name string
		now  time.Time
	}{
		{"LastMomentOfOffer", offered.ExpiresAt.Add(-time.Microsecond)},
		{"OfferExpires", offered.ExpiresAt},
		{"LastStart", minutes(150, 180).Start.Add(-time.Microsecond)},
		{"WindowHasPassed", minutes(150, 180).Start},
	}
	for _, transition := range waitlistTransitions {
		for _, from := range waitlistStatuses {
			for _, at := range moments {
				t.Run(transition.name+"/"+string(from)+"/"+at.name, func(t *testing.T) {
					got, want := entryOf(from), entryOf(from)
					err := transition.do(&got, at.now)
					to, listed := transition.to[from]
					if !listed || !transition.allowed(at.now) {
						if !errors.Is(err, transition.refusal) {
							t.Errorf("got %v, want %v", err, transition.refusal)
						}
						if diff := cmp.Diff(want, got); diff != "" {
							t.Errorf("a refused transition changed the entry (-want +got)\n%s", diff)
						}
						return
					}
					want.Status = to
					if want.Offer != nil {
						want.MissedOffers += transition.missed
					}
					want.Offer = nil
					if to == clinic.WaitlistOffered {
						want.Offer = &offered
					}
					if to == clinic.WaitlistBooked {
						id := int64(11)
						want.AppointmentID = &id
					}
					if err != nil {
						t.Errorf("error = %v, want none", err)
					}
					if diff := cmp.Diff(want, got); diff != "" {
						t.Errorf("entry after the transition (-want +got)\n%s", diff)
					}
				})
			}
		}
	}
}

func TestRetractOffer(t *testing.T) {
	for _, from := range waitlistStatuses {
		got, want := entryOf(from), entryOf(from)
		if from == clinic.WaitlistOffered {
			want.Status, want.Offer = clinic.WaitlistWaiting, nil
		}
		got.RetractOffer()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", from, diff)
		}
	}
}

// TestWaitlistStaysConsistent applies any transitions at any times: an entry has an offer
// exactly while it is offered one and an appointment exactly when it is booked, is answered
// or expires but not both, and never leaves a final status.
func TestWaitlistStaysConsistent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := entryOf(clinic.WaitlistWaiting)
		for range rapid.IntRange(1, 12).Draw(t, "transitions") {
			now := nine.Add(time.Duration(rapid.IntRange(0, 200).Draw(t, "now")) * time.Minute)
			before := e
			_, live := e.LiveOffer(now)
			accepting, declining, expiring := e, e, e
			answered, declined := accepting.AcceptOffer(now, 11) == nil, declining.DeclineOffer(now) == nil
			if expired := expiring.ExpireOffer(now) == nil; answered != declined || answered != (live == nil) ||
				(e.Status == clinic.WaitlistOffered) != (answered != expired) {
				t.Fatalf("at %s: accept %v, decline %v, expire %v of %+v; want either an answer or the expiry",
					now, answered, declined, expired, e)
			}
			chosen := rapid.IntRange(-1, len(waitlistTransitions)-1).Draw(t, "transition")
			var err error
			if chosen < 0 {
				e.RetractOffer()
			} else {
				err = waitlistTransitions[chosen].do(&e, now)
			}
			if diff := cmp.Diff(before, e); err != nil && diff != "" {
				t.Fatalf("a refused transition changed the entry (-before +after)\n%s", diff)
			}
			if (e.Offer != nil) != (e.Status == clinic.WaitlistOffered) || (e.AppointmentID != nil) != (e.Status == clinic.WaitlistBooked) {
				t.Fatalf("entry = %+v, want an offer exactly if offered, an appointment exactly if booked", e)
			}
			if !before.Status.Open() && e.Status != before.Status {
				t.Fatalf("status from %s, which is final, to %s, want it unchanged", before.Status, e.Status)
			}
			if e.MissedOffers < before.MissedOffers {
				t.Fatalf("missed offers from %d to %d, want them not to fall", before.MissedOffers, e.MissedOffers)
			}
		}
	})
}
