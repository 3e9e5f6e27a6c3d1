package store

import (
	"context"
	"errors"
	"time"

	"mems/internal/auditchain"
	"mems/internal/clinic"
)

// read is an audit entry whose reader waits until it is written.
type read struct {
	row  auditchain.Entry
	done chan error
}

// maxReads bounds the entries of one statement.
const maxReads = 200

// recordRead records a read of patients' data before the data is returned. Concurrent readers
// share one statement and one flush to disk.
func (s *Store) recordRead(ctx context.Context, req Request, kind clinic.Kind, id int64, patients ...int64) error {
	if err := req.check(); err != nil {
		return err
	}
	if req.Access.IsSystem() {
		return nil // nobody sees it
	}
	e := newEntry(req, clinic.Instant(s.now()))
	e.Action, e.Object = clinic.AuditSeen, kind.String()
	if id != 0 {
		e.ObjectID = &id
	}
	if len(patients) == 1 && id != 0 {
		e.PatientID = &patients[0]
	} else {
		e.PatientIDs = patients
	}
	row, err := s.seal(ctx, nil, &e) // it has no private values, so needs no secret
	if err != nil {
		return err
	}
	return s.writeSoon(ctx, row)
}

// refusalWait bounds how long a refusal waits for its entry: the caller
// gets its answer even when the database cannot be used.
const refusalWait = time.Second

// RecordRefusal records that a request was refused, with the problem that was the
// response; id is the record in the path, patient the requested one, 0 for none. Neither
// has to exist.
func (s *Store) RecordRefusal(ctx context.Context, req Request, action clinic.AuditAction, problem string, id, patient int64) error {
	if err := req.check(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), refusalWait)
	defer cancel()
	e := newEntry(req, clinic.Instant(s.now()))
	e.Action, e.Object, e.Reason = action, clinic.AuditRefused, &problem
	if id != 0 {
		e.ObjectID = &id
	}
	if patient != 0 {
		e.PatientIDs = []int64{patient} // not PatientID: why stays readable, and no key is made for nobody
	}
	row, err := s.seal(ctx, nil, &e) // it has no private values, so needs no secret
	if err != nil {
		return err
	}
	return s.writeSoon(ctx, row)
}

// writeSoon queues an entry to be written with others and waits until it is.
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

// keepTrail writes the entries of readers and seals the chains, until the store is closed.
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

// writeReads appends entries to a chain and notifies their readers.
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

// appendReads appends entries to a chain. Errors: errChainLost.
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
