package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"mems/gen/api"
	"mems/internal/clinic"
	"mems/internal/contract"
	"mems/internal/store"
)

// A server with an operation that lacks permission and checks does not start.
func TestRegisterRefusesAnUncheckedOperation(t *testing.T) {
	t.Parallel()
	doc, err := api.GetSpec()
	if err != nil {
		t.Fatal(err)
	}
	operations, err := contract.OperationsOf(doc, 1000)
	if err != nil {
		t.Fatal(err)
	}
	handlers := api.NewStrictHandler(&Server{}, nil)
	if err := (&Server{echo: echo.New()}).register(operations, handlers); err != nil {
		t.Errorf("register with all operations: %v, want no error", err)
	}
	book := operations["bookAppointment"]
	delete(operations, "bookAppointment")
	if err := (&Server{echo: echo.New()}).register(operations, handlers); err == nil {
		t.Error("register without the checks of bookAppointment = nil, want an error")
	}
	operations["BookAppointment"] = book // as a renaming generator would have it
	if err := (&Server{echo: echo.New()}).register(operations, handlers); err == nil {
		t.Error("register with the checks of bookAppointment under another name = nil, want an error")
	}
	delete(operations, "BookAppointment")
	operations["bookAppointment"] = &contract.Operation{Method: http.MethodPost, Path: "/elsewhere"}
	if err := (&Server{echo: echo.New()}).register(operations, handlers); err == nil {
		t.Error("register with the checks of another path = nil, want an error")
	}
}

// Errors that no request should cause become problems, too, without internal details.
func TestUnexpectedErrors(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		err    error
		slug   api.ProblemSlug
		silent bool
	}{
		"Unknown":       {errors.New("secret inside"), api.ProblemSlugInternalError, false},
		"Panic":         {nil, api.ProblemSlugInternalError, false},
		"Deadline":      {context.DeadlineExceeded, api.ProblemSlugUnavailable, false},
		"ClientGone":    {context.Canceled, api.ProblemSlugUnavailable, true},
		"Unavailable":   {&clinic.Error{Code: clinic.CodeUnavailable, Cause: errors.New("secret inside")}, api.ProblemSlugUnavailable, false},
		"Outcome":       {&clinic.Error{Code: clinic.CodeOutcomeUnknown, Cause: errors.New("secret inside")}, api.ProblemSlugOutcomeUnknown, false},
		"Binder":        {echo.NewHTTPError(400, "secret inside"), api.ProblemSlugMalformedRequest, true},
		"BinderMedia":   {echo.ErrUnsupportedMediaType, api.ProblemSlugUnsupportedMediaType, true},
		"EchoTeapot":    {echo.NewHTTPError(418, "secret inside"), api.ProblemSlugInternalError, false},
		"UnknownCode":   {&clinic.Error{Code: "surprise"}, api.ProblemSlugInternalError, false},
		"BareOverlap":   {clinic.ErrDoctorOverlap, api.ProblemSlugDoctorOverlap, true},
		"MethodMissing": {echo.ErrMethodNotAllowed, api.ProblemSlugMethodNotAllowed, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			to := slog.New(slog.NewTextHandler(&log, nil))
			s := &Server{echo: echo.New(), cfg: Config{Log: to, RequestTimeout: time.Second}, failures: newFailures(to)}
			s.echo.HTTPErrorHandler = s.answerError
			s.echo.Use(s.identify, s.recoverPanic)
			s.echo.GET("/x", func(echo.Context) error {
				if test.err == nil {
					panic("secret inside")
				}
				return test.err
			})
			w := httptest.NewRecorder()
			s.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/x", nil))
			if !strings.Contains(w.Body.String(), `"/problems/`+string(test.slug)+`"`) || strings.Contains(w.Body.String(), "secret") {
				t.Errorf("body = %s, want the problem %s without the error's text", w.Body, test.slug)
			}
			if w.Code == 503 && w.Header().Get("Retry-After") == "" {
				t.Errorf("503 with headers %v, want a Retry-After", w.Header())
			}
			if silent := log.Len() == 0; silent != test.silent {
				t.Errorf("logged %q, want nothing logged: %t", &log, test.silent)
			}
		})
	}
}

func TestNewRefusesHalfAConfiguration(t *testing.T) {
	t.Parallel()
	if _, err := New(Config{}); err == nil {
		t.Error("New without a store = nil, want an error")
	}
}

func TestDraining(t *testing.T) {
	t.Parallel()
	s := &Server{streams: streams{ending: make(chan struct{})}}
	s.SetDraining()
	text, err := os.ReadFile("../../openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.GetReadiness(t.Context(), api.GetReadinessRequestObject{})
	if p, ok := errors.AsType[*contract.Error](err); !ok || p.Slug != api.ProblemSlugUnavailable || !strings.Contains(string(text), "* "+p.Detail+"\n") {
		t.Errorf("while draining: %v, want unavailable with a detail that the contract lists", err)
	}
}

func FuzzCursor(f *testing.F) {
	byID, byStart := filter{"patients", "a", ""}, filter{byTime, "true", "a"}
	f.Add(encodeCursor(byID, store.After{ID: 7}))
	f.Add(encodeCursor(byStart, store.After{ID: 1 << 52, Start: time.Date(2027, 3, 1, 8, 0, 0, 123_000, time.UTC)}))
	f.Add(encodeCursor(byStart, store.After{ID: 1, Start: clinic.MinInstant}))
	f.Add("")
	f.Add("AQ")
	f.Fuzz(func(t *testing.T, s string) {
		for _, list := range []filter{byID, byStart} {
			after, err := decodeCursor(list, &s)
			if err != nil {
				continue
			}
			if after.ID <= 0 || after.Start.IsZero() != (list[0] != byTime) {
				t.Errorf("decodeCursor(%q) = %+v, want an id, and a start exactly in lists by time", s, after)
			}
			again, err := decodeCursor(list, new(encodeCursor(list, after)))
			if err != nil || again.ID != after.ID || !again.Start.Equal(after.Start) {
				t.Errorf("cursor %q decodes to %v, encoded and decoded again to %v (%v), want the same",
					s, after, again, err)
			}
			if _, err := decodeCursor(filter{"doctors", "a", ""}, &s); err == nil {
				t.Errorf("decodeCursor(%q) for another list = nil, want an error", s)
			}
		}
	})
}

// Rejecting a body costs little more than reading it: no body within the limit may keep a processor
// busy. The bound is on memory, which does not depend on the machine.
func TestRefusingIsCheap(t *testing.T) {
	doc, err := api.GetSpec()
	if err != nil {
		t.Fatal(err)
	}
	operations, err := contract.OperationsOf(doc, 64<<10)
	if err != nil {
		t.Fatal(err)
	}
	var body strings.Builder
	body.WriteString(`{"first_name":"A"`)
	for i := range 5000 {
		fmt.Fprintf(&body, `,"x%d":0`, i)
	}
	body.WriteString("}")
	e := echo.New()
	var before, after runtime.MemStats // no test runs beside one that is not parallel
	runtime.ReadMemStats(&before)
	r := httptest.NewRequest(http.MethodPost, "/patients", strings.NewReader(body.String()))
	r.Header.Set("Content-Type", "application/json")
	err = (&Server{admission: newAdmission(1, 1, time.Minute, LineObserver{})}).check(operations["createPatient"])(nil)(e.NewContext(r, httptest.NewRecorder()))
	runtime.ReadMemStats(&after)
	if !errors.Is(err, &clinic.Error{Code: clinic.CodeValidationFailed}) {
		t.Errorf("check of a body with unknown members: %v, want %s", err, clinic.CodeValidationFailed)
	}
	// It takes 6 MB, and 53 MB under the race detector, which empties pools on purpose: the bound
	// has to hold for both. A strings.Replacer made for each character of a pointer once took 167
	// MB.
	if taken := after.TotalAlloc - before.TotalAlloc; taken > 100<<20 {
		t.Errorf("refusing a body of %d bytes allocated %d bytes, want at most %d", body.Len(), taken, 100<<20)
	}
}
