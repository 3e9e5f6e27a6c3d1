package store_test

import (
	"testing"
	"time"

	"mems/internal/clinic"
)

// A search reads an entry, and the patient declines the time that it finds before it is
// offered: it is not offered again, and what the decline wrote stands.
func TestDeclinedTimeIsNotOfferedAgain(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 1, 1)
	read, declined, slot := f.declined(t)
	offered, err := f.store.OfferAsRead(t.Context(), read, slot)
	if err != nil {
		t.Fatal(err)
	}
	if offered {
		t.Error("it is offered a second time")
	}
	after, err := f.store.WaitlistEntry(t.Context(), read.ID)
	if err != nil {
		t.Fatal(err)
	}
	if after.Version != declined.Version || after.MissedOffers != declined.MissedOffers || after.Status != clinic.WaitlistWaiting {
		t.Errorf("after it: version %d, %d missed, %s; the decline left version %d, %d missed, %s",
			after.Version, after.MissedOffers, after.Status, declined.Version, declined.MissedOffers, declined.Status)
	}
}

// An entry that changed after it was read, and still waits, is offered a time and keeps
// what was changed.
func TestOfferKeepsWhatAnEntryHasMissed(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 1, 1)
	read, declined, slot := f.declined(t)
	slot.Time.Start, slot.Time.End = slot.Time.Start.Add(time.Hour), slot.Time.End.Add(time.Hour)
	if offered, err := f.store.OfferAsRead(t.Context(), read, slot); err != nil || !offered {
		t.Fatalf("offered: %v, %v", offered, err)
	}
	after, err := f.store.WaitlistEntry(t.Context(), read.ID)
	if err != nil {
		t.Fatal(err)
	}
	if after.MissedOffers != declined.MissedOffers || after.Version != declined.Version+1 {
		t.Errorf("version %d with %d missed, after version %d with %d", after.Version, after.MissedOffers, declined.Version, declined.MissedOffers)
	}
}

// declined makes an entry of the waitlist that is offered the one time it wants and declines
// it, and returns it as it was read before it was offered anything, as it is now, and the time.
func (f *fixture) declined(t *testing.T) (read, declined clinic.WaitlistEntry, slot clinic.Slot) {
	t.Helper()
	start := now.Add(24 * time.Hour)
	read, err := f.store.CreateWaitlistEntry(t.Context(), clinic.WaitlistEntry{
		PatientID: f.patients[0], DoctorIDs: []int64{f.doctors[0]}, Duration: 30 * time.Minute,
		Window: clinic.Interval{Start: start, End: start.Add(30 * time.Minute)},
	})
	if err != nil {
		t.Fatal(err)
	}
	if read.Offer == nil {
		t.Fatalf("not offered at once: %+v", read)
	}
	slot = read.Offer.Slot
	read.Status, read.Offer = clinic.WaitlistWaiting, nil
	if declined, err = f.store.DeclineOffer(t.Context(), read.ID, 0, nil); err != nil {
		t.Fatal(err)
	}
	return read, declined, slot
}
