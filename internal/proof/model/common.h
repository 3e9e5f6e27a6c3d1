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

/* With -DTRACES every history that clients can see becomes a state of its own, and each
   run that is over is printed: what was asked, which call began and which was answered, in
   order, and with what (traces.go reads it). Otherwise this costs no state. */
#ifdef TRACES
byte asked[5], history[14], moments, result[7];
#define MOMENT(what) history[moments] = what; moments++
#define INVOKED(call) d_step { MOMENT(2 * (call)) };
#define TOLD(call, what) d_step { result[call] = what; MOMENT(2 * (call) + 1) };
#define ANSWER(call, what) d_step { result[call] = what; MOMENT(2 * (call) + 1); what = 0; answered++ }
#define TRACE run Trace()
proctype Trace() {
	timeout -> c_code {
		int i;
		printf("trace");
		for (i = 0; i < 5; i++) printf(" %d", now.asked[i]);
		printf(" :");
		for (i = 0; i < now.moments; i++) printf(" %d", now.history[i]);
		printf(" :");
		for (i = 0; i < 7; i++) printf(" %d", now.result[i]);
		printf("\n");
	}
}
#else
#define INVOKED(call)
#define TOLD(call, what)
#define TRACE skip
#ifdef KEEP_RESULTS
#define ANSWER(call, what) d_step { result[call] = what; what = 0; answered++ }
#else
#define ANSWER(call, what) d_step { what = 0; answered++ }
#endif
#endif
#define NEVER_ASKED d_step { answered++ }

byte answered; /* calls that have been answered, or whose caller knows that they never will be */

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
