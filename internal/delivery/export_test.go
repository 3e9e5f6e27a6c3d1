package delivery

import "time"

// LookRarely makes a sender work only on what wakes it.
func (s *Sender) LookRarely() { s.interval = time.Hour }
