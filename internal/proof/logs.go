package main

import (
	"bufio"
	"os"
	"strings"
)

// readLogs searches the servers' logs for internal errors that clients did not see.
func (f *field) readLogs() (check, error) {
	c := check{name: "no fault in the servers' logs"}
	for _, t := range f.servers {
		file, err := os.Open(t.log)
		if err != nil {
			return c, err
		}
		defer func() { _ = file.Close() }() // only read
		for lines := bufio.NewScanner(file); lines.Scan(); c.examined++ {
			if strings.Contains(lines.Text(), "fault of MEMS") || strings.Contains(lines.Text(), "panic") {
				c.fault("%s: %s", t.address, lines.Text())
			}
		}
	}
	return c, nil
}
