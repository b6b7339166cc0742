package main

import (
	"os"
	"syscall"
)

// peakMemory is the largest resident set of an ended process, in bytes.
func peakMemory(s *os.ProcessState) int64 {
	if usage, ok := s.SysUsage().(*syscall.Rusage); ok {
		return usage.Maxrss << 10
	}
	return 0
}
