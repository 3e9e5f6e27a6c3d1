package delivery

import "time"

// LookRarely makes a sender react to wake-ups only.
func (s *Sender) LookRarely() { s.interval = time.Hour }
