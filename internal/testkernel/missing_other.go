//go:build !linux

package testkernel

import "runtime"

// Missing says what keeps this process from asking the kernel, "" for nothing.
func Missing() string { return "this is " + runtime.GOOS + ", not Linux" }
