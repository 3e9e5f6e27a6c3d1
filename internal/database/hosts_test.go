package database_test

import (
	"errors"
	"testing"

	"mems/internal/database"
	"mems/internal/storetest"
)

// A primary that crashed and restarted immediately is alone and accepts writes. Until the
// next probe it counts as the primary, so each new connection has to check: what is written
// there is on no other server.
func TestConnectionToServerOutsideOfTheGroup(t *testing.T) {
	t.Parallel()
	if err := database.ConnectToFormerPrimary(t.Context(), storetest.New(t).DSN); !errors.Is(err, database.ErrNoPrimary) {
		t.Errorf("connection to a former primary = %v, want %v", err, database.ErrNoPrimary)
	}
}
