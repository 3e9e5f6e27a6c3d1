package store

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"
)

// The contract lists what /readyz says of each cause.
func TestUnreadyDetailsAreInTheContract(t *testing.T) {
	t.Parallel()
	contract, err := os.ReadFile("../../openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	details := []string{unreadyOtherwise}
	for _, c := range unreadyCauses {
		details = append(details, c.detail)
	}
	for _, detail := range details {
		if !strings.Contains(string(contract), "* "+detail+"\n") {
			t.Errorf("the contract does not list %q among the details of readiness", detail)
		}
	}
	for says, err := range map[string]error{
		"cannot be reached": failedConnect(t, errors.New("bad connection")),
		"does not answer":   errReadyTimeout,
		"or does not":       context.DeadlineExceeded,
		"accept this":       &mysql.MySQLError{Number: 1698},
		"does not exist":    &mysql.MySQLError{Number: 1049},
		"no free":           &mysql.MySQLError{Number: 1040},
		"log says why":      errors.New("another one"),
	} {
		if got := UnreadyDetail(translate(t.Context(), "check the database", err)); !strings.Contains(got, says) {
			t.Errorf("UnreadyDetail of %v = %q, want it to contain %q", err, got, says)
		}
	}
}
