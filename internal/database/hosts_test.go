package database_test

import (
	"errors"
	"testing"

	"mems/internal/database"
	"mems/internal/storetest"
)

// A primary that died and was started again at once is alone and takes changes. Until it
// is asked, it counts as the primary, and each new connection has to ask for itself: what
// is written there is in no other server's tables.
func TestConnectionToServerOutsideOfTheGroup(t *testing.T) {
	t.Parallel()
	if err := database.ConnectToFormerPrimary(t.Context(), storetest.New(t).DSN); !errors.Is(err, database.ErrNoPrimary) {
		t.Errorf("connected, or: %v", err)
	}
}
