/* COMMIT through a failover of a single-primary group, and the retry with the same
   Idempotency-Key (internal/store/tx.go:commit, try; errors.go:isRolledBack).

   A client books through one of two servers; nodes 0 and 1 hold the data. A transaction
   that the group has certified survives the primary; one that it has not is gone. The
   new primary lets nobody in before it has applied what was certified
   (BEFORE_ON_PRIMARY_FAILOVER), or lets them in at once (EVENTUAL). A rival books the
   same slot. */
#define KEEP_RESULTS
#include "common.h"

#define CALLS 2
#define OK 1
#define TAKEN 2
#define UNAVAILABLE 3 /* "nothing was changed" */
#define OUT_UNKNOWN 4
#define NOBODY 0
#define OURS 1
#define THEIRS 2

byte primary = 0;
bool up[2];
byte guard[2] = FREE;     /* row locks belong to the node */
byte slot[2];             /* who has the slot, as the node's tables say */
bool has_key[2];          /* the client's key row, written with the booking */
byte log = NOBODY;        /* what the group has certified */
bool log_key;
byte faults;              /* connections lost and commits refused for no reason of ours: bounded */
#define FAULTS 3
byte made;                /* a ghost: bookings of the client that were certified */
byte result[CALLS];

inline release() { d_step { UNLOCK(guard[0]); UNLOCK(guard[1]) } }

/* One transaction on the primary. who books, with the key if it is the client. */
inline transaction(who, node, verdict) {
	verdict = 0;
	if
#ifdef SPOILT_FORMER_PRIMARY_KEPT
	:: node = 0 /* hosts.go: the pool goes on with the server that it began with */
#else
	:: atomic { up[primary] -> node = primary }
#endif
	fi;
#ifndef SPOILT_NO_CERTIFICATION
	if
	:: slot[node] == log && has_key[node] == log_key || !up[node] /* BEFORE_ON_PRIMARY_FAILOVER: it has applied its backlog */
	:: true /* EVENTUAL: what it has not applied yet is found by certification */
	fi;
#endif
	if
	:: atomic { up[node] && (guard[node] == FREE) -> guard[node] = _pid } /* guardDoctor */
	:: !up[node] -> verdict = UNAVAILABLE                                 /* the connection is lost: nothing sent */
	fi;
	if
	:: verdict == 0 && who == OURS && has_key[node] -> verdict = OK; release()    /* idempotency.go:claimKey, readAnswer */
	:: verdict == 0 && !(who == OURS && has_key[node]) && slot[node] != NOBODY -> verdict = TAKEN; release()
	:: verdict == 0 && !(who == OURS && has_key[node]) && slot[node] == NOBODY -> send_commit(who, node, verdict)
	:: verdict != 0
	fi
}

/* COMMIT is sent; then either the group certifies it or not, and either the node answers
   or is gone. */
inline send_commit(who, node, verdict) {
	if
#ifdef SPOILT_NO_CERTIFICATION
	:: atomic { up[node] ->
#else
	:: atomic { up[node] && log == NOBODY ->
#endif
			log = who;
			if
			:: who == OURS -> made++; log_key = true
			:: else
			fi
		};
		if
		:: atomic { up[node] -> slot[node] = who; has_key[node] = (who == OURS); UNLOCK(guard[node]); verdict = OK }
		:: up[node] ->             /* 3100, or the answer is cut off */
			d_step { slot[node] = log; has_key[node] = log_key; UNLOCK(guard[node]) };
			unanswered(verdict)
		:: !up[node] -> release(); unanswered(verdict)
		fi
	:: up[node] && log != NOBODY -> release(); verdict = UNAVAILABLE /* 3101: certification failed, isRolledBack */
	:: d_step { up[node] && faults < FAULTS -> faults++ }; release(); verdict = UNAVAILABLE /* 3101, for another row */
	:: d_step { up[node] && faults < FAULTS -> faults++ }; release(); unanswered(verdict)   /* the connection is lost before it was certified */
	:: !up[node] -> release(); unanswered(verdict)
	fi
}

inline unanswered(verdict) {
#ifdef SPOILT_COMMIT_ERROR_MEANS_NO
	verdict = UNAVAILABLE
#else
	verdict = OUT_UNKNOWN
#endif
}

proctype Client() {
	byte node, verdict;
	bool before;
	do
	:: d_step { before = (made > 0) };
		transaction(OURS, node, verdict);
		if
		:: verdict == OK || verdict == TAKEN -> break
		:: verdict == UNAVAILABLE ->
			assert(before || made == 0) /* "nothing was changed" is true */
		:: verdict == OUT_UNKNOWN
		fi /* the same key again */
#ifdef SPOILT_RETRY_WITHOUT_KEY
		; d_step { has_key[0] = false; has_key[1] = false; log_key = false }
#endif
	od;
	skip; /* where break goes to */
	d_step {
		assert(verdict != OK || made == 1);    /* the retry tells the truth ... */
		assert(verdict != TAKEN || made == 0); /* ... and no client stands in its own way */
		assert(made <= 1);
		node = 0; before = false
	};
	ANSWER(0, verdict)
}

proctype Rival() {
	byte node, verdict;
	transaction(THEIRS, node, verdict);
	d_step { node = 0 };
	ANSWER(1, verdict)
}

/* Applies what was certified, on the node that is not the primary or has just become it. */
proctype Applier() {
	do
	:: d_step { slot[1] != log || has_key[1] != log_key -> slot[1] = log; has_key[1] = log_key }
	:: answered == CALLS -> break
	od
}

/* The primary is lost, once; the other node is elected. */
proctype Failover() {
	if
	:: d_step { up[0] = false; guard[0] = FREE }; d_step { primary = 1; up[1] = true }
	:: true
	fi
}

init {
	atomic { up[0] = true; up[1] = true; run Client(); run Rival(); run Applier(); run Failover(); GOES_ON }
}

/* The client is told in the end, whatever fails, as long as faults do. */
ltl every_call_ends { <> (answered == CALLS) }

/* What was told to be booked stays booked, on whatever node is asked. */
ltl never_lost { [] (result[0] == OK -> (log == OURS && [] (log == OURS))) }
