/* Cancel, the offer to the waitlist, and undo (internal/store/appointment_status.go, freed.go,
   waitlist.go, waitlist_matching.go).

   One slot of one doctor, with an appointment that is cancelled and whose cancelling is
   undone; two entries wait for the slot and accept what they are offered; a walk-in books
   it if it is free; maintenance passes on offers that have expired. */
#include "common.h"

#ifdef SMALL
#define CALLS 4 /* the second entry accepts nothing */
#else
#define CALLS 5 /* cancel, undo, accept, accept, walk-in */
#endif
#ifdef TRACES /* no offer runs out */
#undef CRASHES
#define CRASHES 0
#endif
#define WAITING 0
#define OFFERED 1
#define BOOKED 2
#define OK 1
#define REFUSED 2
#define CRASHED 5

byte doctor = FREE;           /* guard row */
byte entry[2] = FREE;         /* lock of each entry's row */
byte status[2] = WAITING;     /* an offered entry has a hold on the slot */
bool expired[2], missed[2];   /* of its offer; waitlist_missed */
bool freed;                   /* a row of freed_times */
bool appointment = true, walkin, accepted[2];

#define APPOINTMENTS (appointment + walkin + accepted[0] + accepted[1])
#define LIVE(e) (status[e] == OFFERED && !expired[e])
#define FITS(e) (status[e] == WAITING && !missed[e])
#define TAKEN (APPOINTMENTS > 0 || LIVE(0) || LIVE(1))
#define SOUND assert(APPOINTMENTS + LIVE(0) + LIVE(1) <= 1) /* never twice, and nothing beside an offer */
#define DONE (answered == CALLS)

inline release() { d_step { UNLOCK(doctor); UNLOCK(entry[0]); UNLOCK(entry[1]) } }

/* waitlist_matching.go:placeOffer, with COMMIT. The doctor's guard is held. */
inline offer(e, cancels) {
	LOCK(entry[e]); /* SELECT status FROM waitlist ... FOR UPDATE */
	d_step {
		if
		:: cancels -> appointment = false
		:: else
		fi;
		if
		:: FITS(e) && !TAKEN -> status[e] = OFFERED; expired[e] = false
		:: else
		fi;
		SOUND; freed = true; /* it stays until no entry is left to offer it to */
		UNLOCK(doctor); UNLOCK(entry[0]); UNLOCK(entry[1])
	}
}

/* appointment_status.go:CancelAppointment, then tx.go:runUseCase offers after the commit. */
proctype Cancel() { /* _pid 1 */
	byte verdict;
	INVOKED(0)
	{
		LOCK(doctor); /* lockAppointment */
		if
		:: FITS(0) -> offer(0, true)       /* offerUnderGuard, in the same transaction */
		:: true ->                         /* the type needs a room: after the commit */
#ifdef SPOILT_FREED_IN_MEMORY
			d_step { appointment = false; UNLOCK(doctor) };
			freed = true /* remembered by the process, which may die before */
#else
			d_step {
				appointment = false;
				freed = true; /* freed.go:writeFreed */
				UNLOCK(doctor)
			}
#endif
		fi;
		verdict = OK
	} unless { DIES -> verdict = CRASHED; release() };
	ANSWER(0, verdict)
}

/* appointment_status.go:UndoAppointment */
proctype Undo() { /* _pid 2 */
	byte verdict;
	bool back[2];
#ifndef TRACES
	if
	:: !appointment
	:: answered > 0
	fi;
#endif
	INVOKED(1)
	{
		LOCK(doctor); /* lockAppointment */
		if
		:: appointment -> verdict = REFUSED; release() /* nothing to undo */
		:: else ->
			if /* withdrawOffers: offers that nobody has accepted */
			:: status[0] == OFFERED -> LOCK(entry[0]); back[0] = true
			:: status[1] == OFFERED -> LOCK(entry[1]); back[1] = true
			:: else
			fi;
#ifdef SPOILT_UNDO_NOT_DECIDED
			if
			:: true ->
#else
			if /* decide, the offers not counted */
			:: APPOINTMENTS > 0 || LIVE(0) && !back[0] || LIVE(1) && !back[1] -> verdict = REFUSED; release()
			:: else ->
#endif
				d_step {
					if
					:: back[0] && status[0] == OFFERED -> status[0] = WAITING; freed = true /* freeForEntry */
					:: else
					fi;
					if
					:: back[1] && status[1] == OFFERED -> status[1] = WAITING; freed = true
					:: else
					fi;
					appointment = true; verdict = OK; SOUND;
					UNLOCK(doctor); UNLOCK(entry[0]); UNLOCK(entry[1])
				}
			fi
		fi
	} unless { DIES -> verdict = CRASHED; release() };
	d_step { back[0] = false; back[1] = false };
	ANSWER(1, verdict)
}

/* waitlist.go:AcceptOffer. The patient comes when there is an offer, or when all else is over. */
proctype Accept(byte e) {
	byte verdict;
#ifndef TRACES
	if
	:: status[e] == OFFERED
	:: answered >= 3 - e && status[e] != OFFERED -> verdict = REFUSED
	fi;
#endif
	INVOKED(2 + e)
	{
		if
		:: verdict == REFUSED
		:: else ->
#ifdef SPOILT_ENTRY_BEFORE_GUARD
			LOCK(entry[e]);
			LOCK(doctor);
#else
			LOCK(doctor); /* lockEntry: guards first */
			LOCK(entry[e]);
#endif
			if
#ifdef SPOILT_ACCEPT_NOT_READ_AGAIN
			:: true ->
#else
			:: !LIVE(e) -> verdict = REFUSED; release() /* no-offer: over, withdrawn or passed on */
			:: LIVE(e) && (APPOINTMENTS > 0 || LIVE(1 - e)) -> assert(false) /* decide cannot refuse what is held */
			:: LIVE(e) && !(APPOINTMENTS > 0 || LIVE(1 - e)) ->
#endif
				d_step { /* useHold, placeBooking, updateEntry, COMMIT */
					status[e] = BOOKED; accepted[e] = true; verdict = OK; SOUND;
					UNLOCK(doctor); UNLOCK(entry[0]); UNLOCK(entry[1])
				}
			fi
		fi
	} unless { DIES -> verdict = CRASHED; release() };
	ANSWER(2 + e, verdict)
}

/* booking.go:BookAppointment */
proctype WalkIn() {
	byte verdict;
	INVOKED(4)
	LOCK(doctor);
	if
	:: TAKEN -> verdict = REFUSED; release()
	:: else -> d_step { walkin = true; verdict = OK; SOUND; UNLOCK(doctor) }
	fi;
	ANSWER(4, verdict)
}

/* waitlist.go:ExpireOffers, one offer */
inline pass_on(e) {
	LOCK(doctor);
	LOCK(entry[e]);
	d_step {
		if
		:: status[e] == OFFERED && expired[e] -> status[e] = WAITING; missed[e] = true; freed = true
		:: else
		fi;
		UNLOCK(doctor); UNLOCK(entry[0]); UNLOCK(entry[1])
	}
}

/* The rounds of maintenance. A process that dies is replaced by another one. */
proctype Maintenance() {
	do
#ifndef SPOILT_OFFER_WITHOUT_END
	:: status[0] == OFFERED && expired[0] -> pass_on(0)
	:: status[1] == OFFERED && expired[1] -> pass_on(1)
#endif
	:: freed && !LIVE(0) && !LIVE(1) -> /* offerFreedTimes: offerToEntries; while an offer lives, nothing fits */
		LOCK(doctor);
		if
		:: APPOINTMENTS == 0 && FITS(0) -> offer(0, false)
		:: APPOINTMENTS == 0 && !FITS(0) && FITS(1) -> offer(1, false)
		:: APPOINTMENTS > 0 || !FITS(0) && !FITS(1) -> d_step { freed = false; UNLOCK(doctor) } /* DELETE FROM freed_times */
		fi
#ifdef TRACES
	:: DONE -> break
#endif
	:: DONE && !freed && status[0] != OFFERED && status[1] != OFFERED -> break
	od
}

/* Time passes: an offer that is not accepted runs out. */
proctype Clock() {
	do
	:: LIVE(0) -> expired[0] = true
	:: LIVE(1) -> expired[1] = true
	:: DONE && !freed && status[0] != OFFERED && status[1] != OFFERED -> break
	od
}

proctype Crash() {
	if
	:: strike(1)
	:: strike(2)
	:: strike(3)
	:: true
	fi
}

init {
	atomic {
		run Cancel(); run Undo(); run Accept(0); run WalkIn();
#ifndef SMALL
		run Accept(1);
#endif
		run Maintenance();
#ifndef TRACES
		run Clock(); run Crash();
#endif
		GOES_ON; TRACE
	}
}

ltl offers_end { [] (LIVE(0) -> <> !LIVE(0)) && [] (status[0] == OFFERED -> <> (status[0] != OFFERED)) }

/* A time that is free in the end has been offered to all who wait for it. */
ltl freed_is_offered { <> [] (TAKEN || !FITS(0) && !FITS(1)) }
