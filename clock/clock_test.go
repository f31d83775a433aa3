package clock

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestJiffiesWrapFiveMinutesAfterBoot(t *testing.T) {
	c := New(Options{Uptime: 299 * time.Second})
	if got := uint32(c.Jiffies()); got != ^uint32(0)-249 {
		t.Errorf("one second before the wrap: %#x", got)
	}
	c.Advance(time.Second)
	if got := uint32(c.Jiffies()); got != 0 {
		t.Errorf("at five minutes: %#x, want 0", got)
	}
}

func TestTimersFireInOrderAtTheirTimes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := New(Options{})
		start := c.Uptime()
		var fired []time.Duration
		delays := rapid.SliceOfN(rapid.Int64Range(-5, 100), 0, 20).Draw(t, "delays")
		for _, d := range delays {
			at := start + time.Duration(d)
			c.AfterFunc(at, func() {
				if want := max(at, start); c.Uptime() != want {
					t.Fatalf("timer for %v fired at %v", want, c.Uptime())
				}
				fired = append(fired, at)
			})
		}
		c.Advance(200)
		if len(fired) != len(delays) {
			t.Fatalf("%d of %d timers fired", len(fired), len(delays))
		}
		for i := 1; i < len(fired); i++ {
			if fired[i] < fired[i-1] {
				t.Fatalf("out of order: %v", fired)
			}
		}
		if c.Uptime() != start+200 {
			t.Fatalf("clock stands at %v", c.Uptime()-start)
		}
	})
}

func TestStoppedTimerDoesNotFire(t *testing.T) {
	c := New(Options{})
	tm := c.AfterFunc(c.Uptime()+time.Second, func() { t.Error("fired") })
	if !tm.Stop() || tm.Stop() {
		t.Error("Stop must report true once")
	}
	c.Advance(time.Minute)
}

func TestTimerMayRearm(t *testing.T) {
	c := New(Options{})
	n := 0
	var tick func()
	tick = func() {
		if n++; n < 10 {
			c.AfterFunc(c.Uptime()+time.Second, tick)
		}
	}
	c.AfterFunc(c.Uptime()+time.Second, tick)
	c.Advance(5 * time.Second)
	if n != 5 {
		t.Errorf("%d ticks in 5 s", n)
	}
}
