package use

import (
	"context"
	"fmt"

	"github.com/ogen-go/ogen/ogenerrors"

	"mems/generators/ogen"
)

type key string

func (k key) ApiKeyAuth(context.Context, ogen.OperationName) (ogen.ApiKeyAuth, error) {
	return ogen.ApiKeyAuth{APIKey: string(k)}, nil
}

func (key) Bearer(context.Context, ogen.OperationName) (ogen.Bearer, error) {
	return ogen.Bearer{}, ogenerrors.ErrSkipClientSecurity
}

// RegisterWithOgen registers a patient with ogen's client.
func RegisterWithOgen(ctx context.Context, url string) (ogen.ID, error) {
	mems, err := ogen.NewClient(url, key("mems_1_key"))
	if err != nil {
		return 0, err
	}
	ann := ogen.PatientCreate{FirstName: "Ann", LastName: "Muster"}
	answer, err := mems.CreatePatient(ctx, &ann, ogen.CreatePatientParams{})
	if err != nil {
		return 0, err
	}
	if patient, ok := answer.(*ogen.PatientSavedHeaders); ok {
		return patient.Response.ID, nil
	}
	return 0, fmt.Errorf("%T", answer)
}
