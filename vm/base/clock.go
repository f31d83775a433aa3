package base

import (
	"time"

	"github.com/bpfct/bpfct/vm"
)

var timeFuncs = map[string]vm.Func{
	"bpf_ktime_get_ns":        uptime,
	"bpf_ktime_get_boot_ns":   uptime, // a virtual host never suspends
	"bpf_ktime_get_coarse_ns": coarse,
	"bpf_ktime_get_tai_ns":    tai,
	"bpf_jiffies64":           jiffies,
}

func uptime(c *vm.CPU, _ *[5]uint64) (uint64, error) {
	return uint64(c.M.Clock.Uptime()), nil
}

// coarse is the time of the last tick.
func coarse(c *vm.CPU, _ *[5]uint64) (uint64, error) {
	tick := time.Second / time.Duration(c.M.Clock.HZ())
	return uint64(c.M.Clock.Uptime().Truncate(tick)), nil
}

// tai is the wall clock without an offset to TAI, which the kernel does not
// know either until a time daemon tells it.
func tai(c *vm.CPU, _ *[5]uint64) (uint64, error) {
	return uint64(c.M.Clock.Wall().UnixNano()), nil
}

func jiffies(c *vm.CPU, _ *[5]uint64) (uint64, error) {
	return c.M.Clock.Jiffies(), nil
}
