//go:build unix

package apply_test

import (
	"syscall"
	"testing"
	"time"
)

// What a restore computes grows with what it brings back and not with its square.
func TestRestoreGrowsEvenly(t *testing.T) {
	cost := func(n int) float64 {
		before := used(t)
		suffer(t, n)
		return (used(t) - before).Seconds()
	}
	cost(120) // what is made once
	few, many := cost(120), cost(960)
	t.Logf("%.2f s of a processor for 120 objects, %.2f s for 960: %.1f times", few, many, many/few)
	if many > 16*few {
		t.Errorf("eight times the objects cost %.1f times as much", many/few)
	}
}

// used is the processor time of this process so far.
func used(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
