package clock

import (
	"container/heap"
	"sync"
	"time"
)

// DefaultUptime is how long a host has been up when its clock starts. It is
// past the five minutes after boot at which the kernel's 32-bit jiffies wrap.
const DefaultUptime = 10 * time.Minute

// DefaultWall is the wall clock time at the start: fixed, so that two runs agree.
var DefaultWall = time.Date(2025, time.January, 1, 0, 0, 0, 0, time.UTC)

// Options configure a Clock. The zero value is HZ 250, DefaultUptime and
// DefaultWall.
type Options struct {
	// HZ is the number of jiffies a second; 0 means 250.
	HZ int
	// Uptime is the time since boot at the start; 0 means DefaultUptime.
	Uptime time.Duration
	// Wall is the wall clock time at the start; the zero time means DefaultWall.
	Wall time.Time
}

// Clock is a virtual clock. It stands still until Advance or AdvanceTo moves
// it. Its methods may be called from several goroutines.
type Clock struct {
	hz   int
	boot time.Time // wall clock time of uptime 0; immutable

	mu     sync.Mutex
	now    time.Duration // since boot; guarded by mu
	timers timerHeap     // guarded by mu
	seq    uint64        // guarded by mu; orders timers that are due together
}

// New returns a clock.
func New(opts Options) *Clock {
	if opts.HZ == 0 {
		opts.HZ = 250
	}
	if opts.Uptime == 0 {
		opts.Uptime = DefaultUptime
	}
	if opts.Wall.IsZero() {
		opts.Wall = DefaultWall
	}
	return &Clock{hz: opts.HZ, boot: opts.Wall.Add(-opts.Uptime), now: opts.Uptime}
}

// HZ is the number of jiffies a second.
func (c *Clock) HZ() int { return c.hz }

// Uptime is the time since boot, CLOCK_MONOTONIC and CLOCK_BOOTTIME alike
// since a virtual host never suspends.
func (c *Clock) Uptime() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Wall is the wall clock time, CLOCK_REALTIME.
func (c *Clock) Wall() time.Time { return c.boot.Add(c.Uptime()) }

// Jiffies is the kernel's jiffies_64: ticks since boot on top of
// INITIAL_JIFFIES, the 32-bit value five minutes before the wrap.
func (c *Clock) Jiffies() uint64 { return c.JiffiesAt(c.Uptime()) }

// JiffiesAt is what Jiffies reads at the given time since boot.
func (c *Clock) JiffiesAt(uptime time.Duration) uint64 {
	sec, rest := uptime/time.Second, uptime%time.Second
	ticks := uint64(sec)*uint64(c.hz) + uint64(rest)*uint64(c.hz)/uint64(time.Second)
	return uint64(uint32(-300*int64(c.hz))) + ticks
}

// Timer is a call that is due at a time.
type Timer struct {
	clock *Clock
	at    time.Duration
	seq   uint64
	index int // in the heap, -1 when not queued; guarded by clock.mu
	fire  func()
}

// AfterFunc arranges for f to be called by the Advance that reaches uptime at.
// A time that is past is due at the next Advance, also one by 0. f runs without
// the clock's lock and may arm timers.
func (c *Clock) AfterFunc(at time.Duration, f func()) *Timer {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seq++
	t := &Timer{clock: c, at: at, seq: c.seq, fire: f}
	heap.Push(&c.timers, t)
	return t
}

// Stop takes the timer out of the queue and reports whether it was in it.
func (t *Timer) Stop() bool {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()
	if t.index < 0 {
		return false
	}
	heap.Remove(&t.clock.timers, t.index)
	return true
}

// Advance moves the clock forward by d and runs the timers that become due, in
// the order of their times, each with the clock standing at its time.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	end := c.now + d
	c.mu.Unlock()
	c.AdvanceTo(end)
}

// AdvanceTo moves the clock to the given time since boot, as Advance does. A
// clock never goes back: an earlier time only runs what is due already.
func (c *Clock) AdvanceTo(uptime time.Duration) {
	for {
		c.mu.Lock()
		if len(c.timers) == 0 || c.timers[0].at > max(uptime, c.now) {
			c.now = max(c.now, uptime)
			c.mu.Unlock()
			return
		}
		t := heap.Pop(&c.timers).(*Timer)
		c.now = max(c.now, t.at)
		c.mu.Unlock()
		t.fire()
	}
}

type timerHeap []*Timer

func (h timerHeap) Len() int { return len(h) }
func (h timerHeap) Less(i, j int) bool {
	if h[i].at != h[j].at {
		return h[i].at < h[j].at
	}
	return h[i].seq < h[j].seq
}
func (h timerHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}
func (h *timerHeap) Push(x any) {
	t := x.(*Timer)
	t.index = len(*h)
	*h = append(*h, t)
}
func (h *timerHeap) Pop() any {
	old := *h
	t := old[len(old)-1]
	t.index = -1
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return t
}
