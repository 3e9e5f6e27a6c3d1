package server

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"mems/gen/api"
	"mems/internal/clinic"
	"mems/internal/ical"
	"mems/internal/store"
)

// CreateCalendarFeed creates a feed: POST /calendar-feeds.
func (s *Server) CreateCalendarFeed(ctx context.Context, r api.CreateCalendarFeedRequestObject) (api.CreateCalendarFeedResponseObject, error) {
	f, token, err := s.cfg.Store.CreateCalendarFeed(ctx, requestOf(ctx), clinic.CalendarFeed{
		DoctorID: orNil(r.Body.DoctorID), Name: r.Body.Name, ExpiresAt: r.Body.ExpiresAt,
	})
	if err != nil {
		return nil, err
	}
	a := calendarFeedToAPI(f)
	return api.CreateCalendarFeed201JSONResponse{
		Body: api.CalendarFeedCreated{
			ID: a.ID, DoctorID: a.DoctorID, Name: a.Name, CreatedAt: a.CreatedAt, CreatedBy: a.CreatedBy, ExpiresAt: a.ExpiresAt,
			RevokedAt: a.RevokedAt, LastUsedAt: a.LastUsedAt, URL: "/calendars/" + token + feedSuffix,
		},
		Headers: api.CreateCalendarFeed201ResponseHeaders{Location: "/calendar-feeds/" + strconv.FormatInt(f.ID, 10)},
	}, nil
}

// feedSuffix ends a calendar's URL: some programs accept no other.
const feedSuffix = ".ics"

// ListCalendarFeeds lists feeds: GET /calendar-feeds.
func (s *Server) ListCalendarFeeds(ctx context.Context, r api.ListCalendarFeedsRequestObject) (api.ListCalendarFeedsResponseObject, error) {
	list := filter{"calendar-feeds"}
	after, err := decodeCursor(list, r.Params.Cursor)
	if err != nil {
		return nil, err
	}
	page, err := s.cfg.Store.ListCalendarFeeds(ctx, requestOf(ctx), after.ID, limitOf(r.Params.Limit))
	if err != nil {
		return nil, err
	}
	return api.ListCalendarFeeds200JSONResponse{
		Items:      items(page.Items, calendarFeedToAPI),
		NextCursor: nextCursor(list, page, func(f clinic.CalendarFeed) store.After { return store.After{ID: f.ID} }),
	}, nil
}

// GetCalendarFeed returns a feed's record: GET /calendar-feeds/{id}.
func (s *Server) GetCalendarFeed(ctx context.Context, r api.GetCalendarFeedRequestObject) (api.GetCalendarFeedResponseObject, error) {
	f, err := s.cfg.Store.CalendarFeed(ctx, requestOf(ctx), r.ID)
	if err != nil {
		return nil, err
	}
	return api.GetCalendarFeed200JSONResponse(calendarFeedToAPI(f)), nil
}

// RevokeCalendarFeed revokes a feed: POST /calendar-feeds/{id}/revoke.
func (s *Server) RevokeCalendarFeed(ctx context.Context, r api.RevokeCalendarFeedRequestObject) (api.RevokeCalendarFeedResponseObject, error) {
	f, err := s.cfg.Store.RevokeCalendarFeed(ctx, requestOf(ctx), r.ID)
	if err != nil {
		return nil, err
	}
	return api.RevokeCalendarFeed200JSONResponse(calendarFeedToAPI(f)), nil
}

// GetCalendar returns a calendar: GET /calendars/{token}.
func (s *Server) GetCalendar(ctx context.Context, r api.GetCalendarRequestObject) (api.GetCalendarResponseObject, error) {
	token, ok := strings.CutSuffix(r.Token, feedSuffix)
	if !ok {
		return nil, clinic.ErrCalendarFeedNotFound
	}
	c, err := s.cfg.Store.Calendar(ctx, requestOf(ctx), token)
	if err != nil {
		return nil, err
	}
	text, err := ical.Encode(calendarOf(c))
	if err != nil {
		return nil, err
	}
	hash := sha256.Sum256(text)
	tag := `"` + base64.RawURLEncoding.EncodeToString(hash[:16]) + `"`
	return calendarAnswer{text: text, tag: tag, known: hasTag(deref(r.Params.IfNoneMatch), tag)}, nil
}

// hasTag reports whether an If-None-Match names a tag (RFC 9110 section 13.1.2;
// the comparison is weak).
func hasTag(header, tag string) bool {
	for candidate := range strings.SplitSeq(header, ",") {
		candidate = strings.TrimSpace(candidate)
		if candidate == "*" || strings.TrimPrefix(candidate, "W/") == tag {
			return true
		}
	}
	return false
}

// calendarAnswer is a calendar, or a 304.
type calendarAnswer struct {
	text  []byte
	tag   string
	known bool
}

// VisitGetCalendarResponse writes the response.
func (a calendarAnswer) VisitGetCalendarResponse(w http.ResponseWriter) error {
	h := w.Header()
	h.Set("ETag", a.tag)
	h.Set(echo.HeaderCacheControl, "private, no-cache")
	if a.known {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	h.Set(echo.HeaderContentType, ical.MediaType)
	// A browser would name the file after the URL, which is a secret.
	h.Set(echo.HeaderContentDisposition, `attachment; filename="calendar.ics"`)
	h.Set(echo.HeaderContentLength, strconv.Itoa(len(a.text)))
	_, err := w.Write(a.text)
	return err
}

// calendarOf returns a feed as calendar programs show it.
func calendarOf(c clinic.FeedCalendar) ical.Calendar {
	out := ical.Calendar{Name: "Clinic"}
	title := func(what, doctor string) string { return what + ": " + doctor }
	if c.Doctor != "" {
		out.Name = c.Doctor
		title = func(what, _ string) string { return what }
	}
	uid := func(kind string, id int64) string { return kind + "-" + strconv.FormatInt(id, 10) + "@" + c.UID }
	for _, v := range c.Visits {
		what, status := "Booked", ical.StatusConfirmed
		switch v.Status {
		case clinic.StatusScheduled:
			status = ical.StatusTentative
		case clinic.StatusCancelled:
			what, status = "Cancelled", ical.StatusCancelled // in words, too: some programs show cancelled events
		default: // confirmed, or a status that follows it
		}
		out.Events = append(out.Events, ical.Event{
			UID: uid("appointment", v.ID), Title: title(what, v.Doctor), Location: v.Room, Start: v.Time.Start, End: v.Time.End,
			Status: status, Free: !v.Status.Occupies(), Sequence: sequence(v.Version), CreatedAt: v.CreatedAt, UpdatedAt: v.UpdatedAt,
		})
	}
	for _, a := range c.Away {
		out.Events = append(out.Events, ical.Event{
			UID: uid("time-off", a.ID), Title: title("Away", a.Doctor), Start: a.Time.Start, End: a.Time.End,
			Sequence: sequence(a.Version), CreatedAt: a.CreatedAt, UpdatedAt: a.UpdatedAt,
		})
	}
	return out
}

// sequence returns an event's SEQUENCE: records begin with version 1, events with sequence 0.
func sequence(version int64) int { return int(version - 1) }

func calendarFeedToAPI(f clinic.CalendarFeed) api.CalendarFeed {
	return api.CalendarFeed{
		ID: f.ID, DoctorID: orNull(f.DoctorID), Name: f.Name, CreatedAt: f.CreatedAt, CreatedBy: f.CreatedBy,
		ExpiresAt: orNull(f.ExpiresAt), RevokedAt: orNull(f.RevokedAt), LastUsedAt: orNull(f.LastUsedAt),
	}
}
