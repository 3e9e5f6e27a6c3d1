package main

import "context"

func runDemo(context.Context, *program, []string) error { return nil }
