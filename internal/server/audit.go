package server

import (
	"context"
	"fmt"
	"strings"

	"mems/gen/api"
	"mems/internal/clinic"
	"mems/internal/store"
)

// ListAuditEntries reads the audit trail: GET /audit.
func (s *Server) ListAuditEntries(ctx context.Context, r api.ListAuditEntriesRequestObject) (api.ListAuditEntriesResponseObject, error) {
	p := r.Params
	q := store.AuditQuery{
		PatientID: deref(p.PatientID), Subject: deref(p.Subject), Operation: deref(p.Operation), From: instant(p.From), To: instant(p.To),
		Limit: limitOf(p.Limit),
	}
	list := filter{"audit", fmt.Sprint(q.PatientID), q.Subject, q.Operation, fmt.Sprint(p.From), fmt.Sprint(p.To)}
	after, err := decodeCursor(list, p.Cursor)
	if err != nil {
		return nil, err
	}
	q.Before = after.ID
	page, err := s.cfg.Store.ListAuditEntries(ctx, requestOf(ctx), q)
	if err != nil {
		return nil, err
	}
	return api.ListAuditEntries200JSONResponse{
		Items:      items(page.Items, auditToAPI),
		NextCursor: nextCursor(list, page, func(e clinic.AuditEntry) store.After { return store.After{ID: e.ID} }),
	}, nil
}

// ExportPatient returns everything stored about a patient: GET /patients/{id}/export.
func (s *Server) ExportPatient(ctx context.Context, r api.ExportPatientRequestObject) (api.ExportPatientResponseObject, error) {
	f, err := s.cfg.Store.ExportPatient(ctx, requestOf(ctx), r.ID)
	if err != nil {
		return nil, err
	}
	return api.ExportPatient200JSONResponse{
		ExportedAt: f.At, Patient: patientToAPI(f.Patient), Merged: items(f.Merged, patientToAPI),
		Appointments: items(f.Appointments, appointmentToAPI), History: items(f.Events, eventToAPI),
		Series: items(f.Series, seriesToAPI), Tickets: items(f.Tickets, ticketToAPI), Waitlist: items(f.Waitlist, entryToAPI),
		Holds: items(f.Holds, holdToAPI), Audit: items(f.Audit, auditToAPI),
	}, nil
}

// ErasePatient erases what identifies a patient: POST /patients/{id}/erase.
func (s *Server) ErasePatient(ctx context.Context, r api.ErasePatientRequestObject) (api.ErasePatientResponseObject, error) {
	p, err := s.cfg.Store.ErasePatient(ctx, requestOf(ctx), r.ID, r.Body.Reason)
	if err != nil {
		return nil, err
	}
	return api.ErasePatient200JSONResponse{
		Body: patientToAPI(p), Headers: api.ErasePatient200ResponseHeaders{ETag: etag(p.Version)},
	}, nil
}

func auditToAPI(e clinic.AuditEntry) api.AuditEntry {
	return api.AuditEntry{
		ID: e.ID, At: e.At, Subject: e.Subject, Address: orNull(e.Address), RequestID: orNull(e.RequestID), Operation: e.Operation,
		Action: api.AuditEntryAction(e.Action), Object: e.Object, ObjectID: orNull(e.ObjectID), PatientID: orNull(e.PatientID),
		PatientIds: items(e.PatientIDs, func(id int64) int64 { return id }), Reason: orNull(e.Reason), Erased: e.Erased,
		Changes: items(e.Changes, func(c clinic.MemberChange) api.AuditChange {
			return api.AuditChange{Member: c.Member, Before: orNull(cut(c.Before)), After: orNull(cut(c.After))}
		}),
	}
}

// cut truncates a value to the contract's maximum.
func cut(value *string) *string {
	const most = 90_000 // bytes; runes are fewer
	if value == nil || len(*value) <= most {
		return value
	}
	short := strings.ToValidUTF8((*value)[:most], "")
	return &short
}
