/* An Idempotency-Key through lost answers, concurrent duplicates and crashes
   (internal/store/idempotency.go, tx.go).

   Two senders send the same request with the same key: each sends again while it has no
   answer (lost, crashed, or "in use"). A rival books the same slot and cancels again. */
#include "common.h"

#define CALLS 3
#define OK 1
#define TAKEN 2
#define IN_USE 3
#define LOST 5
#define NONE 0

byte key = FREE;    /* lock of the key's row, which an INSERT takes before the row is seen */
byte kept = NONE;   /* the answer in the committed row */
bool row;           /* the row is committed */
byte doctor = FREE; /* guard row */
byte ours;          /* appointments made with the key, and ... */
bool theirs;        /* ... the rival's */
byte made;          /* a ghost: bookings that the key has ever made */
byte told = NONE;   /* a ghost: the first answer that a sender was given */
byte lost;          /* answers lost, a bounded number */
#ifdef TRACES
#define LOSSES 0 /* what is lost is not seen by clients */
#undef CRASHES
#define CRASHES 0
#endif
#ifndef LOSSES
#define LOSSES 2
#endif

inline release() { d_step { UNLOCK(key); UNLOCK(doctor) } }

/* store/idempotency.go:claimKey. found is set when the row has an answer. */
inline claim(found, verdict) {
	do
	:: atomic { key != FREE && key != _pid -> verdict = IN_USE; break } /* FOR UPDATE NOWAIT */
	:: atomic { key == FREE && row -> key = _pid; found = true; verdict = kept; break }
	:: atomic { key == FREE && !row };
		LOCK(key); /* INSERT: waits for another one that is under way */
		if
		:: row -> d_step { UNLOCK(key) } /* duplicate: errMoved, tried again */
		:: else -> break
		fi
	od
}

/* One delivery of the request to a server: what the server answers is in verdict. */
inline deliver(found, verdict) {
	found = false; verdict = NONE;
#if !defined(SPOILT_KEY_AFTERWARDS)
	claim(found, verdict);
#endif
#ifdef SPOILT_KEY_BEFOREHAND
	if
	:: !found && verdict == NONE -> d_step { row = true; UNLOCK(key) } /* the claim is committed on its own */
	:: found && verdict == NONE -> verdict = IN_USE
	:: else
	fi;
#endif
	if
	:: found || verdict == IN_USE -> release()
	:: else ->
		LOCK(doctor); /* booking.go:BookAppointment */
		if
		:: atomic { ours == 0 && !theirs -> verdict = OK };
#if defined(SPOILT_KEY_AFTERWARDS)
			d_step { ours++; made++; UNLOCK(doctor) }; /* COMMIT of the booking ... */
			d_step { row = true; kept = OK }           /* ... and of its answer */
#else
			d_step { ours++; made++; row = true; kept = OK; UNLOCK(key); UNLOCK(doctor) } /* keepAnswer, COMMIT */
#endif
		:: atomic { ours > 0 || theirs -> verdict = TAKEN };
			release(); /* ROLLBACK takes the claim along; keepRefusal is a transaction of its own */
#if defined(SPOILT_REFUSAL_WITHOUT_CLAIM) || defined(SPOILT_KEY_AFTERWARDS)
			d_step { row = true; kept = TAKEN }
#else
			found = false; verdict = NONE;
			claim(found, verdict);
			if
			:: found || verdict == IN_USE -> release() /* errGiven: that answer holds for this one, too */
			:: else -> d_step { row = true; kept = TAKEN; verdict = TAKEN; UNLOCK(key) }
			fi
#endif
		fi
	fi
}

proctype Sender(byte me) {
	byte verdict;
	bool found;
	INVOKED(me)
	do
	:: {
			deliver(found, verdict);
			if
			:: verdict != IN_USE && lost < LOSSES -> d_step { lost++; verdict = LOST } /* the answer does not arrive */
			:: true
			fi
		} unless { DIES -> d_step { dying = FREE; verdict = LOST }; release() };
		if
		:: verdict == OK || verdict == TAKEN -> break
#ifdef SMALL
		:: me == 1 && (verdict == IN_USE || verdict == LOST) -> break /* the duplicate is sent once */
		:: me == 0 && (verdict == IN_USE || verdict == LOST) ->
#else
		:: else -> /* in use, or no answer: sent again with the same key */
#endif
			if
			:: key == FREE /* Retry-After: until the one under way has ended */
			fi
		fi
	od;
	skip; /* where break goes to */
	d_step {
		assert(told == NONE || told == verdict || verdict > TAKEN); /* all deliveries are answered alike */
		assert(verdict != TAKEN || made == 0);      /* nobody is refused because of their own booking */
		assert(verdict != OK || made == 1);         /* told it is booked: it is, once */
		assert(made <= 1);
		if
		:: verdict <= TAKEN -> told = verdict
		:: else
		fi;
		found = false
	};
	ANSWER(me, verdict)
}

proctype Rival() {
	byte verdict;
	INVOKED(3)
	LOCK(doctor);
	if
	:: ours == 0 -> d_step { theirs = true; UNLOCK(doctor) };
		TOLD(3, OK)
		INVOKED(2)
		LOCK(doctor);
		d_step { theirs = false; UNLOCK(doctor) }; /* appointment_status.go:CancelAppointment */
		verdict = OK
	:: else -> release(); verdict = TAKEN; TOLD(3, TAKEN)
#ifdef TRACES
		NEVER_ASKED; goto over
#endif
	fi;
	ANSWER(2, verdict);
over:
	skip
}

proctype Crash() {
	if
	:: strike(1)
	:: true
	fi
}

init { atomic { run Sender(0); run Sender(1); run Rival(); run Crash(); GOES_ON; TRACE } }

ltl every_call_ends { <> (answered == CALLS) }
