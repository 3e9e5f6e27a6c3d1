package main

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// race sends identical bookings concurrently: one must succeed, the others must be refused as
// overlapping.
func race(ctx context.Context, f *field) (string, error) {
	s, err := f.unlimited(ctx)
	if err != nil {
		return "", err
	}
	const clients = 64
	keys := make([]string, 8)
	for i := range keys {
		if keys[i], err = f.key(ctx, "receptionist"); err != nil {
			return "", err
		}
	}
	patients := make([]int64, clients)
	for i := range patients {
		if patients[i], err = f.create(ctx, s, "/patients", object{"first_name": "Race", "last_name": f.unique("Number")}); err != nil {
			return "", err
		}
	}
	doctor, err := f.newDoctor(ctx, s)
	if err != nil {
		return "", err
	}
	seen, latencies := tally{}, []time.Duration(nil)
	var mu sync.Mutex
	for round := range pick(f.options, 2, 10) {
		made := 0
		var all sync.WaitGroup
		for i := range clients {
			all.Go(func() {
				a, err := s.ask(ctx, request{method: "POST", path: "/appointments", key: keys[i%len(keys)], body: object{
					"patient_id": patients[i], "doctor_id": doctor, "duration_minutes": 30,
					"start_time": f.start.AddDate(0, 0, 10+round).Format(time.RFC3339),
				}})
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					a.status = 0
				}
				if a.status == http.StatusCreated {
					made++
				}
				seen[a.status]++
				latencies = append(latencies, a.took)
			})
		}
		all.Wait()
		if made != 1 {
			return "", fmt.Errorf("one time was booked %d times: %s", made, seen)
		}
	}
	p99 := percentile(latencies, 0.99)
	happened := fmt.Sprintf("%s; p99 %s", seen, p99.Round(time.Millisecond))
	if len(seen) != 2 || seen[http.StatusConflict] == 0 {
		return "", fmt.Errorf("not one 201 and else 409: %s", happened)
	}
	if p99 > time.Second {
		return "", fmt.Errorf("refusals take too long: %s", happened)
	}
	return happened, nil
}

// readersBeside measures reads of one doctor while many clients book another one.
func readersBeside(ctx context.Context, f *field) (string, error) {
	s, err := f.unlimited(ctx)
	if err != nil {
		return "", err
	}
	bookers := pick(f.options, 64, 300)
	keys := make([]string, 16) // one caller gets at most a third of the places
	for i := range keys {
		if keys[i], err = f.key(ctx, "receptionist"); err != nil {
			return "", err
		}
	}
	other, err := f.newDoctor(ctx, s)
	if err != nil {
		return "", err
	}
	limit, cancel := context.WithTimeout(ctx, pick(f.options, 4*time.Second, 15*time.Second))
	defer cancel()
	var stops []func() (tally, []time.Duration)
	for i := range 5 {
		day := "&from=" + f.start.Format(time.RFC3339) + "&to=" + f.start.AddDate(0, 0, 1).Format(time.RFC3339)
		stops = append(stops, s.beside(ctx, fmt.Sprintf("/appointments?doctor_id=%d&limit=20", other)+day, keys[i], 20*time.Millisecond))
	}
	seen := tally{}
	var mu sync.Mutex
	var all sync.WaitGroup
	for i := range bookers {
		all.Go(func() {
			for n := 0; limit.Err() == nil; n++ {
				a, err := s.ask(limit, request{method: "POST", path: "/appointments", key: keys[i%len(keys)], body: object{
					"patient_id": f.patient, "doctor_id": f.doctor, "duration_minutes": 15,
					"start_time": f.start.AddDate(0, 0, 60+n).Add(time.Duration(i%90) * 15 * time.Minute).Format(time.RFC3339),
				}})
				if err != nil {
					return // ended by us
				}
				mu.Lock()
				seen[a.status]++
				mu.Unlock()
				if a.status == http.StatusServiceUnavailable { // waits as Retry-After says
					select {
					case <-limit.Done():
					case <-time.After(time.Second):
					}
				}
			}
		})
	}
	all.Wait()
	read, waited := tally{}, []time.Duration(nil)
	for _, stop := range stops {
		n, l := stop()
		for status, count := range n {
			read[status] += count
		}
		waited = append(waited, l...)
	}
	happened := fmt.Sprintf("%d bookers: %s; readers: %s, p99 %s", bookers, seen, read, percentile(waited, 0.99).Round(time.Millisecond))
	if err := served(read, waited, readBound); err != nil {
		return "", fmt.Errorf("%w: %s", err, happened)
	}
	return happened, nil
}
