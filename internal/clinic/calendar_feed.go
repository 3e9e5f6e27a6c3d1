package clinic

import (
	"strconv"
	"time"
)

// CalendarFeed is what is kept of an address under which a calendar program
// reads a calendar: everything but the address.
type CalendarFeed struct {
	ID         int64
	DoctorID   *int64 // nil: the whole clinic's
	Name       string
	Hash       SecretHash `json:"-"`
	CreatedBy  string
	CreatedAt  time.Time
	ExpiresAt  *time.Time // nil: never
	RevokedAt  *time.Time
	LastUsedAt *time.Time
}

// Normalize puts the name into the form in which it is kept.
func (f *CalendarFeed) Normalize() { f.Name = Text(f.Name) }

// Validate refuses what cannot be: CodeValidationFailed. f must be normalised.
func (f *CalendarFeed) Validate(now time.Time) error {
	vs := checkLength(nil, "#/name", f.Name, 100)
	if f.Name == "" {
		vs = append(vs, Violation{Pointer: "#/name", Code: "min_length", Detail: "must not be blank"})
	}
	if f.ExpiresAt != nil && !f.ExpiresAt.After(now) {
		vs = append(vs, Violation{Pointer: "#/expires_at", Code: "minimum", Detail: "must be later than now"})
	}
	return invalid(vs)
}

// Live reports whether the feed is neither revoked nor expired.
func (f *CalendarFeed) Live(now time.Time) bool {
	return f.RevokedAt == nil && (f.ExpiresAt == nil || now.Before(*f.ExpiresAt))
}

// Within reports whether somebody gets at the feed: a doctor, if it is of the
// own calendar.
func (f *CalendarFeed) Within(r Reach) bool {
	return r.All || f.DoctorID != nil && r.Calendar(*f.DoctorID)
}

// Reader returns the caller that reads the feed.
func (f *CalendarFeed) Reader() Caller {
	return Caller{Subject: "feed:" + strconv.FormatInt(f.ID, 10)}
}

// feedPrefix marks the addresses of feeds, so that scanners for leaked secrets
// find them. It is none that a key can have.
const feedPrefix = "memscal_"

// FormatFeedToken is the secret part of a feed's address.
func FormatFeedToken(id int64, secret string) string { return formatSecret(feedPrefix, id, secret) }

// ParseFeedToken takes it apart; ok is false for what cannot be one.
func ParseFeedToken(token string) (id int64, secret string, ok bool) {
	return parseSecret(feedPrefix, token)
}

// MaxFeedVisits bounds the appointments of one calendar; those furthest ahead
// are left out.
const MaxFeedVisits = 20_000

// FeedWindow is the time that a calendar covers: whole days of the clinic around
// now, so that it stays the same until midnight. A clinic's is shorter, because
// everything in it comes once for each doctor.
func FeedWindow(now time.Time, zone *time.Location, wholeClinic bool) Interval {
	before, after := 30, 180
	if wholeClinic {
		before, after = 7, 60
	}
	today := DateOf(now.In(zone)).utc()
	return Interval{
		Start: Day(DateOf(today.AddDate(0, 0, -before)), zone).Start,
		End:   Day(DateOf(today.AddDate(0, 0, after)), zone).End,
	}
}

// FeedCalendar is what a calendar program is shown. There is nothing in it of
// patients, of kinds of visit, or in people's words: what is not here cannot
// leak.
type FeedCalendar struct {
	// UID is the same for all calendars of this installation and for no other's.
	UID string
	// Doctor is whose calendar it is; "" for the clinic's.
	Doctor string
	Visits []FeedVisit
	Away   []FeedAbsence
}

// FeedVisit is an appointment without whom it is with.
type FeedVisit struct {
	ID        int64
	Doctor    string
	Room      string // "" for none
	Time      Interval
	Status    Status
	Version   int64 // counts changes
	CreatedAt time.Time
	UpdatedAt time.Time
}

// FeedAbsence is a doctor's time off without why.
type FeedAbsence struct {
	ID        int64
	Doctor    string
	Time      Interval
	Version   int64 // counts changes
	CreatedAt time.Time
	UpdatedAt time.Time
}
