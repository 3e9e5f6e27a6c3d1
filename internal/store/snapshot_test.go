package store

import (
	"context"
	"testing"

	"github.com/jmoiron/sqlx"
)

// An explanation cannot write: a snapshot has none of the methods with which a use case's
// transaction writes.
func TestSnapshotHasNoWrites(t *testing.T) {
	t.Parallel()
	for _, method := range []struct {
		name string
		in   func(any) bool
	}{
		{"ExecContext", isType[sqlx.ExecerContext]},
		{"exec", isType[interface {
			exec(ctx context.Context, statement string, args ...any) (int64, error)
		}]},
		{"insert", isType[interface {
			insert(ctx context.Context, statement string, args ...any) (int64, error)
		}]},
	} {
		if !method.in(&tx{}) {
			t.Errorf("tx has no %s any more: look for the method by which it writes", method.name)
		}
		if method.in(&snapshot{}) {
			t.Errorf("a snapshot has %s", method.name)
		}
	}
}

func isType[T any](v any) bool { _, ok := v.(T); return ok }
