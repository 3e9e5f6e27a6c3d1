package store_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"mems/internal/clinic"
	"mems/internal/store"
)

// known is what the oracle knows of a patient and the records merged into it.
type known struct {
	clinic.Patient
	keys   []clinic.NameKey // of all names, past ones included
	ids    []int64
	phones []string // keys
	emails []string // keys
	births []clinic.Date
}

func (k *known) learn(p clinic.Patient) {
	k.keys = append(k.keys, clinic.NameKeys(p.FirstName, p.LastName)...)
}

// named reports whether the words of text are in the names.
func (k *known) named(text string, fits func(clinic.NameKey) bool) bool {
	words := clinic.NameSearch(text)
	for _, beginnings := range words {
		if !slices.ContainsFunc(k.keys, func(key clinic.NameKey) bool {
			return fits(key) && slices.ContainsFunc(beginnings, func(b string) bool { return strings.HasPrefix(key.Key, b) })
		}) {
			return false
		}
	}
	return len(words) > 0
}

func (k *known) numbered(n clinic.Number) bool {
	phone := clinic.PhoneKey(n.Text)
	home := clinic.PhoneHome(n.Text)
	for _, number := range k.phones {
		atHome := home != "" && (number == home || strings.HasPrefix(number, home+"x"))
		if len(phone) >= 3 && (strings.HasPrefix(number, phone) || atHome) {
			return true
		}
	}
	for _, r := range n.IDs() {
		if slices.ContainsFunc(k.ids, func(id int64) bool { return r.First <= id && id <= r.Last }) {
			return true
		}
	}
	return k.born(n.BirthDates) || k.named(n.Text, anyKey)
}

func (k *known) born(dates []clinic.Date) bool {
	return slices.ContainsFunc(k.births, func(d clinic.Date) bool { return slices.Contains(dates, d) })
}

func anyKey(clinic.NameKey) bool { return true }

// matches reports whether a patient fits the query, without SQL.
func (k *known) matches(q store.PatientQuery, today clinic.Date) bool {
	typed := clinic.ParsePatientSearch(q.Search, today)
	switch {
	case q.Search != "" && typed.Empty(),
		q.Name != "" && !k.named(q.Name, anyKey),
		typed.Name != "" && !k.named(typed.Name, anyKey),
		q.LastName != "" && !k.named(q.LastName, func(key clinic.NameKey) bool { return key.Family }),
		q.FirstName != "" && !k.named(q.FirstName, func(key clinic.NameKey) bool { return !key.Family }),
		typed.Email != "" && !slices.ContainsFunc(k.emails, func(e string) bool {
			return strings.HasPrefix(e, clinic.EmailKey(typed.Email))
		}),
		len(typed.BirthDates) > 0 && !k.born(typed.BirthDates),
		q.BirthDate != nil && !k.born([]clinic.Date{*q.BirthDate}):
		return false
	}
	return !slices.ContainsFunc(typed.Numbers, func(n clinic.Number) bool { return !k.numbered(n) })
}

// Every search returns the patients that an oracle finds by testing all of them, in the order of
// the list, page by page, whichever way the patients are read.
func TestPatientSearchFindsWhatAnOracleFinds(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(11, 4))
	f := newFixture(t, 0, 0)
	var all []*known
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	given := func() string { return pick("Ma", "Mia", "Max", "Al", "Anna Maria", "Bo", "Ma Mo", "Zoe") }
	family := func() string {
		return pick("Ma", "Moll", "Mollers", "Zorn", "Zorn", "Zahn", "Van Zorn", "Berg Ma", "Abel")
	}
	var ps []clinic.Patient
	for i := range 120 {
		p := clinic.Patient{FirstName: given(), LastName: family()}
		phone := fmt.Sprintf("+41 44 555 %02d %02d", r.IntN(3), r.IntN(20))
		email := fmt.Sprintf("%s%d@example.org", pick("a", "b", "c"), i)
		if r.IntN(3) > 0 {
			p.Phone, p.Email = &phone, &email
		}
		if r.IntN(2) > 0 {
			p.BirthDate = &clinic.Date{Year: 1980, Month: time.Month(1 + r.IntN(3)), Day: 1 + r.IntN(4)}
		}
		ps = append(ps, p)
	}
	ids, err := f.store.CreatePatients(t.Context(), store.SystemRequest(), ps)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range ps {
		p.ID = ids[i]
		k := &known{Patient: p, ids: []int64{p.ID}}
		k.learn(p)
		if p.Phone != nil {
			k.phones, k.emails = []string{clinic.PhoneKey(*p.Phone)}, []string{clinic.EmailKey(*p.Email)}
		}
		if p.BirthDate != nil {
			k.births = []clinic.Date{*p.BirthDate}
		}
		all = append(all, k)
	}
	for range 30 { // marry
		k := all[r.IntN(len(all))]
		p, _, err := f.store.UpdatePatient(t.Context(), store.SystemRequest(), k.ID, clinic.PatientPatch{LastName: clinic.ChangeTo(family())}, nil)
		if err != nil {
			t.Fatal(err)
		}
		k.LastName = p.LastName
		k.learn(p)
	}
	for range 12 { // were registered twice
		k, twin := all[r.IntN(len(all))], all[r.IntN(len(all))]
		if k == twin {
			continue
		}
		m, err := f.store.MergePatients(t.Context(), store.SystemRequest(), store.MergePair{Survivor: k.ID, Duplicate: twin.ID}, nil)
		if err != nil {
			t.Fatal(err)
		}
		k.BirthDate, k.births = m.Survivor.BirthDate, append(k.births, twin.births...)
		k.keys, k.ids = append(k.keys, twin.keys...), append(k.ids, twin.ids...)
		k.phones, k.emails = append(k.phones, twin.phones...), append(k.emails, twin.emails...)
		all = slices.DeleteFunc(all, func(o *known) bool { return o == twin })
	}
	slices.SortFunc(all, func(a, b *known) int {
		return cmp.Or(strings.Compare(strings.ToLower(a.LastName), strings.ToLower(b.LastName)),
			strings.Compare(strings.ToLower(a.FirstName), strings.ToLower(b.FirstName)), cmp.Compare(a.ID, b.ID))
	})
	key := f.DB.MustExec(`
		INSERT INTO api_keys (name, secret_hash, role, scopes, created_by, created_at, expires_at)
		VALUES ('p', REPEAT('x', 32), 'partner', '[]', 'test', '2027-01-01', '2028-01-01')`)
	made, err := key.LastInsertId()
	if err != nil {
		t.Fatal(err)
	}
	partner := clinic.Access{Caller: clinic.Caller{Subject: fmt.Sprintf("key:%d", made)}, Reach: clinic.Reach{KeyID: made}}
	f.DB.MustExec(`UPDATE patients SET made_by_key = ? WHERE id % 5 = 0`, made)
	random := func() store.PatientQuery {
		one := all[r.IntN(len(all))]
		word := func() string {
			return pick("m", "ma", "z", "zorn", "mo", "a", "anna maria", "b", "v", "x", "van zorn", "mam")
		}
		switch r.IntN(12) {
		case 0:
			return store.PatientQuery{Name: word()}
		case 1:
			return store.PatientQuery{LastName: word()}
		case 2:
			return store.PatientQuery{FirstName: word(), LastName: word()}
		case 3:
			return store.PatientQuery{Name: word(), Search: word()}
		case 4:
			return store.PatientQuery{Search: word() + " 1980-01-02"}
		case 5:
			return store.PatientQuery{Search: pick("1980-02-01", "02.01.1980", "19800103", "1980-02-03")}
		case 6:
			return store.PatientQuery{Search: pick("0", "1", "12", "044 555 01 0", "0105", "+41 44 555 02 07",
				clinic.MRN(one.ID), "1 2", fmt.Sprint(one.ID))}
		case 7:
			return store.PatientQuery{Search: pick("a", "b", "c1") + pick("1", "12", "") + "@"}
		case 8:
			return store.PatientQuery{Search: one.LastName + ", " + one.FirstName}
		case 9:
			return store.PatientQuery{BirthDate: one.BirthDate, Name: word()}
		case 10:
			return store.PatientQuery{}
		}
		return store.PatientQuery{Search: word() + " " + word()}
	}
	today := clinic.DateOf(now)
	answered := 0
	for i := range 300 {
		// The limits are small here, so that every way of reading is used.
		f.store.SetSearchBounds(pick2(r, 0, 4, 2000), pick2(r, 1, 30, 4000))
		q := random()
		q.Limit = 1 + r.IntN(25)
		req := store.SystemRequest()
		if i%4 == 0 {
			req = store.Request{Access: partner}
		}
		var want []int64
		for _, k := range all {
			if k.matches(q, today) && (i%4 != 0 || k.ID%5 == 0) {
				want = append(want, k.ID)
			}
		}
		if len(want) > 0 {
			answered++
		}
		if got := f.listed(t, req, q); !slices.Equal(got, want) {
			t.Fatalf("search %d, %+v: finds %v, want %v", i, q, got, want)
		}
		if q.Search == "" {
			if n, err := f.store.CountPatients(t.Context(), req, q); err != nil || int(n) != len(want) {
				t.Fatalf("search %d, %+v: counts %d (%v), want %d", i, q, n, err, len(want))
			}
		}
	}
	if answered < 150 {
		t.Errorf("%d of 300 searches find a patient, want at least 150", answered)
	}
}

func pick2(r *rand.Rand, of ...int) int { return of[r.IntN(len(of))] }

// listed returns all pages of a search.
func (f *fixture) listed(t *testing.T, req store.Request, q store.PatientQuery) (ids []int64) {
	t.Helper()
	for {
		page, err := f.store.ListPatients(t.Context(), req, q)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range page.Items {
			ids = append(ids, p.ID)
		}
		if !page.More {
			return ids
		}
		q.After = ids[len(ids)-1]
	}
}
