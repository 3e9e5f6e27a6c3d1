package demo

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"mems/internal/clinic"
)

// doctor is a doctor and the parameters of the calendar.
type doctor struct {
	record    clinic.Doctor
	lengths   []weighted[time.Duration]
	children  bool         // sees only children
	saturdays bool         // works on Saturday mornings
	dayOff    time.Weekday // Sunday: no other
	calendar  []clinic.Appointment
}

// specialization is a specialization and the lengths of its appointments.
type specialization struct {
	name     string
	children bool
	lengths  []weighted[time.Duration]
}

func minutes(weights map[int]int) []weighted[time.Duration] {
	var all []weighted[time.Duration]
	for _, m := range []int{15, 20, 30, 45, 60} { // not the map's order, which is random
		if weights[m] > 0 {
			all = append(all, weighted[time.Duration]{time.Duration(m) * time.Minute, weights[m]})
		}
	}
	return all
}

var (
	general     = specialization{"General Practice", false, minutes(map[int]int{15: 45, 20: 30, 30: 20, 45: 5})}
	paediatrics = specialization{"Paediatrics", true, minutes(map[int]int{15: 30, 20: 40, 30: 30})}
	cardiology  = specialization{"Cardiology", false, minutes(map[int]int{20: 15, 30: 40, 45: 30, 60: 15})}
	dermatology = specialization{"Dermatology", false, minutes(map[int]int{15: 35, 20: 35, 30: 25, 45: 5})}
	orthopaedic = specialization{"Orthopaedics", false, minutes(map[int]int{15: 15, 20: 25, 30: 40, 45: 20})}
	neurology   = specialization{"Neurology", false, minutes(map[int]int{30: 35, 45: 40, 60: 25})}

	// roster has the doctors of a clinic of twelve; larger ones repeat it.
	roster = []specialization{
		general, paediatrics, cardiology, dermatology, general, orthopaedic,
		neurology, general, paediatrics, dermatology, cardiology, general,
	}
)

func inventDoctors(r *rand.Rand, n int) []doctor {
	first, last := r.Perm(len(firstNames)), r.Perm(len(lastNames))
	all := make([]doctor, n)
	for i := range all {
		s := roster[i%len(roster)]
		all[i] = doctor{
			record: clinic.Doctor{
				FullName:       "Dr. " + firstNames[first[i%len(first)]] + " " + lastNames[last[i%len(last)]],
				Specialization: s.name, IsActive: true, OverbookCap: 1,
			},
			lengths: s.lengths, children: s.children, saturdays: i%3 == 1,
		}
		if i%4 == 3 {
			all[i].dayOff = time.Weekday(1 + r.IntN(5))
		}
	}
	return all
}

// ages is an outpatient clinic's age distribution, in years.
var ages = []weighted[[2]int]{
	{[2]int{0, 5}, 8},
	{[2]int{5, 18}, 12},
	{[2]int{18, 30}, 13},
	{[2]int{30, 45}, 18},
	{[2]int{45, 60}, 20},
	{[2]int{60, 75}, 18},
	{[2]int{75, 90}, 10},
	{[2]int{90, 101}, 1},
}

// inventPatients invents n people born by the given day.
func inventPatients(r *rand.Rand, n int, born clinic.Date) []clinic.Patient {
	all := make([]clinic.Patient, n)
	addresses := map[string]int{}
	for i := range all {
		p := clinic.Patient{FirstName: firstNames[r.IntN(len(firstNames))], LastName: lastNames[r.IntN(len(lastNames))]}
		if r.IntN(20) == 0 {
			p.LastName += "-" + lastNames[r.IntN(len(lastNames))]
		}
		if r.IntN(100) < 82 {
			email := address(r, p, addresses)
			p.Email = &email
		}
		if r.IntN(100) < 91 {
			phone := draw(r, phones)(r)
			p.Phone = &phone
		}
		if r.IntN(100) < 98 {
			between := draw(r, ages)
			age := between[0] + r.IntN(between[1]-between[0])
			date := clinic.DateOf(time.Date(born.Year-age, born.Month, born.Day-r.IntN(365), 12, 0, 0, 0, time.UTC))
			p.BirthDate = &date
		}
		all[i] = p
	}
	return all
}

// domains are reserved (RFC 2606).
var domains = []string{"example.org", "example.net", "example.com"}

// address returns an unused e-mail address: namesakes are numbered.
func address(r *rand.Rand, p clinic.Patient, taken map[string]int) string {
	name := plain(p.FirstName) + "." + plain(p.LastName)
	taken[name]++
	if n := taken[name]; n > 1 {
		name = fmt.Sprintf("%s%d", name, n)
	}
	return name + "@" + domains[r.IntN(len(domains))]
}

var spellings = strings.NewReplacer("ß", "ss", "ø", "o", "ł", "l", "đ", "d", "ð", "d", "þ", "th", "æ", "ae", "ı", "i")

// plain returns a name as in an e-mail address: a to z.
func plain(name string) string {
	decomposed := norm.NFD.String(spellings.Replace(strings.ToLower(name)))
	return strings.Map(func(c rune) rune {
		if c > unicode.MaxASCII || !unicode.IsLetter(c) {
			return -1
		}
		return c
	}, decomposed)
}

// phones has ranges that regulators reserve for drama and examples.
var phones = []weighted[func(*rand.Rand) string]{
	{func(r *rand.Rand) string { // NANPA, 555-0100 to 555-0199
		codes := []string{"202", "312", "415", "503", "617", "713"}
		return fmt.Sprintf("+1 %s 555 01%02d", codes[r.IntN(len(codes))], r.IntN(100))
	}, 25},
	{func(r *rand.Rand) string { return fmt.Sprintf("+44 7700 900%03d", r.IntN(1000)) }, 20},                  // Ofcom, mobile
	{func(r *rand.Rand) string { return fmt.Sprintf("+44 20 7946 0%03d", r.IntN(1000)) }, 10},                 // Ofcom, London
	{func(r *rand.Rand) string { return fmt.Sprintf("+49 30 23125 %03d", r.IntN(1000)) }, 15},                 // Bundesnetzagentur, Berlin
	{func(r *rand.Rand) string { return fmt.Sprintf("+33 6 39 98 %02d %02d", r.IntN(100), r.IntN(100)) }, 15}, // Arcep, mobile
	{func(r *rand.Rand) string { return fmt.Sprintf("+61 2 5550 %04d", r.IntN(10000)) }, 15},                  // ACMA, Sydney
}
