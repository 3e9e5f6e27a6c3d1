package server

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	"mems/gen/api"
	"mems/internal/clinic"
	"mems/internal/store"
)

// CreateWebhook creates a webhook: POST /webhooks.
func (s *Server) CreateWebhook(ctx context.Context, r api.CreateWebhookRequestObject) (api.CreateWebhookResponseObject, error) {
	want := clinic.Webhook{URL: r.Body.URL, Description: r.Body.Description, Types: r.Body.Types}
	w, secret, err := s.cfg.Store.CreateWebhook(ctx, requestOf(ctx), want, store.WebhookRules{AllowHTTP: s.cfg.WebhooksInside})
	if err != nil {
		return nil, err
	}
	return api.CreateWebhook201JSONResponse{
		Body: webhookWithSecret(w, secret),
		Headers: api.CreateWebhook201ResponseHeaders{
			ETag: etag(w.Version), Location: "/webhooks/" + strconv.FormatInt(w.ID, 10),
		},
	}, nil
}

// ListWebhooks lists webhooks: GET /webhooks.
func (s *Server) ListWebhooks(ctx context.Context, r api.ListWebhooksRequestObject) (api.ListWebhooksResponseObject, error) {
	list := filter{"webhooks"}
	after, err := decodeCursor(list, r.Params.Cursor)
	if err != nil {
		return nil, err
	}
	page, err := s.cfg.Store.ListWebhooks(ctx, after.ID, limitOf(r.Params.Limit))
	if err != nil {
		return nil, err
	}
	return api.ListWebhooks200JSONResponse{
		Items:      items(page.Items, webhookToAPI),
		NextCursor: nextCursor(list, page, func(w clinic.Webhook) store.After { return store.After{ID: w.ID} }),
	}, nil
}

// GetWebhook returns a webhook: GET /webhooks/{id}.
func (s *Server) GetWebhook(ctx context.Context, r api.GetWebhookRequestObject) (api.GetWebhookResponseObject, error) {
	w, err := s.cfg.Store.Webhook(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	return api.GetWebhook200JSONResponse{Body: webhookToAPI(w), Headers: api.GetWebhook200ResponseHeaders{ETag: etag(w.Version)}}, nil
}

// UpdateWebhook changes a webhook: PATCH /webhooks/{id}.
func (s *Server) UpdateWebhook(ctx context.Context, r api.UpdateWebhookRequestObject) (api.UpdateWebhookResponseObject, error) {
	b := r.Body
	u := store.WebhookUpdate{URL: b.URL, Enabled: b.Enabled}
	if b.Description.IsSpecified() {
		u.Description = clinic.ChangeTo(orNil(b.Description))
	}
	if b.Types != nil {
		u.Types = &b.Types
	}
	w, err := s.cfg.Store.UpdateWebhook(ctx, requestOf(ctx), r.ID, u, store.WebhookRules{AllowHTTP: s.cfg.WebhooksInside}, versions(r.Params.IfMatch))
	if err != nil {
		return nil, err
	}
	return api.UpdateWebhook200JSONResponse{Body: webhookToAPI(w), Headers: api.UpdateWebhook200ResponseHeaders{ETag: etag(w.Version)}}, nil
}

// DeleteWebhook deletes a webhook: DELETE /webhooks/{id}.
func (s *Server) DeleteWebhook(ctx context.Context, r api.DeleteWebhookRequestObject) (api.DeleteWebhookResponseObject, error) {
	if err := s.cfg.Store.DeleteWebhook(ctx, requestOf(ctx), r.ID, versions(r.Params.IfMatch)); err != nil {
		return nil, err
	}
	return api.DeleteWebhook204Response{}, nil
}

// RotateWebhookSecret rotates a webhook's secret: POST /webhooks/{id}/rotate-secret.
func (s *Server) RotateWebhookSecret(ctx context.Context, r api.RotateWebhookSecretRequestObject) (api.RotateWebhookSecretResponseObject, error) {
	w, secret, err := s.cfg.Store.RotateWebhookSecret(ctx, requestOf(ctx), r.ID)
	if err != nil {
		return nil, err
	}
	return api.RotateWebhookSecret200JSONResponse{
		Body: webhookWithSecret(w, secret), Headers: api.RotateWebhookSecret200ResponseHeaders{ETag: etag(w.Version)},
	}, nil
}

// TestWebhook sends a test message: POST /webhooks/{id}/test.
func (s *Server) TestWebhook(ctx context.Context, r api.TestWebhookRequestObject) (api.TestWebhookResponseObject, error) {
	d, err := s.cfg.Store.TestWebhook(ctx, requestOf(ctx), r.ID)
	if err != nil {
		return nil, err
	}
	return api.TestWebhook200JSONResponse(deliveryToAPI(d)), nil
}

// ListWebhookDeliveries lists a webhook's messages: GET /webhooks/{id}/deliveries.
func (s *Server) ListWebhookDeliveries(ctx context.Context, r api.ListWebhookDeliveriesRequestObject) (api.ListWebhookDeliveriesResponseObject, error) {
	status := clinic.DeliveryStatus(deref(r.Params.Status))
	list := filter{"deliveries", strconv.FormatInt(r.ID, 10), string(status)}
	before, err := decodeCursor(list, r.Params.Cursor)
	if err != nil {
		return nil, err
	}
	page, err := s.cfg.Store.ListWebhookDeliveries(ctx, r.ID, status, before.ID, limitOf(r.Params.Limit))
	if err != nil {
		return nil, err
	}
	return api.ListWebhookDeliveries200JSONResponse{
		Items:      items(page.Items, deliveryToAPI),
		NextCursor: nextCursor(list, page, func(d clinic.Delivery) store.After { return store.After{ID: d.ID} }),
	}, nil
}

// RedeliverWebhook redelivers a message: POST
// /webhooks/{id}/deliveries/{delivery_id}/redeliver.
func (s *Server) RedeliverWebhook(ctx context.Context, r api.RedeliverWebhookRequestObject) (api.RedeliverWebhookResponseObject, error) {
	d, err := s.cfg.Store.RedeliverWebhook(ctx, requestOf(ctx), r.ID, r.DeliveryID)
	if err != nil {
		return nil, err
	}
	return api.RedeliverWebhook200JSONResponse(deliveryToAPI(d)), nil
}

// WebhookMessage returns the body of a message (Standard Webhooks 1.0): a change without
// its record, the same for every attempt. It leaves the clinic, so it never has staff's
// free text, whatever the permissions of its owner.
func WebhookMessage(d clinic.Delivery) ([]byte, error) {
	m := struct {
		Type      string    `json:"type"`
		Timestamp time.Time `json:"timestamp"`
		Data      any       `json:"data"`
	}{d.Change.Type, d.Change.At, struct{}{}}
	if d.Change.Object != (clinic.Kind{}) {
		m.Data = withheld(changeToAPI(d.Change), clinic.Clearance{})
	}
	return json.Marshal(m)
}

func webhookToAPI(w clinic.Webhook) api.Webhook {
	return api.Webhook{
		ID: w.ID, URL: w.URL, Description: orNull(w.Description), Types: items(w.Types, func(t string) string { return t }),
		Enabled: w.Enabled, DisabledReason: orNull(w.DisabledReason), CreatedBy: w.CreatedBy, CreatedAt: w.CreatedAt, UpdatedAt: w.UpdatedAt,
	}
}

func webhookWithSecret(w clinic.Webhook, secret string) api.WebhookCreated {
	a := webhookToAPI(w)
	return api.WebhookCreated{
		ID: a.ID, URL: a.URL, Description: a.Description, Types: a.Types, Enabled: a.Enabled, DisabledReason: a.DisabledReason,
		CreatedBy: a.CreatedBy, CreatedAt: a.CreatedAt, UpdatedAt: a.UpdatedAt, Secret: secret,
	}
}

func deliveryToAPI(d clinic.Delivery) api.Delivery {
	a := api.Delivery{
		ID: d.ID, Type: d.Change.Type, Status: api.DeliveryStatus(d.Status), Attempts: int32(min(d.Attempts, 1_000_000)), //nolint:gosec // G115: bounded
		CreatedAt: d.CreatedAt, NextAttemptAt: orNull(d.NextAt), LastAttemptAt: orNull(d.LastAt), LastError: orNull(d.LastError),
		Object: orNull[string](nil), ObjectID: orNull[int64](nil), LastStatus: orNull[int32](nil),
	}
	if d.Change.Object != (clinic.Kind{}) {
		a.Object, a.ObjectID = orNull(new(d.Change.Object.String())), orNull(&d.Change.ObjectID)
	}
	if d.LastStatus != nil {
		a.LastStatus = orNull(new(int32(*d.LastStatus))) //nolint:gosec // G115: an HTTP status
	}
	return a
}
