package capture_test

import (
	"runtime"
	"testing"

	"github.com/tidemark-backup/tidemark/internal/emulator"
	"github.com/tidemark-backup/tidemark/internal/lab"
)

// Where nothing changed a capture goes through nobody: what it does is the same in a tenant and in one of ten times its
// size. What it allocates stands for that, since unlike time it is the same on every machine.
func TestAnIdleCaptureGoesThroughNobody(t *testing.T) {
	idle := func(users int) float64 {
		l := lab.New(t, lab.Start(t, emulator.Options{Users: users, Groups: users / 10, Apps: users / 10}))
		l.Asked = nil // what is asked about each person is
		l.Capture()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		l.Capture()
		runtime.ReadMemStats(&after)
		return float64(after.Mallocs - before.Mallocs)
	}
	small, large := idle(500), idle(5000)
	t.Logf("%.0f and %.0f allocations, %.3f times as many", small, large, large/small)
	if large > 1.1*small {
		t.Errorf("in ten times the tenant an idle capture allocates %.2f times as often", large/small)
	}
}
