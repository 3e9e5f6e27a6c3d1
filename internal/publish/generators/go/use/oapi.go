// Package use calls the generated clients as a partner would. It is compiled, not run.
package use

import (
	"context"
	"errors"
	"time"

	"mems/generators/oapi"
)

// BookWithOapi books an appointment with oapi-codegen's client.
func BookWithOapi(ctx context.Context, url string) (*oapi.Appointment, error) {
	mems, err := oapi.NewClientWithResponses(url)
	if err != nil {
		return nil, err
	}
	noor := oapi.DoctorCreate{FullName: "Dr Noor", Specialization: "dermatology"}
	doctor, err := mems.CreateDoctorWithResponse(ctx, nil, noor)
	if err != nil {
		return nil, err
	}
	patient, err := mems.CreatePatientWithResponse(ctx, nil, oapi.PatientCreate{FirstName: "Ann", LastName: "Muster"})
	if err != nil {
		return nil, err
	}
	if doctor.JSON201 == nil || patient.JSON201 == nil {
		return nil, errors.New(patient.Status())
	}
	now := time.Now()
	day := oapi.ListAvailabilityParams{From: now, To: now.Add(24 * time.Hour)}
	free, err := mems.ListAvailabilityWithResponse(ctx, &day)
	if err != nil || free.JSON200 == nil || len(free.JSON200.Items) == 0 {
		return nil, err
	}
	half := oapi.DurationMinutes(30)
	booked, err := mems.BookAppointmentWithResponse(ctx, nil, oapi.AppointmentCreate{
		PatientId: patient.JSON201.Id, DoctorId: doctor.JSON201.Id,
		StartTime: free.JSON200.Items[0].StartTime, DurationMinutes: &half,
	})
	if err != nil {
		return nil, err
	}
	return booked.JSON201, nil
}
