package store

import (
	"context"
	"errors"
	"time"

	"mems/internal/auditchain"
	"mems/internal/clinic"
)

// read is a line of the trail that a reader waits for.
type read struct {
	row  auditchain.Entry
	done chan error
}

// maxReads bounds the lines that are written together.
const maxReads = 200

// recordRead writes down that patients' data was shown, before it is. Readers at
// the same moment share one statement, and one flush to the disk.
func (s *Store) recordRead(ctx context.Context, kind clinic.Kind, id int64, patients ...int64) error {
	if AccessOf(ctx).Subject == "system" {
		return nil // nobody sees it
	}
	e := newEntry(ctx, clinic.Instant(s.now()))
	e.Action, e.Object = clinic.AuditSeen, kind.String()
	if id != 0 {
		e.ObjectID = &id
	}
	if len(patients) == 1 && id != 0 {
		e.PatientID = &patients[0]
	} else {
		e.PatientIDs = patients
	}
	row, err := s.seal(ctx, nil, &e) // nothing private in it: no secret is asked for
	if err != nil {
		return err
	}
	return s.writeSoon(ctx, row)
}

// refusalWait bounds how long a refusal waits for its entry: the caller
// gets its answer even when the database cannot be used.
const refusalWait = time.Second

// RecordRefusal writes down that the caller of ctx was turned away, with the problem
// that was the answer; id is the record in the address, patient the one who was asked
// for, 0 for none. Whether they exist is not asked.
func (s *Store) RecordRefusal(ctx context.Context, action clinic.AuditAction, problem string, id, patient int64) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), refusalWait)
	defer cancel()
	e := newEntry(ctx, clinic.Instant(s.now()))
	e.Action, e.Object, e.Reason = action, clinic.AuditRefused, &problem
	if id != 0 {
		e.ObjectID = &id
	}
	if patient != 0 {
		e.PatientIDs = []int64{patient} // not PatientID: why stays readable, and no key is made for nobody
	}
	row, err := s.seal(ctx, nil, &e) // nothing private in it: no secret is asked for
	if err != nil {
		return err
	}
	return s.writeSoon(ctx, row)
}

// writeSoon has an entry written with those of others, and waits for it.
func (s *Store) writeSoon(ctx context.Context, row auditchain.Entry) error {
	r := read{row, make(chan error, 1)}
	select {
	case s.reads <- r:
	case <-ctx.Done():
		return translate(ctx, "record read", ctx.Err())
	case <-s.closed:
		return clinic.ErrUnavailable
	}
	select {
	case err := <-r.done:
		return translate(ctx, "record read", err)
	case <-ctx.Done():
		return translate(ctx, "record read", ctx.Err())
	}
}

// keepTrail writes the lines of readers and seals the chains, until the store is
// closed.
func (s *Store) keepTrail() {
	defer close(s.stopped)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-s.closed:
			s.withLimit(s.sealChains)
			return
		case <-tick.C:
			s.withLimit(func(ctx context.Context) error {
				s.checkData(ctx)
				return s.sealChains(ctx)
			})
		case first := <-s.reads:
			batch := []read{first}
		collect:
			for len(batch) < maxReads {
				select {
				case next := <-s.reads:
					batch = append(batch, next)
				default:
					break collect
				}
			}
			s.writeReads(batch)
		}
	}
}

func (s *Store) withLimit(work func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := work(ctx); err != nil {
		s.log.DebugContext(ctx, "the audit trail's chains were not sealed; the next second will do it", "cause", err)
	}
}

// writeReads appends lines to a chain and tells those who wait for them.
func (s *Store) writeReads(batch []read) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	rows := make([]auditchain.Entry, len(batch))
	for i := range batch {
		rows[i] = batch[i].row
	}
	err := s.appendReads(ctx, rows)
	for range maxAttempts {
		if !errors.Is(err, errChainLost) {
			break
		}
		s.checkData(ctx)
		err = s.appendReads(ctx, rows)
	}
	for _, r := range batch {
		r.done <- err
	}
}

// appendReads appends lines to a chain. Errors: errChainLost.
func (s *Store) appendReads(ctx context.Context, rows []auditchain.Entry) error {
	st, err := s.acquireChain(ctx)
	if err != nil {
		return err
	}
	end, err := s.appendRows(ctx, s.db, st, rows)
	if err == nil {
		*st = *end
	}
	s.releaseChain(st, err == nil)
	return err
}
