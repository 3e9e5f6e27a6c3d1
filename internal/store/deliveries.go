package store

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"mems/internal/clinic"
)

// makeDeliveries inserts a message for each change and webhook that wants it.
func (s *Store) makeDeliveries(ctx context.Context, t *sqlx.Tx, changes []changeRow) error {
	var rows []webhookRow
	if err := t.SelectContext(ctx, &rows, `SELECT `+webhookColumns+` FROM webhooks WHERE enabled = 1 ORDER BY id`); err != nil {
		return err
	}
	now := clinic.Instant(s.now())
	var args []any
	flush := func() error {
		if len(args) == 0 {
			return nil
		}
		// Safety: the text is a constant and placeholders.
		_, err := t.ExecContext(ctx, `
			INSERT INTO webhook_deliveries (webhook_id, position, at, type, object, object_id, doctor_id, status, since, next_at, created_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, 'pending', ?, ?, ?)`+strings.Repeat(`, (?, ?, ?, ?, ?, ?, ?, 'pending', ?, ?, ?)`, len(args)/10-1), args...)
		args = args[:0]
		return err
	}
	for i := range rows {
		w, err := rows[i].webhook()
		if err != nil {
			return err
		}
		for _, c := range changes {
			if !w.Wants(c.Type) {
				continue
			}
			args = append(args, w.ID, c.Position, c.At, c.Type, c.Object, c.ObjectID, c.DoctorID, now, now, now)
			if len(args) == 10*maxAnnounced {
				if err := flush(); err != nil {
					return err
				}
			}
		}
	}
	return flush()
}

// sendingTime is how long a claim lasts, well above the time limit of an attempt.
const sendingTime = time.Minute

// dueDeliveriesSQL selects due messages without a pending earlier one. Indexes
// webhook_deliveries_due and, for the earlier ones, webhook_deliveries_order.
const dueDeliveriesSQL = `
	SELECT ` + deliveryColumns + `
	FROM webhook_deliveries AS d
	WHERE webhook_id = ? AND status = 'pending' AND next_at <= ?
	  AND (resent = 1 OR object IS NULL OR NOT EXISTS (
	    SELECT 1 FROM webhook_deliveries AS earlier
	    WHERE earlier.webhook_id = d.webhook_id AND earlier.object = d.object AND earlier.object_id = d.object_id
	      AND earlier.status = 'pending' AND earlier.id < d.id AND earlier.resent = 0))
	ORDER BY next_at, id
	LIMIT ?`

// ClaimDeliveries claims due messages for the caller: at most each per webhook, less those
// that the caller is already sending. A message waits while an earlier one about the same
// record is pending.
//
// A claim is a conditional UPDATE of next_at: the process that changes it first has the
// message.
func (s *Store) ClaimDeliveries(ctx context.Context, each int, underWay map[int64]int) ([]clinic.Delivery, error) {
	var hooks []webhookRow
	if err := s.db.SelectContext(ctx, &hooks, `SELECT `+webhookColumns+` FROM webhooks WHERE enabled = 1 ORDER BY id`); err != nil {
		return nil, translate(ctx, "claim deliveries", err)
	}
	now := clinic.Instant(s.now())
	var claimed []clinic.Delivery
	for i := range hooks {
		w, err := hooks[i].webhook()
		if err != nil {
			return claimed, err
		}
		free := each - underWay[w.ID]
		if free <= 0 {
			continue
		}
		hooks[i].signedUntil(now, &w)
		var rows []deliveryRow
		err = s.db.SelectContext(ctx, &rows, dueDeliveriesSQL, w.ID, now, free)
		if err != nil {
			return claimed, translate(ctx, "claim deliveries", err)
		}
		for _, r := range rows {
			result, err := s.db.ExecContext(ctx, `
				UPDATE webhook_deliveries
				SET attempts = attempts + 1, last_at = ?, next_at = ?
				WHERE id = ? AND status = 'pending' AND attempts = ? AND next_at = ?`, now, now.Add(sendingTime), r.ID, r.Attempts, r.NextAt)
			if err != nil {
				return claimed, translate(ctx, "claim deliveries", err)
			}
			if n, err := result.RowsAffected(); err != nil || n == 0 {
				continue // another process has it
			}
			r.Attempts++
			d := r.delivery()
			d.Destination = w
			claimed = append(claimed, d)
		}
	}
	return claimed, nil
}

// DeliveryOutcome is the result of an attempt.
type DeliveryOutcome struct {
	Taken  bool
	Status *int   // the receiver's status; nil: no response
	Reason string // why it failed
	// NotBefore is the receiver's Retry-After; zero for none.
	NotBefore time.Time
	// Gone reports that the receiver wants no more messages (410).
	Gone bool
}

// FinishDelivery saves the result of an attempt: delivered, retried later, or dead after
// clinic.DeliveryLife. It does nothing if another process has claimed the message
// meanwhile.
func (s *Store) FinishDelivery(ctx context.Context, req Request, d clinic.Delivery, o DeliveryOutcome) error {
	now := clinic.Instant(s.now())
	status, next := clinic.DeliveryDelivered, (*time.Time)(nil)
	var reason *string
	if !o.Taken {
		status, reason = clinic.DeliveryDead, &o.Reason
		if pause, again := d.Pause(now, o.NotBefore); again && !o.Gone {
			at := clinic.Instant(now.Add(pause + rand.N(pause/10))) //nolint:gosec // G404: spreads load, guards nothing
			status, next = clinic.DeliveryPending, &at
		}
	}
	_, err := s.db.ExecContext(ctx, `
		UPDATE webhook_deliveries
		SET status = ?, next_at = ?, last_status = ?, last_error = ?
		WHERE id = ? AND status = 'pending' AND attempts = ? AND since = ?`,
		string(status), next, o.Status, reason, d.ID, d.Attempts, d.Since)
	if err != nil || !o.Gone {
		return translate(ctx, "finish delivery", err)
	}
	_, err = s.changeWebhook(ctx, req, d.WebhookID, nil, func(t *tx, w *clinic.Webhook) error {
		w.Enabled, w.DisabledReason = false, &o.Reason
		return endDeliveries(ctx, t, d.WebhookID, o.Reason)
	})
	return err
}

// refusedSinceSQL selects the oldest failed message that will be retried. Index
// webhook_deliveries_due.
const refusedSinceSQL = `
	SELECT MIN(d.since)
	FROM webhooks AS w JOIN webhook_deliveries AS d ON d.webhook_id = w.id
	WHERE w.enabled = 1 AND d.status = 'pending' AND d.last_error IS NOT NULL`

// DeliveryRefusedSince returns since when the oldest failing message has been retried, zero
// for none. It uses the connection of Ready, so that it works when the pool is exhausted.
func (s *Store) DeliveryRefusedSince(ctx context.Context) (time.Time, error) {
	var since sql.NullTime
	if err := s.ready.db.GetContext(ctx, &since, refusedSinceSQL); err != nil {
		return time.Time{}, translate(ctx, "read refused deliveries", err)
	}
	return since.Time, nil
}

// CountGoneWebhooks returns the number of webhooks that were disabled because of a 410.
// Disabling one by hand removes it from the count.
func (s *Store) CountGoneWebhooks(ctx context.Context) (n int, err error) {
	err = s.ready.db.GetContext(ctx, &n, `SELECT COUNT(*) FROM webhooks WHERE enabled = 0 AND disabled_reason IS NOT NULL`)
	return n, translate(ctx, "count webhooks that are gone", err)
}

// endDeliveries marks the pending messages of a disabled webhook as dead: they would be out
// of date when it is enabled again. Index webhook_deliveries_due.
func endDeliveries(ctx context.Context, t *tx, webhook int64, reason string) error {
	_, err := t.exec(ctx, `
		UPDATE webhook_deliveries
		SET status = 'dead', next_at = NULL, last_at = ?, last_error = ?
		WHERE webhook_id = ? AND status = 'pending'`, t.now, reason, webhook)
	return err
}

// TestWebhook queues a test message. Errors: clinic.ErrWebhookNotFound.
func (s *Store) TestWebhook(ctx context.Context, req Request, id int64) (clinic.Delivery, error) {
	var d clinic.Delivery
	err := s.inTx(ctx, req, "test webhook", func(t *tx) error {
		if _, err := lockWebhook(ctx, t, id); err != nil {
			return err
		}
		d = clinic.Delivery{
			WebhookID: id, Change: clinic.FeedChange{At: t.now, Type: clinic.TestMessage}, Status: clinic.DeliveryPending,
			Since: t.now, NextAt: &t.now, CreatedAt: t.now,
		}
		var err error
		d.ID, err = t.insert(ctx, `
			INSERT INTO webhook_deliveries (webhook_id, at, type, status, since, next_at, created_at)
			VALUES (?, ?, ?, 'pending', ?, ?, ?)`, id, t.now, clinic.TestMessage, t.now, t.now, t.now)
		t.record(clinic.Touched(clinic.KindWebhook, id, clinic.Members{"tested": d.ID}))
		return err
	}, &d)
	return d, err
}

// RedeliverWebhook queues a message again. Errors: clinic.ErrWebhookNotFound,
// clinic.ErrDeliveryNotFound.
func (s *Store) RedeliverWebhook(ctx context.Context, req Request, webhook, id int64) (clinic.Delivery, error) {
	var d clinic.Delivery
	err := s.inTx(ctx, req, "redeliver message", func(t *tx) error {
		if _, err := lockWebhook(ctx, t, webhook); err != nil {
			return err
		}
		var row deliveryRow
		err := t.GetContext(ctx, &row, `SELECT `+deliveryColumns+` FROM webhook_deliveries WHERE id = ? AND webhook_id = ? FOR UPDATE`, id, webhook)
		if err != nil {
			return notFound(err, clinic.ErrDeliveryNotFound)
		}
		if row.Status != string(clinic.DeliveryPending) {
			row.Resent = true
		}
		row.Status, row.Attempts, row.Since, row.NextAt = string(clinic.DeliveryPending), 0, t.now, &t.now
		d = row.delivery()
		t.record(clinic.Touched(clinic.KindWebhook, webhook, clinic.Members{"redelivered": id}))
		_, err = t.exec(ctx, `
			UPDATE webhook_deliveries
			SET status = 'pending', resent = ?, attempts = 0, since = ?, next_at = ?
			WHERE id = ?`, row.Resent, t.now, t.now, id)
		return err
	}, &d)
	return d, err
}

// ListWebhookDeliveries returns a page of a webhook's messages, newest first. status "" is any.
// Errors: clinic.ErrWebhookNotFound.
func (s *Store) ListWebhookDeliveries(ctx context.Context, webhook int64, status clinic.DeliveryStatus, before int64, limit int) (Page[clinic.Delivery], error) {
	if _, err := s.Webhook(ctx, webhook); err != nil {
		return Page[clinic.Delivery]{}, err
	}
	var rows []deliveryRow
	err := s.db.SelectContext(ctx, &rows, `
		SELECT `+deliveryColumns+`
		FROM webhook_deliveries
		WHERE webhook_id = ? AND (? = 0 OR id < ?) AND (? = '' OR status = ?)
		ORDER BY id DESC
		LIMIT ?`, webhook, before, before, string(status), string(status), limit+1)
	if err != nil {
		return Page[clinic.Delivery]{}, translate(ctx, "list deliveries", err)
	}
	items := make([]clinic.Delivery, len(rows))
	for i := range rows {
		items[i] = rows[i].delivery()
	}
	return page(items, limit), nil
}

// How long messages are kept for inspection.
const (
	keepDelivered = 7 * 24 * time.Hour
	keepDead      = 30 * 24 * time.Hour
)

// DeleteOldDeliveries deletes messages past their retention. Index webhook_deliveries_age.
func (s *Store) DeleteOldDeliveries(ctx context.Context) error {
	now := clinic.Instant(s.now())
	for status, keep := range map[clinic.DeliveryStatus]time.Duration{clinic.DeliveryDelivered: keepDelivered, clinic.DeliveryDead: keepDead} {
		_, err := s.db.ExecContext(ctx, `DELETE FROM webhook_deliveries WHERE status = ? AND last_at < ? ORDER BY last_at LIMIT 1000`,
			string(status), now.Add(-keep))
		if err != nil {
			return translate(ctx, "delete old deliveries", fmt.Errorf("delete old messages: %w", err))
		}
	}
	return nil
}

// deliveryColumns are those of deliveryRow.
const deliveryColumns = `id, webhook_id, position, at, type, object, object_id, doctor_id, status, resent, attempts, since, next_at,
	last_at, last_status, last_error, created_at`

type deliveryRow struct {
	ID         int64      `db:"id"`
	WebhookID  int64      `db:"webhook_id"`
	Position   *int64     `db:"position"`
	At         time.Time  `db:"at"`
	Type       string     `db:"type"`
	Object     *string    `db:"object"`
	ObjectID   *int64     `db:"object_id"`
	DoctorID   *int64     `db:"doctor_id"`
	Status     string     `db:"status"`
	Resent     bool       `db:"resent"`
	Attempts   int        `db:"attempts"`
	Since      time.Time  `db:"since"`
	NextAt     *time.Time `db:"next_at"`
	LastAt     *time.Time `db:"last_at"`
	LastStatus *int       `db:"last_status"`
	LastError  *string    `db:"last_error"`
	CreatedAt  time.Time  `db:"created_at"`
}

func (r *deliveryRow) delivery() clinic.Delivery {
	d := clinic.Delivery{
		ID: r.ID, WebhookID: r.WebhookID, Change: clinic.FeedChange{At: r.At, Type: r.Type, Audience: clinic.Audience{DoctorID: r.DoctorID}},
		Status: clinic.DeliveryStatus(r.Status), Attempts: r.Attempts, Since: r.Since, NextAt: r.NextAt, LastAt: r.LastAt,
		LastStatus: r.LastStatus, LastError: r.LastError, CreatedAt: r.CreatedAt,
	}
	if r.Position != nil && r.Object != nil && r.ObjectID != nil {
		d.Change.Position, d.Change.Object, d.Change.ObjectID = *r.Position, clinic.KindNamed(*r.Object), *r.ObjectID
	}
	return d
}
