/* What the models share: row locks, crashes, and the record of what clients see. */

#define FREE 255 /* a row that nobody has locked */

/* A locking read, or a write: waits until the row is free (InnoDB's exclusive lock). */
#define LOCK(row) atomic { (row) == FREE || (row) == _pid -> row = _pid }
#define UNLOCK(row) if :: (row) == _pid -> row = FREE :: else fi

/* The process with this _pid dies at its next step: its locks go, and what it has
   not committed goes with them. A bounded number of crashes, at any point. */
#ifndef CRASHES
#define CRASHES 1
#endif
byte dying = FREE, crashes = 0;
#define DIES (dying == _pid)

inline strike(victim) {
	d_step { crashes < CRASHES -> dying = victim; crashes++ }
}

/* With -DTRACES SPIN writes down every history that clients can see: which call
   began and which was answered, in order. Otherwise this costs no state. */
#ifdef TRACES
byte history[12], moments;
#define INVOKED(call)  d_step { history[moments] = 2 * (call); moments++ }
#define RECORD(call) history[moments] = 2 * (call) + 1; moments++
#else
#define INVOKED(call) skip
#define RECORD(call) skip
#endif

byte answered; /* calls that have been answered, or whose caller knows that they never will be */
#if defined(TRACES) || defined(KEEP_RESULTS)
#define ANSWER(call, what) d_step { result[call] = what; what = 0; answered++; RECORD(call) }
#else
#define ANSWER(call, what) d_step { what = 0; answered++ }
#endif

/* Under weak fairness SPIN looks for cycles only, and would pass over a run that ends
   without what a formula asks for. With -DFORMULAS a run that is over goes on for ever. */
#ifdef FORMULAS
proctype Over() {
	do
	:: timeout
	od
}
#define GOES_ON run Over()
#else
#define GOES_ON skip
#endif
