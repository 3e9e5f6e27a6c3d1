package main

import (
	"fmt"

	"mems/internal/store"
)

// advise adds what to do to an error of the database, if there is anything to add.
func advise(err error) error {
	if advice := store.AdviceFor(err); advice != "" {
		return fmt.Errorf("%w\n%s", err, advice)
	}
	return err
}
