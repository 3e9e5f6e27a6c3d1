//go:build !unix

package main

// mostFiles is how many files this process may have open; 0 when it cannot be told.
func mostFiles() int { return 0 }
