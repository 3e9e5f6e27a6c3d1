package server

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// A place that was left is another request's, and its own request has it back at once.
func TestPlaceIsLeftToOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newTestLine()
		places := fill(t, l)
		places[0].leave()
		next, ok := l.try("next")
		if !ok {
			t.Fatal("no place for another request, after one was left")
		}
		places[0].release()
		again := l.admitAnyway("first")
		if l.atWork != len(places)+1 || l.away != 0 {
			t.Errorf("%d at work and %d away after a request came back, want %d and 0", l.atWork, l.away, len(places)+1)
		}
		next.release()
		if _, ok := l.try("next"); ok {
			t.Error("a request was admitted while all places were taken")
		}
		empty(t, l, append(places, again)...)
	})
}

// Who left a place still counts among those that may be in the line.
func TestLeavingIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLine("test", 1, 6, time.Second, LineObserver{}) // of whose 6 one caller may be 2
		var away []*place
		enter := func(caller string) string {
			p, err := l.enter(t.Context(), caller)
			if err != nil {
				return shedFor(err)
			}
			p.leave()
			away = append(away, p)
			return ""
		}
		for i, want := range []string{"", "", "", "", "", ""} {
			if got := enter(fmt.Sprint("caller ", i/2)); got != want {
				t.Errorf("request %d: %q, want %q", i, got, want)
			}
		}
		last, err := l.enter(t.Context(), "caller 3")
		if err != nil {
			t.Fatal(err) // the place is free
		}
		if _, err := l.enter(t.Context(), "caller 4"); shedFor(err) != ShedFull {
			t.Errorf("with all places of the line left: %v, want %s", err, ShedFull)
		}
		away[5].release()
		away[4].release()
		if _, err := l.enter(t.Context(), "caller 1"); shedFor(err) != ShedFull {
			t.Errorf("a caller who has left its share: %v, want %s", err, ShedFull)
		}
		empty(t, l, append(away, last)...)
	})
}

// The place of who was not known yet counts for the caller that it turns out to be.
func TestPlaceIsAssignedToTheCaller(t *testing.T) {
	t.Parallel()
	l := newLine("test", 6, 96, time.Second, LineObserver{})
	var places []*place
	for range 2 {
		p, ok := l.try("address")
		if !ok || !p.assign("caller") || !p.assign("caller") {
			t.Fatal("no place")
		}
		places = append(places, p)
	}
	p, ok := l.try("address")
	if !ok || p.assign("caller") {
		t.Error("a caller has more than its share")
	}
	if _, ok := l.try("caller"); ok {
		t.Error("a caller has more than its share")
	}
	places[0].release()
	if !p.assign("caller") || len(l.callers) != 1 {
		t.Errorf("callers %v", l.callers)
	}
	p.release()
	places[1].release()
	empty(t, l)
}
