// Package clock is time as a bpfct host sees it: virtual, owned by the test
// that advances it, and read as nanoseconds or as jiffies of a kernel's HZ.
//
// Nothing in bpfct reads the machine's clock. Start at Clock and its Advance.
package clock
