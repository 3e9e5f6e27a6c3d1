//go:build !unix

package main

// mostFiles returns this process's limit of open files; 0 if unknown.
func mostFiles() int { return 0 }
