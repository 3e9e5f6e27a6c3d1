package server

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"mems/internal/clinic"
)

// A flood of refusals is limited by operation, address, network and process, and counting restarts
// every minute.
func TestRefusalsAreThinned(t *testing.T) {
	t.Parallel()
	minute := time.Date(2027, 3, 1, 8, 0, 0, 0, time.UTC)
	anonymous := func(address, operation string) clinic.Access {
		return clinic.Access{Caller: clinic.Caller{Subject: clinic.Anonymous}, Operation: operation, Address: netip.MustParseAddr(address)}
	}
	count := func(f *refusals, n int, access func(i int) clinic.Access) (written int) {
		for i := range n {
			if f.first(access(i), minute) {
				written++
			}
		}
		return written
	}
	for name, c := range map[string]struct {
		n      int
		access func(i int) clinic.Access
		want   int
	}{
		"OneOperation": {100, func(int) clinic.Access { return anonymous("192.0.2.1", "listPatients") }, 1},
		"OneAddress":   {100, func(i int) clinic.Access { return anonymous("192.0.2.1", fmt.Sprint(i)) }, maxRefusalsOfAddress},
		"OneNetwork":   {100, func(i int) clinic.Access { return anonymous(fmt.Sprintf("2001:db8::%x", i+1), "listPatients") }, 1},
		"MappedIsIPv4": {2, func(i int) clinic.Access {
			return anonymous([]string{"192.0.2.1", "::ffff:192.0.2.1"}[i], "listPatients")
		}, 1},
		"ManyNetworks": {500, func(i int) clinic.Access { return anonymous(fmt.Sprintf("2001:db8:0:%x::1", i), "listPatients") }, maxAnonymousRefusals},
		"ManyCallers": {maxRefusals + 100, func(i int) clinic.Access {
			return clinic.Access{Caller: clinic.Caller{Subject: fmt.Sprintf("key:%d", i)}, Operation: "listPatients"}
		}, maxRefusals},
	} {
		if got := count(&refusals{}, c.n, c.access); got != c.want {
			t.Errorf("%s: %d written, want %d", name, got, c.want)
		}
	}
	// Unauthenticated callers leave room for callers with a key, and for the next minute.
	f := &refusals{}
	count(f, 500, func(i int) clinic.Access { return anonymous(fmt.Sprintf("192.0.2.%d", i%250), fmt.Sprint(i)) })
	if !f.first(clinic.Access{Caller: clinic.Caller{Subject: "key:1"}, Operation: "listPatients"}, minute) {
		t.Error("first refusal of a caller after 500 of strangers = false, want true")
	}
	if !f.first(anonymous("192.0.2.1", "listPatients"), minute.Add(time.Minute)) {
		t.Error("first refusal of a stranger in the next minute = false, want true")
	}
}

// The least recently used bucket is dropped, and no other.
func TestLeastRecentlyUsedBucketIsForgotten(t *testing.T) {
	t.Parallel()
	bs := newBuckets()
	bs.most = 2
	first, second := bs.get("first", 60), bs.get("second", 60)
	bs.get("first", 60)
	bs.get("third", 60) // instead of the second
	if bs.get("first", 60) != first {
		t.Error("bucket that was used since is another one, want it kept")
	}
	if bs.get("second", 60) == second {
		t.Error("bucket that was used least recently is the same, want it forgotten")
	}
	if len(bs.byName) != 2 || bs.recent.Len() != 2 {
		t.Errorf("%d names and %d buckets, want 2 and 2", len(bs.byName), bs.recent.Len())
	}
}
