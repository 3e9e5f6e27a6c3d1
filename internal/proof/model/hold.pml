/* From a hold to a booking, with expiry (internal/store/holds.go, booking.go:useHold).

   Call 0 holds the slot and then books from the hold, call 1 books from the same hold
   (a second click), call 2 books the slot without it, call 3 holds it for somebody else,
   call 4 gives the first hold back. A clock ticks: a hold made at `now` lasts one tick. */
#include "common.h"

#ifdef SMALL
#define CALLS 3
#else
#define CALLS 4 /* 1 or 4 is made, not both */
#endif
#ifdef TRACES /* call 5 is the holding of call 0, and nothing runs out */
#undef CRASHES
#define CRASHES 0
#endif
#define LASTS 1
#define OK 1
#define TAKEN 2   /* doctor-overlap */
#define NO_HOLD 3 /* hold-not-found, hold-not-usable */
#define CRASHED 5

byte now = 0;
byte doctor = FREE;                 /* the guard row */
bool held[2];  byte expires[2];     /* two hold rows: of calls 0 and 3 */
bool booked[3];                     /* appointments, by the call that made them */
bool made;                          /* call 0 knows its token, and so does the second click */
bool first_done;

#define APPOINTMENTS (booked[0] + booked[1] + booked[2])
#ifdef SPOILT_HOLD_WITHOUT_END /* a hold is over when its row is deleted, and the process that would do so may die */
#define LIVE(h, at) held[h]
#else
#define LIVE(h, at) (held[h] && expires[h] > at)
#endif

inline release() { d_step { UNLOCK(doctor) } }

/* COMMIT of an appointment; h is the hold it uses, 2 for none. */
inline commit_booking(me, h) {
	d_step {
		booked[me] = true;
#ifndef SPOILT_HOLD_STAYS
		if
		:: h < 2 -> held[h] = false /* useHold: DELETE FROM holds */
		:: else
		fi;
#endif
		assert(APPOINTMENTS == 1);              /* never twice */
		assert(!LIVE(0, now) && !LIVE(1, now)); /* nobody's live hold is booked over, none outlives its use */
		UNLOCK(doctor)
	}
}

/* store/booking.go:BookAppointment with the token of hold h, or without (2). The
   instant is taken once, before the guards (tx.go:attempt), and may be old when they come. */
inline book(me, h, at, verdict) {
	d_step { at = now };
	LOCK(doctor); /* guardDoctor */
	d_step {      /* decide.go: appointments, and the holds of others that are live at `at` */
		if
#ifdef SPOILT_HOLD_IS_TRUSTED
		:: h < 2 -> verdict = OK /* "it is held, so it is free" */
#endif
		:: APPOINTMENTS > 0 || (h != 0 && LIVE(0, at)) || (h != 1 && LIVE(1, at)) -> verdict = TAKEN
		:: else -> verdict = OK
		fi;
		if
		:: verdict == OK && h < 2 && !LIVE(h, at) -> verdict = NO_HOLD /* useHold, clinic/CheckUse */
		:: else
		fi
	};
	if
	:: verdict == OK -> commit_booking(me, h)
	:: else -> release()
	fi
}

/* store/holds.go:CreateHold */
inline hold(h, at, verdict) {
	d_step { at = now };
#ifndef SPOILT_HOLD_WITHOUT_GUARD
	LOCK(doctor);
#endif
	d_step { /* decide.go */
		if
		:: APPOINTMENTS > 0 || LIVE(0, at) || LIVE(1, at) -> verdict = TAKEN
		:: else -> verdict = OK
		fi
	};
	if
	:: verdict == TAKEN -> release()
	:: else ->
		d_step { /* insertHold, commit */
			held[h] = true; expires[h] = at + LASTS;
			assert(!LIVE(1 - h, now) && (APPOINTMENTS == 0 || !LIVE(h, now)));
			UNLOCK(doctor)
		}
	fi
}

proctype HoldThenBook() { /* _pid 1 */
	byte at, verdict;
	{
		INVOKED(5)
		hold(0, at, verdict);
		TOLD(5, verdict)
		if
		:: verdict == OK ->
			made = true;
			verdict = 0;
			INVOKED(0)
			book(0, 0, at, verdict);
			/* What a hold is for: refused only once it was over, used or given back. */
			assert(verdict == OK || !LIVE(0, now))
		:: else
		fi
	} unless { DIES -> verdict = CRASHED; release() };
	d_step { first_done = true; at = 0 };
#ifdef TRACES
	if
	:: !made -> NEVER_ASKED
	:: made -> ANSWER(0, verdict)
	fi
#else
	ANSWER(0, verdict)
#endif
}

proctype SecondClick() {
	byte at, verdict;
	if
	:: made ->
		INVOKED(1)
		book(1, 0, at, verdict);
		d_step { at = 0 };
		ANSWER(1, verdict)
	:: first_done && !made -> NEVER_ASKED
	fi
}

proctype BookWithout() {
	byte at, verdict;
	INVOKED(2)
	book(2, 2, at, verdict);
	d_step { at = 0 };
	ANSWER(2, verdict)
}

proctype HoldForOther() {
	byte at, verdict;
	INVOKED(3)
	hold(1, at, verdict);
	d_step { at = 0 };
	ANSWER(3, verdict)
}

/* store/holds.go:DeleteHold */
proctype GiveBack() {
	byte at, verdict;
#ifdef TRACES
	if /* its client has to know the hold */
	:: made
	:: first_done && !made -> NEVER_ASKED; goto over
	fi;
	INVOKED(4)
#endif
	d_step { at = now };
	if
	:: LIVE(0, at) ->
		LOCK(doctor);
		d_step {
			verdict = (held[0] -> OK : NO_HOLD); /* no row deleted: used meanwhile */
			held[0] = false;
			UNLOCK(doctor)
		}
	:: else -> verdict = NO_HOLD
	fi;
	d_step { at = 0 };
	ANSWER(4, verdict);
over:
	skip
}

/* Time goes on for as long as there are calls, and past the end of the last hold. */
proctype Clock() {
	do
	:: now < 2 -> now++
	:: now == 2 -> break
	od;
	if
	:: answered == CALLS -> now++
	fi;
	/* Whatever was held, used or died: what is not booked by now can be booked. */
	d_step { assert(APPOINTMENTS == 1 || !LIVE(0, now) && !LIVE(1, now)) }
}

proctype Crash() {
	if
	:: strike(1)
	:: true
	fi
}

init {
	atomic {
		run HoldThenBook(); run HoldForOther();
#ifndef SMALL
		run BookWithout();
#endif
#ifndef TRACES
		run Clock(); run Crash();
#endif
		if
		:: run SecondClick()
		:: run GiveBack();
#ifdef TRACES
			asked[0] = 1
#endif
		fi;
		GOES_ON; TRACE
	}
}

ltl every_call_ends { <> (answered == CALLS) }
ltl holds_end { [] (LIVE(0, now) -> <> !LIVE(0, now)) && [] (LIVE(1, now) -> <> !LIVE(1, now)) }
