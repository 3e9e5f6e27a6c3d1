/* Booking and rescheduling, with guard rows in lock order: doctors by id, patient,
   rooms by id (internal/store/booking.go, decide.go, reschedule.go).

   Calls 0 and 1 book, calls 2 and 3 reschedule one of two appointments that exist.
   A time is a set of bits, so that lengths differ and two times may overlap in part. */
#include "common.h"

#define CALLS 4
#ifdef TRACES
#define FIRST 1 /* the calls that are made */
#define LAST 2
#undef CRASHES
#define CRASHES 0
#elif defined(SMALL)
#define FIRST 1
#define LAST 3
#else
#define FIRST 0
#define LAST 3
#endif
#define MADE (LAST - FIRST + 1)
#define ANY 2

#define OK 1
#define DOCTOR_TAKEN 2
#define PATIENT_TAKEN 3
#define ROOM_TAKEN 4
#define CRASHED 5

typedef Appointment { bool there; byte doctor, patient, room, time };
Appointment appointment[CALLS]; /* 2 and 3 exist from the start; 0 and 1 are those that calls 0 and 1 make */
Appointment want[CALLS];        /* what each call asks for; of a reschedule, patient is the appointment */

byte doctor[2] = FREE, patient[2] = FREE, room[2] = FREE; /* guard rows */

#define CLASH(a, field, id, when, except) \
	(a != except && appointment[a].there && appointment[a].field == id && (appointment[a].time & (when)) != 0)
/* store/booking.go:busyTimesOfDoctor and its like: what is committed, bounded, FOR UPDATE */
#define TAKEN(field, id, when, except) \
	(CLASH(0, field, id, when, except) || CLASH(1, field, id, when, except) || \
	 CLASH(2, field, id, when, except) || CLASH(3, field, id, when, except))
#define TWICE(a) \
	(appointment[a].there && \
	 (TAKEN(doctor, appointment[a].doctor, appointment[a].time, a) || \
	  TAKEN(patient, appointment[a].patient, appointment[a].time, a) || \
	  TAKEN(room, appointment[a].room, appointment[a].time, a)))

inline release() {
	d_step {
		UNLOCK(doctor[0]); UNLOCK(doctor[1]); UNLOCK(patient[0]); UNLOCK(patient[1]); UNLOCK(room[0]); UNLOCK(room[1])
	}
}

/* COMMIT: all that the transaction wrote is there at once, and its locks go. */
inline commit(nr, dr, pt, rm, when) {
	d_step {
		appointment[nr].there = true; appointment[nr].doctor = dr; appointment[nr].patient = pt;
		appointment[nr].room = rm; appointment[nr].time = when;
		assert(!TWICE(nr)); /* the promise */
		UNLOCK(doctor[0]); UNLOCK(doctor[1]); UNLOCK(patient[0]); UNLOCK(patient[1]); UNLOCK(room[0]); UNLOCK(room[1])
	}
}

/* store/decide.go:chooseRoom. Of any room, the first that a plain read finds free is
   locked and looked at once more; rooms are tried by id. chosen is ANY if there is none. */
inline choose_room(wanted, when, except, chosen) {
	if
	:: wanted != ANY -> /* guardNamedRoom */
		LOCK(room[wanted]); chosen = wanted
	:: else ->
		chosen = 0;
		do
		:: chosen == ANY -> break
		:: chosen < ANY && TAKEN(room, chosen, when, except) -> chosen++ /* freeRoom, not locking */
		:: chosen < ANY && !TAKEN(room, chosen, when, except) ->
			LOCK(room[chosen]); /* guardRoom */
#ifdef SPOILT_ROOM_NOT_LOOKED_AT_AGAIN
			break
#else
			if
			:: !TAKEN(room, chosen, when, except) -> break
			:: else -> chosen++
			fi
#endif
		od
	fi
}

/* store/decide.go:decideWith asks clinic/CanBook: doctor, then patient, then room. */
inline decide(dr, pt, rm, when, except, verdict) {
	d_step { /* the guards are held, so nothing that counts changes while it is read */
	if
	:: TAKEN(doctor, dr, when, except) -> verdict = DOCTOR_TAKEN
	:: else -> verdict = OK
	fi;
	if
	:: verdict == OK && TAKEN(patient, pt, when, except) -> verdict = PATIENT_TAKEN
	:: else
	fi;
#ifndef SPOILT_ROOM_NOT_LOOKED_AT_AGAIN
	if
	:: verdict == OK && (rm == ANY || TAKEN(room, rm, when, except)) -> verdict = ROOM_TAKEN
	:: else
	fi
#else
	if
	:: verdict == OK && rm == ANY -> verdict = ROOM_TAKEN
	:: else
	fi
#endif
	}
}

/* store/booking.go:BookAppointment */
proctype Book(byte me) {
	byte r, verdict;
	INVOKED(me)
	{
#ifndef SPOILT_NO_GUARD
		LOCK(doctor[want[me].doctor]);   /* guardDoctor: UPDATE doctors SET calendar_rev = calendar_rev + 1 */
#ifdef SPOILT_NO_PATIENT_GUARD
		skip;
#else
		LOCK(patient[want[me].patient]); /* guardPatient */
#endif
#endif
		choose_room(want[me].room, want[me].time, me, r);
		decide(want[me].doctor, want[me].patient, r, want[me].time, me, verdict);
		if
		:: verdict == OK -> commit(me, want[me].doctor, want[me].patient, r, want[me].time) /* placeBooking, commit */
		:: else -> release() /* rollback */
		fi
	} unless { DIES -> verdict = CRASHED; release() };
	ANSWER(me, verdict);
	d_step { verdict = 0; r = 0 } /* fewer states */
}

/* store/reschedule.go:RescheduleAppointment, of an appointment to a doctor and a time. */
proctype Reschedule(byte me) {
	byte a, was, verdict, r;
	INVOKED(me)
	a = want[me].patient;
	{
		do /* tx.go:try */
		:: was = appointment[a].doctor; /* lockAppointment: a plain read says which guards to take */
#ifdef SPOILT_LOCK_ORDER
			LOCK(doctor[was]);
			LOCK(doctor[want[me].doctor]);
#else
			if /* slices.Sort(doctors) */
			:: was < want[me].doctor -> LOCK(doctor[was]); LOCK(doctor[want[me].doctor])
			:: was > want[me].doctor -> LOCK(doctor[want[me].doctor]); LOCK(doctor[was])
			:: else -> LOCK(doctor[was])
			fi;
#endif
			LOCK(patient[appointment[a].patient]);
#ifdef SPOILT_NOT_READ_AGAIN
			break
#else
			if
			:: appointment[a].doctor == was -> break
			:: else -> release() /* errMoved: roll back, try again */
			fi
#endif
		od;
		r = appointment[a].room; /* it keeps its room: decide.go:guardNamedRoom */
		LOCK(room[r]);
		decide(want[me].doctor, appointment[a].patient, r, want[me].time, a, verdict);
		if
		:: verdict == OK ->
#ifdef SPOILT_NOT_READ_AGAIN
			assert(doctor[appointment[a].doctor] == _pid); /* the calendar that it leaves is changed, too */
#endif
			commit(a, want[me].doctor, appointment[a].patient, r, want[me].time) /* updateAppointment, commit */
		:: else -> release()
		fi
	} unless { DIES -> verdict = CRASHED; release() };
	ANSWER(me, verdict);
	d_step { verdict = 0; r = 0; a = 0; was = 0 } /* fewer states */
}

/* kill -9 of a server, or a connection that the database drops */
proctype Crash() {
	if
	:: strike(1)
	:: strike(2)
	:: true
	fi
}

inline give(nr, dr, pt, rm, when) {
	appointment[nr].there = true; appointment[nr].doctor = dr; appointment[nr].patient = pt;
	appointment[nr].room = rm; appointment[nr].time = when
}

init {
	atomic {
		give(2, 0, 0, 0, 1);
		give(3, 1, 1, 1, 1);
		/* what is asked for: enough to meet in any of doctor, patient and room, and no more */
		want[0].doctor = 0; want[0].patient = 0;
		want[0].time = 2; want[0].room = 1;
		if
		:: want[1].doctor = 0
		:: want[1].doctor = 1
		fi;
		if
		:: want[1].patient = 0
		:: want[1].patient = 1
		fi;
		want[1].time = 2; want[1].room = ANY;
		want[2].patient = 2; want[2].doctor = 1;
		if
		:: want[2].time = 1
		:: want[2].time = 2
		fi;
		if
		:: want[3].patient = 2
		:: want[3].patient = 3
		fi;
		want[3].doctor = 0;
		if
		:: want[3].time = 1
		:: want[3].time = 3
		fi;
#ifdef TRACES
		asked[0] = want[1].doctor; asked[1] = want[1].patient; asked[2] = want[2].time;
#endif
		run Book(1);       /* _pid 1 */
		run Reschedule(2); /* _pid 2 */
#ifndef TRACES
		run Reschedule(3);
		run Crash();
#ifndef SMALL
		run Book(0);
#endif
#endif
		GOES_ON; TRACE
	}
}

ltl every_call_ends { <> (answered == MADE) }
