package main

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// Limits per caller.
const (
	mostStreams  = 20
	mostHolds    = 5  // of a partner
	mostWaitlist = 50 // entries of a partner
)

func hoardStreams(ctx context.Context, f *field) (string, error) {
	s, err := f.server(ctx, "second", "MEMS_AUTH=required")
	if err != nil {
		return "", err
	}
	key, err := f.key(ctx, "receptionist")
	if err != nil {
		return "", err
	}
	other, err := f.key(ctx, "receptionist")
	if err != nil {
		return "", err
	}
	open, refusal := 0, 0
	for range 2 * mostStreams {
		status, end, err := s.opened(ctx, key)
		if err != nil {
			return "", err
		}
		defer end()
		if status == http.StatusOK {
			open++
		} else {
			refusal = status
		}
	}
	if open > mostStreams || open == 0 {
		return "", fmt.Errorf("%d streams are open, want at most %d", open, mostStreams)
	}
	status, end, err := s.opened(ctx, other)
	if err != nil {
		return "", err
	}
	defer end()
	if status != http.StatusOK {
		return "", fmt.Errorf("another caller's stream is answered %d", status)
	}
	return fmt.Sprintf("%d open, the others %d; another caller gets one", open, refusal), nil
}

// hoard creates records until one is refused, and checks that another partner can still
// create one.
func (f *field) hoard(ctx context.Context, scopes []string, most int, next func(patient int64, i int) (path string, body object)) (string, error) {
	s, err := f.server(ctx, "unlimited", "MEMS_AUTH=required", "MEMS_RATE_LIMIT=0")
	if err != nil {
		return "", err
	}
	key, err := f.key(ctx, "partner", scopes...)
	if err != nil {
		return "", err
	}
	other, err := f.key(ctx, "partner", scopes...)
	if err != nil {
		return "", err
	}
	// A partner can access the patients that it registered.
	patient, err := f.createAs(ctx, s, key, "/patients", object{"first_name": "Ann", "last_name": f.unique("Number")})
	if err != nil {
		return "", err
	}
	others, err := f.createAs(ctx, s, other, "/patients", object{"first_name": "Ann", "last_name": f.unique("Number")})
	if err != nil {
		return "", err
	}
	made, seen := 0, tally{}
	var refusal answer
	for i := range most + 20 {
		path, body := next(patient, i)
		a, err := s.ask(ctx, request{method: "POST", path: path, key: key, body: body})
		if err != nil {
			return "", err
		}
		seen[a.status]++
		if a.status == http.StatusCreated {
			made++
		} else {
			refusal = a
		}
	}
	if made == 0 {
		return "", fmt.Errorf("none was made: %s", refusal.short())
	}
	if made > most {
		return "", fmt.Errorf("%d were made, want at most %d", made, most)
	}
	if refusal.status == 0 {
		return "", errNotRefused
	}
	path, body := next(others, most+20)
	a, err := s.ask(ctx, request{method: "POST", path: path, key: other, body: body})
	if err := a.want(err, http.StatusCreated); err != nil {
		return "", fmt.Errorf("another partner: %w", err)
	}
	return fmt.Sprintf("%s; another partner gets one", seen), nil
}

func hoardHolds(ctx context.Context, f *field) (string, error) {
	return f.hoard(ctx, []string{"appointments:write", "patients:write"}, mostHolds, func(_ int64, i int) (string, object) {
		return "/holds", object{
			"doctor_id": f.doctor, "start_time": f.start.AddDate(0, 0, 1).Add(time.Duration(i) * 30 * time.Minute).Format(time.RFC3339),
			"duration_minutes": 30, "seconds": 60,
		}
	})
}

func hoardWaitlist(ctx context.Context, f *field) (string, error) {
	return f.hoard(ctx, []string{"patients:write", "waitlist:write"}, mostWaitlist, func(patient int64, i int) (string, object) {
		return "/waitlist", object{
			"patient_id": patient, "doctor_ids": []int64{f.doctor}, "duration_minutes": 15 + i%30,
			"from": f.start.AddDate(0, 0, i%60).Format(time.RFC3339), "to": f.start.AddDate(0, 0, i%60+5).Format(time.RFC3339),
		}
	})
}
