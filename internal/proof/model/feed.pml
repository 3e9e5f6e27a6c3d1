/* Positions in the change feed against commits (internal/store/changes.go).

   Three writers insert a change each, which has an id at once and is committed later or
   never; two processes assign positions (with -DSMALL one); a reader goes from position 0 to the end.
   Writers 1 and 2 change the same record, so 2 waits for 1's guard or comes first. */
#include "common.h"

#define WRITERS 3
#define NONE 0

byte next_id = 1;                    /* AUTO_INCREMENT, never rolled back */
byte id[WRITERS], position[WRITERS]; /* position NONE: not assigned yet */
bool committed[WRITERS];
byte guard = FREE;                   /* of the record that writers 1 and 2 change */
byte order[WRITERS], commits;        /* a ghost: which commit it was, from 1 */
byte head = FREE;                    /* change_head: the row's lock */
byte head_position = 0;
bool seen[WRITERS];                  /* by the reader */
byte cursor = 0;

#define PENDING(w) (committed[w] && position[w] == NONE)
#ifdef SPOILT_POSITION_BY_ID /* the id that AUTO_INCREMENT gives serves as position */
#define POSITION(w) (committed[w] * id[w])
#define LARGER(a, b) ((a) > (b) -> (a) : (b))
#define END LARGER(POSITION(0), LARGER(POSITION(1), POSITION(2)))
#else
#define POSITION(w) position[w]
#define END head_position
#endif
#define READ(w, to) if :: POSITION(w) > cursor && POSITION(w) <= to -> seen[w] = true :: else fi

/* The promise: a reader that has read up to a position has seen all that will ever be at or before it. */
#define PASSED_OVER(w) (committed[w] && POSITION(w) != NONE && POSITION(w) <= cursor && !seen[w])

proctype Write(byte me) {
	{
		if
		:: me > 0 -> LOCK(guard) /* booking.go:guardDoctor */
		:: else
		fi;
		d_step { id[me] = next_id; next_id++ }; /* changes.go:writeChanges: INSERT INTO changes */
		if
		:: d_step { /* COMMIT */
				committed[me] = true; commits++; order[me] = commits;
				UNLOCK(guard)
			}
		:: d_step { UNLOCK(guard) } /* ROLLBACK: the id is lost, there is a gap in ids */
		fi
	} unless { DIES -> d_step { UNLOCK(guard) } };
	d_step { answered++ }
}

/* changes.go:placeChanges, run again while there is something to do (PlaceChanges) */
proctype Place() {
	byte base, w, found[WRITERS], n;
	{
		do
		:: answered == WRITERS && !PENDING(0) && !PENDING(1) && !PENDING(2) -> break
		:: PENDING(0) || PENDING(1) || PENDING(2) -> /* pendingChangesSQL */
#ifndef SPOILT_HEAD_NOT_LOCKED
			LOCK(head);                 /* UPDATE change_head SET turns = turns + 1 */
#endif
			base = head_position;       /* SELECT position FROM change_head */
			d_step {                    /* SELECT ... WHERE position IS NULL ORDER BY id: committed ones only */
				n = 0;
				for (w : 0 .. WRITERS - 1) {
					found[w] = 0;
					if
					:: PENDING(w) -> n++
					:: else
					fi
				}
				byte other;
				for (w : 0 .. WRITERS - 1) {
					if
					:: PENDING(w) ->
						found[w] = 1;
						for (other : 0 .. WRITERS - 1) {
							if
							:: PENDING(other) && id[other] < id[w] -> found[w]++
							:: else
							fi
						}
					:: else
					fi
				}
				other = 0; w = 0
			};
			d_step { /* UPDATE changes SET position, UPDATE change_head, COMMIT */
				for (w : 0 .. WRITERS - 1) {
					if
					:: found[w] > 0 ->
						assert(position[w] == NONE); /* a position is never changed */
						position[w] = base + found[w]
					:: else
					fi;
					found[w] = 0
				}
				if
				:: n > 0 -> head_position = base + n
				:: else
				fi;
				n = 0; base = 0; w = 0;
				assert(position[0] == NONE || (position[0] != position[1] && position[0] != position[2]));
				assert(position[1] == NONE || position[1] != position[2]);
				/* what follows another change of its record has the later position */
				assert(position[1] == NONE || position[2] == NONE || (order[1] < order[2]) == (position[1] < position[2]));
				UNLOCK(head)
			}
		od
	} unless { DIES -> d_step { UNLOCK(head); base = 0; n = 0; w = 0; found[0] = 0; found[1] = 0; found[2] = 0 } }
}

/* changes.go:readChanges: head and rows of one snapshot */
proctype Read() {
	byte to;
	do
#ifdef SPOILT_NO_SNAPSHOT
	:: d_step { cursor < END -> READ(0, 255); READ(1, 255); READ(2, 255) }; d_step { cursor = END }
#else
	:: d_step { cursor < END -> to = END; READ(0, to); READ(1, to); READ(2, to); cursor = to; to = 0 }
#endif
	:: answered == WRITERS && !PENDING(0) && !PENDING(1) && !PENDING(2) && cursor == END -> break
	od
}

proctype Crash() {
	if
	:: strike(2) /* a writer */
#ifndef SMALL
	:: strike(4) /* a process that assigns positions; the other one remains */
#endif
	:: true
	fi
}

init {
	atomic {
		run Write(0); run Write(1); run Write(2); run Place();
#ifndef SMALL
		run Place();
#endif
		run Read(); run Crash(); GOES_ON
	}
}

ltl never_passed_over { [] !(PASSED_OVER(0) || PASSED_OVER(1) || PASSED_OVER(2)) }
ltl all_are_read { <> [] (answered == WRITERS && (!committed[0] || seen[0]) && (!committed[1] || seen[1]) && (!committed[2] || seen[2])) }
