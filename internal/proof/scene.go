package main

import (
	"slices"
	"sync"
	"time"
)

// held is a hold that a client may use.
type held struct {
	id    int64
	token string
	in    input
}

// scene has the newest records of each kind that clients have created. Clients share it, so
// that several change one record at a time.
type scene struct {
	mu         sync.Mutex
	standing   []int64 // appointments
	gone       []int64 // appointments that were cancelled: for undo
	today      []int64 // appointments that can be checked in
	versions   map[int64]int64
	holds      []held
	series     []int64
	tickets    []int64
	entries    []int64
	absences   []input
	plans      []int64
	duplicates []int64 // patients that may be merged into another
	answered   []*op   // whose key can be used again
	bodies     map[int]request
}

// request is a request that can be sent again.
type request struct {
	method, path string
	body         []byte
}

const kept = 150

func newScene() *scene {
	return &scene{versions: map[int64]int64{}, bodies: map[int]request{}}
}

// keep adds to a list of the scene.
func keep[T any](s *scene, list *[]T, items ...T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*list = append(*list, items...)
	if n := len(*list) - kept; n > 0 {
		*list = slices.Clone((*list)[n:])
	}
}

// look returns an item of a list of the scene, false when it is empty.
func look[T any](s *scene, list *[]T, number uint32) (item T, found bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(*list) == 0 {
		return item, false
	}
	return among(*list, number), true
}

// take is look, and takes the item out.
func take[T any](s *scene, list *[]T, number uint32) (item T, found bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(*list) == 0 {
		return item, false
	}
	i := int(number) % len(*list)
	item = (*list)[i]
	*list = slices.Delete(slices.Clone(*list), i, i+1)
	return item, true
}

// learn stores an appointment from a response.
func (s *scene) learn(a appointment, version int64, today time.Time) {
	s.mu.Lock()
	if version > s.versions[a.ID] {
		s.versions[a.ID] = version
	}
	s.mu.Unlock()
	switch {
	case !occupies(a.Status):
		keep(s, &s.gone, a.ID)
	case a.Start.Before(today.AddDate(0, 0, 1)):
		keep(s, &s.today, a.ID)
	default:
		keep(s, &s.standing, a.ID)
	}
}

// version returns the last known version of an appointment.
func (s *scene) version(id int64) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.versions[id]
}

// remember stores a request, so that its key can be used again.
func (s *scene) remember(o *op, r request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bodies[o.ID] = r
	s.answered = append(s.answered, o)
	if n := len(s.answered) - kept; n > 0 {
		for _, old := range s.answered[:n] {
			delete(s.bodies, old.ID)
		}
		s.answered = slices.Clone(s.answered[n:])
	}
}

// former returns an earlier operation and its request.
func (s *scene) former(number uint32) (*op, request, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.answered) == 0 {
		return nil, request{}, false
	}
	o := among(s.answered, number)
	return o, s.bodies[o.ID], true
}
