package main

import (
	"fmt"

	"mems/internal/store"
)

// advise adds the remedy to a database error, if there is one.
func advise(err error) error {
	if advice := store.AdviceFor(err); advice != "" {
		return fmt.Errorf("%w\n%s", err, advice)
	}
	return err
}
