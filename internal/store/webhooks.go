package store

import (
	"context"
	"encoding/json"
	"time"

	"mems/internal/clinic"
)

// WebhookRules says which addresses a webhook may have.
type WebhookRules struct {
	AllowHTTP bool // also unencrypted ones
}

// CreateWebhook creates a webhook for changes from now on and returns it with its secret.
// Errors: clinic.CodeValidationFailed.
func (s *Store) CreateWebhook(ctx context.Context, req Request, w clinic.Webhook, rules WebhookRules) (clinic.Webhook, string, error) {
	w.Normalize()
	if err := w.Validate(rules.AllowHTTP); err != nil {
		return w, "", err
	}
	// Earlier changes get earlier positions and are not sent.
	if _, err := s.LastChange(ctx); err != nil {
		return w, "", err
	}
	var secret string
	err := s.inTx(ctx, req, "create webhook", func(t *tx) error {
		w.Enabled, w.DisabledReason = true, nil
		w.Secrets = []clinic.WebhookSecret{newWebhookSecret()}
		w.CreatedBy, w.Version, w.CreatedAt, w.UpdatedAt = req.Access.Subject, 1, t.now, t.now
		secret = w.Secrets[0].String()
		var err error
		w.ID, err = t.insert(ctx, `
			INSERT INTO webhooks (url, description, types, enabled, secret, created_by, version, created_at, updated_at)
			VALUES (?, ?, ?, 1, ?, ?, ?, ?, ?)`,
			w.URL, w.Description, list(w.Types), w.Secrets[0][:], w.CreatedBy, w.Version, w.CreatedAt, w.UpdatedAt)
		if err != nil {
			return err
		}
		t.record(clinic.Created(clinic.KindWebhook, w.ID, w))
		return nil
	}, &w, &secret)
	return w, secret, err
}

// Webhook reads a webhook. Errors: clinic.ErrWebhookNotFound.
func (s *Store) Webhook(ctx context.Context, id int64) (clinic.Webhook, error) {
	var row webhookRow
	if err := s.db.GetContext(ctx, &row, `SELECT `+webhookColumns+` FROM webhooks WHERE id = ?`, id); err != nil {
		return clinic.Webhook{}, translate(ctx, "read webhook", notFound(err, clinic.ErrWebhookNotFound))
	}
	return row.webhook()
}

// ListWebhooks reads a page of webhooks by id.
func (s *Store) ListWebhooks(ctx context.Context, after int64, limit int) (Page[clinic.Webhook], error) {
	var rows []webhookRow
	err := s.db.SelectContext(ctx, &rows, `SELECT `+webhookColumns+` FROM webhooks WHERE id > ? ORDER BY id LIMIT ?`, after, limit+1)
	if err != nil {
		return Page[clinic.Webhook]{}, translate(ctx, "list webhooks", err)
	}
	items := make([]clinic.Webhook, len(rows))
	for i := range rows {
		if items[i], err = rows[i].webhook(); err != nil {
			return Page[clinic.Webhook]{}, err
		}
	}
	return page(items, limit), nil
}

// WebhookUpdate is a change of a webhook; nil members stay.
type WebhookUpdate struct {
	URL         *string
	Description clinic.Change[*string]
	Types       *[]string
	Enabled     *bool
}

// UpdateWebhook changes a webhook. Errors: clinic.ErrWebhookNotFound,
// clinic.ErrPreconditionFailed, clinic.CodeValidationFailed.
func (s *Store) UpdateWebhook(ctx context.Context, req Request, id int64, u WebhookUpdate, rules WebhookRules, match Versions) (clinic.Webhook, error) {
	return s.changeWebhook(ctx, req, id, match, func(t *tx, w *clinic.Webhook) error {
		before := *w
		if u.URL != nil {
			w.URL = *u.URL
		}
		if u.Description.Set {
			w.Description = u.Description.Value
		}
		if u.Types != nil {
			w.Types = *u.Types
		}
		if u.Enabled != nil && *u.Enabled != w.Enabled {
			w.Enabled, w.DisabledReason = *u.Enabled, nil
			if !w.Enabled {
				if err := endDeliveries(ctx, t, id, "the webhook was switched off"); err != nil {
					return err
				}
			}
		}
		w.Normalize()
		if err := w.Validate(rules.AllowHTTP); err != nil {
			return err
		}
		t.leaves(before, *w)
		return nil
	})
}

// RotateWebhookSecret replaces a webhook's secret and returns the new one. For
// clinic.SecretOverlap, messages are also signed with the old one. Errors:
// clinic.ErrWebhookNotFound.
func (s *Store) RotateWebhookSecret(ctx context.Context, req Request, id int64) (clinic.Webhook, string, error) {
	var w clinic.Webhook
	var secret string
	err := s.inTx(ctx, req, "rotate webhook secret", func(t *tx) error {
		var err error
		w, err = s.writeWebhook(ctx, t, id, nil, func(t *tx, w *clinic.Webhook) error {
			fresh := newWebhookSecret()
			secret = fresh.String()
			_, err := t.exec(ctx, `UPDATE webhooks SET secret = ?, old_secret = ?, old_until = ? WHERE id = ?`,
				fresh[:], w.Secrets[0][:], t.now.Add(clinic.SecretOverlap), id)
			return err
		})
		return err
	}, &w, &secret)
	return w, secret, err
}

// DeleteWebhook deletes a webhook and its messages. Errors:
// clinic.ErrWebhookNotFound, clinic.ErrPreconditionFailed.
func (s *Store) DeleteWebhook(ctx context.Context, req Request, id int64, match Versions) error {
	return s.inTx(ctx, req, "delete webhook", func(t *tx) error {
		w, err := lockWebhook(ctx, t, id)
		if err != nil {
			return err
		}
		if err := match.check(w.Version); err != nil {
			return err
		}
		t.record(clinic.Deleted(clinic.KindWebhook, id, w))
		_, err = t.exec(ctx, `DELETE FROM webhooks WHERE id = ?`, id)
		return err
	})
}

func (s *Store) changeWebhook(ctx context.Context, req Request, id int64, match Versions, change func(*tx, *clinic.Webhook) error) (clinic.Webhook, error) {
	var w clinic.Webhook
	err := s.inTx(ctx, req, "update webhook", func(t *tx) error {
		var err error
		w, err = s.writeWebhook(ctx, t, id, match, change)
		return err
	}, &w)
	return w, err
}

// writeWebhook changes a webhook under its lock.
func (s *Store) writeWebhook(ctx context.Context, t *tx, id int64, match Versions, change func(*tx, *clinic.Webhook) error) (clinic.Webhook, error) {
	w, err := lockWebhook(ctx, t, id)
	if err != nil {
		return w, err
	}
	if err := match.check(w.Version); err != nil {
		return w, err
	}
	before := w
	if err := change(t, &w); err != nil {
		return w, err
	}
	if t.unchanged {
		return before, nil
	}
	w.Version++
	w.UpdatedAt = t.now
	t.record(clinic.Changed(clinic.KindWebhook, id, before, w))
	_, err = t.exec(ctx, `
		UPDATE webhooks
		SET url = ?, description = ?, types = ?, enabled = ?, disabled_reason = ?, version = ?, updated_at = ?
		WHERE id = ?`, w.URL, w.Description, list(w.Types), w.Enabled, w.DisabledReason, w.Version, w.UpdatedAt, id)
	return w, err
}

// Primary key; exclusive lock on the row. Errors: clinic.ErrWebhookNotFound.
func lockWebhook(ctx context.Context, t *tx, id int64) (clinic.Webhook, error) {
	var row webhookRow
	if err := t.GetContext(ctx, &row, `SELECT `+webhookColumns+` FROM webhooks WHERE id = ? FOR UPDATE`, id); err != nil {
		return clinic.Webhook{}, notFound(err, clinic.ErrWebhookNotFound)
	}
	return row.webhook()
}

// webhookColumns are those of webhookRow.
const webhookColumns = `id, url, description, types, enabled, disabled_reason, secret, old_secret, old_until, created_by, version, created_at, updated_at`

type webhookRow struct {
	ID             int64      `db:"id"`
	URL            string     `db:"url"`
	Description    *string    `db:"description"`
	Types          []byte     `db:"types"` // JSON
	Enabled        bool       `db:"enabled"`
	DisabledReason *string    `db:"disabled_reason"`
	Secret         []byte     `db:"secret"`
	OldSecret      []byte     `db:"old_secret"`
	OldUntil       *time.Time `db:"old_until"`
	CreatedBy      string     `db:"created_by"`
	Version        int64      `db:"version"`
	CreatedAt      time.Time  `db:"created_at"`
	UpdatedAt      time.Time  `db:"updated_at"`
}

func (r *webhookRow) webhook() (clinic.Webhook, error) {
	w := clinic.Webhook{
		ID: r.ID, URL: r.URL, Description: r.Description, Enabled: r.Enabled, DisabledReason: r.DisabledReason,
		Secrets: []clinic.WebhookSecret{clinic.WebhookSecret(r.Secret)}, CreatedBy: r.CreatedBy, Version: r.Version,
		CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt,
	}
	return w, json.Unmarshal(r.Types, &w.Types)
}

// signedUntil adds the old secret while messages are also signed with it.
func (r *webhookRow) signedUntil(now time.Time, w *clinic.Webhook) {
	if r.OldUntil != nil && now.Before(*r.OldUntil) {
		w.Secrets = append(w.Secrets, clinic.WebhookSecret(r.OldSecret))
	}
}
