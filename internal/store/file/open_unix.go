//go:build unix

package file

import "syscall"

// atOnce has the opening of a pipe not wait for somebody who writes to it.
const atOnce = syscall.O_NONBLOCK
