package conntrack

import "math"

// Clock tells the time in jiffies. It may be read by many goroutines at once.
type Clock interface {
	Jiffies() uint64
}

// stopped is the clock of a table that got none.
type stopped struct{}

func (stopped) Jiffies() uint64 { return 0 }

// MsecsToJiffies is how long ms lasts at hz ticks a second: rounded up, and
// "for ever" (which the tracker cuts to MaxInt32 jiffies) from 2^31 on.
func MsecsToJiffies(ms uint32, hz int) uint64 {
	if int32(ms) < 0 {
		return math.MaxInt64>>1 - 1
	}
	return (uint64(ms)*uint64(hz) + 999) / 1000
}

// now is nfct_time_stamp: the low 32 bits of jiffies.
func (t *Table) now() uint32 { return uint32(t.clock.Jiffies()) }

// expired compares on the circle of 32-bit time stamps, as Linux does: a
// timeout lies in the past when it is at most half the circle behind.
func expired(timeout, now uint32) bool { return int32(timeout-now) <= 0 }
