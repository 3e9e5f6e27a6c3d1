// Command naive is a booking server as many are written: it checks whether the time is free
// and then inserts the appointment, in one transaction, without a lock. "bench -only naive"
// measures it beside MEMS under the same load and counts the times that it books twice.
//
//	naive DSN
//
// It prints the URL that it serves. It validates what it needs to, answers errors with a
// status, uses a pool and the indexes that its queries need, and has no feature that MEMS
// lacks: it is meant to be a fair opponent.
package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"time"

	_ "github.com/go-sql-driver/mysql" // registers the driver
)

const (
	maxBody     = 1 << 16
	maxDuration = 480 // minutes
	maxConns    = 64
	readTimeout = 10 * time.Second
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: naive DSN")
	}
	if err := serve(context.Background(), os.Args[1]); err != nil {
		log.Fatal(err)
	}
}

func serve(ctx context.Context, dsn string) error {
	db, err := sql.Open("mysql", dsn)
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(maxConns)
	db.SetMaxIdleConns(maxConns)
	if err := db.PingContext(ctx); err != nil {
		return err
	}
	routes := http.NewServeMux()
	routes.HandleFunc("POST /appointments", func(w http.ResponseWriter, r *http.Request) {
		status, answer := book(r.Context(), db, http.MaxBytesReader(w, r.Body, maxBody))
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(answer) // the client has gone
	})
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Printf("http://%s\n", listener.Addr())
	return (&http.Server{Handler: routes, ReadTimeout: readTimeout}).Serve(listener)
}

// appointment is the request and, with ID and Status, the response.
type appointment struct {
	ID        int64     `json:"id"`
	PatientID int64     `json:"patient_id"`
	DoctorID  int64     `json:"doctor_id"`
	Start     time.Time `json:"start_time"`
	Minutes   int       `json:"duration_minutes"`
	Status    string    `json:"status"`
}

type failure struct {
	Error string `json:"error"`
}

// errTaken rolls a booking back whose time is occupied.
var errTaken = errors.New("the doctor or the patient already has an appointment at this time")

func book(ctx context.Context, db *sql.DB, body interface{ Read([]byte) (int, error) }) (status int, answer any) {
	var a appointment
	if err := json.NewDecoder(body).Decode(&a); err != nil {
		return http.StatusBadRequest, failure{"the body is not a JSON object of an appointment"}
	}
	if a.PatientID < 1 || a.DoctorID < 1 || a.Start.Before(time.Now()) || a.Minutes < 1 || a.Minutes > maxDuration {
		return http.StatusUnprocessableEntity, failure{"patient, doctor, a future start and 1 to 480 minutes are required"}
	}
	switch err := insert(ctx, db, &a); {
	case errors.Is(err, errTaken):
		return http.StatusConflict, failure{err.Error()}
	case err != nil:
		log.Print("book: ", err)
		return http.StatusInternalServerError, failure{"internal server error"}
	}
	return http.StatusCreated, a
}

// insert checks and then inserts. Between the two, another transaction may do the same.
func insert(ctx context.Context, db *sql.DB, a *appointment) error {
	t, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = t.Rollback() }() // does nothing after a commit
	start, end := a.Start.UTC(), a.Start.UTC().Add(time.Duration(a.Minutes)*time.Minute)
	for _, of := range []struct {
		query string
		id    int64
	}{
		// Indexes doctor_start and patient_start: a range of some hours.
		{`SELECT COUNT(*) FROM appointments
			WHERE doctor_id = ? AND start_time > ? AND start_time < ? AND end_time > ? AND status <> 'cancelled'`, a.DoctorID},
		{`SELECT COUNT(*) FROM appointments
			WHERE patient_id = ? AND start_time > ? AND start_time < ? AND end_time > ? AND status <> 'cancelled'`, a.PatientID},
	} {
		var taken int
		if err := t.QueryRowContext(ctx, of.query, of.id, start.Add(-maxDuration*time.Minute), end, start).Scan(&taken); err != nil {
			return err
		}
		if taken > 0 {
			return errTaken
		}
	}
	result, err := t.ExecContext(ctx, `INSERT INTO appointments (patient_id, doctor_id, start_time, end_time, duration_minutes, status, created_at)
		VALUES (?, ?, ?, ?, ?, 'scheduled', ?)`, a.PatientID, a.DoctorID, start, end, a.Minutes, time.Now().UTC())
	if err != nil {
		return err
	}
	if a.ID, err = result.LastInsertId(); err != nil {
		return err
	}
	a.Status = "scheduled"
	return t.Commit()
}
