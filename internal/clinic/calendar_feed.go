package clinic

import (
	"strconv"
	"time"
)

// CalendarFeed is the record of a secret URL from which calendar programs read a calendar.
// The URL itself is not stored.
type CalendarFeed struct {
	ID         int64
	DoctorID   *int64 // nil: the whole clinic
	Name       string
	Hash       SecretHash `json:"-"`
	CreatedBy  string
	CreatedAt  time.Time
	ExpiresAt  *time.Time // nil: never
	RevokedAt  *time.Time
	LastUsedAt *time.Time
}

// Normalize puts the name into its stored form.
func (f *CalendarFeed) Normalize() { f.Name = Text(f.Name) }

// Validate returns CodeValidationFailed for a blank or long name and for an expiry that is
// not in the future. f must be normalised.
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

// Within reports whether r includes the feed. A doctor can access only feeds of their own
// calendar.
func (f *CalendarFeed) Within(r Reach) bool {
	return r.All || f.DoctorID != nil && r.Calendar(*f.DoctorID)
}

// Reader returns the caller that reads the feed.
func (f *CalendarFeed) Reader() Caller {
	return Caller{Subject: "feed:" + strconv.FormatInt(f.ID, 10)}
}

// feedPrefix lets secret scanners recognise the URLs of feeds. No API key begins with it.
const feedPrefix = "memscal_"

// FormatFeedToken returns the secret part of a feed's URL.
func FormatFeedToken(id int64, secret string) string { return formatSecret(feedPrefix, id, secret) }

// ParseFeedToken parses what FormatFeedToken returns; ok is false for anything else.
func ParseFeedToken(token string) (id int64, secret string, ok bool) {
	return parseSecret(feedPrefix, token)
}

// MaxFeedVisits bounds the appointments of one calendar; the latest are left out.
const MaxFeedVisits = 20_000

// FeedWindow returns the time that a calendar covers: whole days of the clinic around now,
// so that it stays the same until midnight. The whole clinic's is shorter, because it has
// the entries of every doctor.
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

// FeedCalendar is what a calendar program gets. It has no patients, appointment types or
// free text: what is not here cannot leak.
type FeedCalendar struct {
	// UID identifies this installation in the UIDs of events.
	UID string
	// Doctor is the calendar's doctor, "" for the whole clinic.
	Doctor string
	Visits []FeedVisit
	Away   []FeedAbsence
}

// FeedVisit is an appointment without its patient.
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

// FeedAbsence is a doctor's time off without its reason.
type FeedAbsence struct {
	ID        int64
	Doctor    string
	Time      Interval
	Version   int64 // counts changes
	CreatedAt time.Time
	UpdatedAt time.Time
}
