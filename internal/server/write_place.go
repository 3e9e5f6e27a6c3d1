package server

import (
	"context"

	"github.com/labstack/echo/v4"

	"mems/internal/clinic"
	"mems/internal/contract"
)

// writePlace is a write's turns at its doctors and its place: its store.Place. Only the
// request's own goroutine uses it.
type writePlace struct {
	admission *admission
	caller    string
	doctors   []int64

	turns *takenTurns
	place *place
	left  bool // its turns; its place as well, unless it has resumed
}

// admitWrite waits for the request's turn at its doctors, then for a place. If only the
// database knows in whose calendar a record is, it is asked from a place; a request that
// then has to wait for its turn releases the place meanwhile.
func (s *Server) admitWrite(c echo.Context, op *contract.Operation) (release func(), err error) {
	ctx := c.Request().Context()
	req := requestOf(ctx)
	w := &writePlace{admission: s.admission, caller: callerOf(req.Access), doctors: s.doctorsInRequest(c, op.Calendar.Doctor)}
	if op.Calendar.Record != (clinic.Kind{}) {
		if w.place, err = s.enter(ctx, s.admission.writes, w.caller); err != nil {
			return nil, err
		}
		if w.doctors, err = s.addDoctorsOfRecord(c, op.Calendar.Record, w.doctors); err != nil {
			w.place.release()
			return nil, err
		}
		if turns, ok := s.admission.doctors.try(w.caller, w.doctors); ok {
			w.turns = turns
		} else {
			w.place.release()
		}
	}
	if w.turns == nil {
		if err := w.enter(ctx); err != nil {
			return nil, err
		}
	}
	req.Place = w
	setRequest(c, req)
	return w.release, nil
}

// enter waits for the turns and a place.
func (w *writePlace) enter(ctx context.Context) (err error) {
	if len(w.doctors) > 0 {
		if err := w.admission.writes.check(ctx, w.caller); err != nil {
			return forClient(err) // a turn would not help
		}
	}
	if w.turns, err = w.admission.doctors.take(ctx, w.caller, w.doctors); err != nil {
		return forClient(err)
	}
	if w.place, err = w.admission.writes.enter(ctx, w.caller); err != nil {
		w.turns.release()
		return forClient(err)
	}
	return nil
}

func (w *writePlace) release() {
	w.place.release()
	w.turns.release()
}

// Leave implements store.Place.
func (w *writePlace) Leave() {
	w.left = true
	w.place.release()
	w.turns.leave()
}

// Resume implements store.Place. It takes no turn, which only a request that goes on alone needs:
// those who want the same guard are the ones that this request leads.
func (w *writePlace) Resume() { w.place = w.admission.writes.admitAnyway(w.caller) }

// Enter implements store.Place. On an error w has nothing to release.
func (w *writePlace) Enter(ctx context.Context) error {
	if !w.left {
		return nil
	}
	w.release()
	turns, err := w.admission.doctors.takeAgain(ctx, w.caller, w.doctors)
	if err != nil {
		return forClient(err)
	}
	place, err := w.admission.writes.enterAgain(ctx, w.caller)
	if err != nil {
		turns.release()
		return forClient(err)
	}
	w.turns, w.place, w.left = turns, place, false
	return nil
}
