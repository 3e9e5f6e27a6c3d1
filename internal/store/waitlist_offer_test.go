package store_test

import (
	"testing"
	"time"

	"mems/internal/clinic"
	"mems/internal/store"
)

// A search reads an entry, and the patient declines the time that it finds before it is offered: it
// is not offered again, and the decline stands.
func TestDeclinedTimeIsNotOfferedAgain(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 1, 1)
	read, declined, slot := f.declined(t)
	offered, err := f.store.OfferAsRead(t.Context(), store.SystemRequest(), read, slot)
	if err != nil {
		t.Fatal(err)
	}
	if offered {
		t.Error("OfferAsRead of a declined time = true, want false")
	}
	after, err := f.store.WaitlistEntry(t.Context(), store.SystemRequest(), read.ID)
	if err != nil {
		t.Fatal(err)
	}
	if after.Version != declined.Version || after.MissedOffers != declined.MissedOffers || after.Status != clinic.WaitlistWaiting {
		t.Errorf("entry after the refused offer: version %d, %d missed, %s; want version %d, %d missed, %s",
			after.Version, after.MissedOffers, after.Status, declined.Version, declined.MissedOffers, clinic.WaitlistWaiting)
	}
}

// An entry that changed after it was read, and still waits, is offered a time and keeps the change.
func TestOfferKeepsWhatAnEntryHasMissed(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 1, 1)
	read, declined, slot := f.declined(t)
	slot.Time.Start, slot.Time.End = slot.Time.Start.Add(time.Hour), slot.Time.End.Add(time.Hour)
	if offered, err := f.store.OfferAsRead(t.Context(), store.SystemRequest(), read, slot); err != nil || !offered {
		t.Fatalf("OfferAsRead of another time = %v, %v, want true", offered, err)
	}
	after, err := f.store.WaitlistEntry(t.Context(), store.SystemRequest(), read.ID)
	if err != nil {
		t.Fatal(err)
	}
	if after.MissedOffers != declined.MissedOffers || after.Version != declined.Version+1 {
		t.Errorf("entry after the offer: version %d, %d missed; want version %d, %d missed",
			after.Version, after.MissedOffers, declined.Version+1, declined.MissedOffers)
	}
}

// declined creates a waitlist entry that is offered the one time it wants and declines it. It
// returns the entry as it was before the offer, as it is now, and the time.
func (f *fixture) declined(t *testing.T) (read, declined clinic.WaitlistEntry, slot clinic.Slot) {
	t.Helper()
	start := now.Add(24 * time.Hour)
	read, err := f.store.CreateWaitlistEntry(t.Context(), store.SystemRequest(), clinic.WaitlistEntry{
		PatientID: f.patients[0], DoctorIDs: []int64{f.doctors[0]}, Duration: 30 * time.Minute,
		Window: clinic.Interval{Start: start, End: start.Add(30 * time.Minute)},
	})
	if err != nil {
		t.Fatal(err)
	}
	if read.Offer == nil {
		t.Fatalf("entry that wants a free time: %+v, want one with an offer", read)
	}
	slot = read.Offer.Slot
	read.Status, read.Offer = clinic.WaitlistWaiting, nil
	if declined, err = f.store.DeclineOffer(t.Context(), store.SystemRequest(), read.ID, 0, nil); err != nil {
		t.Fatal(err)
	}
	return read, declined, slot
}
