package server

import (
	"context"
	"strconv"
	"time"

	"mems/gen/api"
	"mems/internal/clinic"
	"mems/internal/store"
)

// CreateWalkIn adds a walk-in to a queue: POST /walk-ins.
func (s *Server) CreateWalkIn(ctx context.Context, r api.CreateWalkInRequestObject) (api.CreateWalkInResponseObject, error) {
	k, err := s.cfg.Store.CreateWalkIn(ctx, requestOf(ctx), clinic.WalkIn{
		PatientID: r.Body.PatientID, DoctorID: deref(r.Body.DoctorID), Specialization: deref(r.Body.Specialization), Note: orNil(r.Body.Note),
	})
	if err != nil {
		return nil, err
	}
	return api.CreateWalkIn201JSONResponse{
		Body:    ticketToAPI(k),
		Headers: api.CreateWalkIn201ResponseHeaders{Location: "/tickets/" + strconv.FormatInt(k.ID, 10), ETag: etag(k.Version)},
	}, nil
}

// GetQueue lists a doctor's queue: GET /queue.
func (s *Server) GetQueue(ctx context.Context, r api.GetQueueRequestObject) (api.GetQueueResponseObject, error) {
	p := r.Params
	day, tickets, err := s.cfg.Store.Queue(ctx, requestOf(ctx), p.DoctorID, dateFromAPI(p.Date))
	if err != nil {
		return nil, err
	}
	list := filter{byTime, "queue", strconv.FormatInt(p.DoctorID, 10), day.String(), string(deref(p.Status))}
	after, err := decodeCursor(list, p.Cursor)
	if err != nil {
		return nil, err
	}
	page := clinic.PageOfQueue(tickets, clinic.DateOf(after.Start), int(after.ID), clinic.TicketStatus(deref(p.Status)), limitOf(p.Limit))
	return api.GetQueue200JSONResponse{
		Items: items(page.Tickets, ticketToAPI), Date: *dateToAPI(&day), Waiting: int32(page.Waiting), //nolint:gosec // G115: a day's count
		NextCursor: nextCursor(list, store.Page[clinic.Ticket]{Items: page.Tickets, More: page.More}, placeOf),
	}, nil
}

// placeOf returns a ticket's position in its queue: the day and number.
func placeOf(k clinic.Ticket) store.After {
	return store.After{Start: clinic.Day(k.Day, time.UTC).Start, ID: int64(k.Number)}
}

// CallNext calls the patient who has waited longest: POST /queue/call-next.
func (s *Server) CallNext(ctx context.Context, r api.CallNextRequestObject) (api.CallNextResponseObject, error) {
	k, err := s.cfg.Store.CallNext(ctx, requestOf(ctx), r.Body.DoctorID)
	if err != nil {
		return nil, err
	}
	return api.CallNext200JSONResponse{Body: ticketToAPI(k), Headers: api.CallNext200ResponseHeaders{ETag: etag(k.Version)}}, nil
}

// GetTicket returns a ticket: GET /tickets/{id}.
func (s *Server) GetTicket(ctx context.Context, r api.GetTicketRequestObject) (api.GetTicketResponseObject, error) {
	k, err := s.cfg.Store.Ticket(ctx, requestOf(ctx), r.ID)
	if err != nil {
		return nil, err
	}
	return api.GetTicket200JSONResponse{Body: ticketToAPI(k), Headers: api.GetTicket200ResponseHeaders{ETag: etag(k.Version)}}, nil
}

// changeTicketStatus changes a ticket's status.
func (s *Server) changeTicketStatus(ctx context.Context, id int64, to clinic.TicketStatus, match *api.IfMatch, actor *api.Actor) (api.Ticket, string, error) {
	k, err := s.cfg.Store.ChangeTicketStatus(ctx, acting(ctx, actor), id, to, versions(match))
	return ticketToAPI(k), etag(k.Version), err
}

// CallTicket calls a patient: POST /tickets/{id}/call.
func (s *Server) CallTicket(ctx context.Context, r api.CallTicketRequestObject) (api.CallTicketResponseObject, error) {
	k, tag, err := s.changeTicketStatus(ctx, r.ID, clinic.TicketCalled, r.Params.IfMatch, r.Params.MEMSActor)
	if err != nil {
		return nil, err
	}
	return api.CallTicket200JSONResponse{Body: k, Headers: api.CallTicket200ResponseHeaders{ETag: tag}}, nil
}

// StartTicket starts serving a ticket: POST /tickets/{id}/start.
func (s *Server) StartTicket(ctx context.Context, r api.StartTicketRequestObject) (api.StartTicketResponseObject, error) {
	k, tag, err := s.changeTicketStatus(ctx, r.ID, clinic.TicketInProgress, r.Params.IfMatch, r.Params.MEMSActor)
	if err != nil {
		return nil, err
	}
	return api.StartTicket200JSONResponse{Body: k, Headers: api.StartTicket200ResponseHeaders{ETag: tag}}, nil
}

// CompleteTicket completes a ticket: POST /tickets/{id}/complete.
func (s *Server) CompleteTicket(ctx context.Context, r api.CompleteTicketRequestObject) (api.CompleteTicketResponseObject, error) {
	k, tag, err := s.changeTicketStatus(ctx, r.ID, clinic.TicketDone, r.Params.IfMatch, r.Params.MEMSActor)
	if err != nil {
		return nil, err
	}
	return api.CompleteTicket200JSONResponse{Body: k, Headers: api.CompleteTicket200ResponseHeaders{ETag: tag}}, nil
}

// LeaveTicket records that a patient left: POST /tickets/{id}/leave.
func (s *Server) LeaveTicket(ctx context.Context, r api.LeaveTicketRequestObject) (api.LeaveTicketResponseObject, error) {
	k, tag, err := s.changeTicketStatus(ctx, r.ID, clinic.TicketLeft, r.Params.IfMatch, r.Params.MEMSActor)
	if err != nil {
		return nil, err
	}
	return api.LeaveTicket200JSONResponse{Body: k, Headers: api.LeaveTicket200ResponseHeaders{ETag: tag}}, nil
}

// TransferTicket transfers a patient to another doctor: POST /tickets/{id}/transfer.
func (s *Server) TransferTicket(ctx context.Context, r api.TransferTicketRequestObject) (api.TransferTicketResponseObject, error) {
	k, err := s.cfg.Store.TransferTicket(ctx, requestOf(ctx), r.ID, store.TicketTransfer{DoctorID: r.Body.DoctorID, Note: orNil(r.Body.Note)}, versions(r.Params.IfMatch))
	if err != nil {
		return nil, err
	}
	return api.TransferTicket201JSONResponse{
		Body:    ticketToAPI(k),
		Headers: api.TransferTicket201ResponseHeaders{Location: "/tickets/" + strconv.FormatInt(k.ID, 10), ETag: etag(k.Version)},
	}, nil
}

func ticketToAPI(k clinic.Ticket) api.Ticket {
	out := api.Ticket{
		ID: k.ID, DoctorID: k.DoctorID, Date: *dateToAPI(&k.Day), Number: int32(k.Number), PatientID: k.PatientID, //nolint:gosec // G115: a day's count
		AppointmentID: orNull(k.AppointmentID), Status: api.TicketStatus(k.Status), Note: orNull(k.Note),
		TransferredTo: orNull(k.TransferredTo), CalledAt: orNull(k.CalledAt), CreatedAt: k.CreatedAt, UpdatedAt: k.UpdatedAt,
	}
	if k.Position == 0 {
		out.Position.SetNull()
	} else {
		out.Position.Set(int32(k.Position)) //nolint:gosec // G115: a day's count
	}
	return out
}
