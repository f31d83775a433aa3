package maps

import (
	"slices"
	"testing"
	"time"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/vm"
)

func timerHost(t *testing.T, name string) *host {
	t.Helper()
	return loadHost(t, loadSpec(t, "testdata/fields.o"), "on_"+name, 2, nil)
}

var armed = []fieldOp{{Op: fieldInit, Key: 3, Flags: clockMonotonic}, {Op: fieldCallback, Key: 3}, {Op: fieldStart, Key: 3, Arg: 1000}}

// arm creates an element with the given tail, which tells the callback what to
// do, and starts its timer to run in a microsecond.
func (h *host) arm(t *testing.T, tail uint64) {
	t.Helper()
	ops := append([]fieldOp{{Op: fieldUpdate, Key: 3, Arg: tail << 7}}, armed...)
	if got := h.fields(t, ops...); !slices.Equal(got, make([]int64, 4)) {
		t.Fatalf("init, callback, start: %v", got)
	}
}

func (h *host) wantFired(t *testing.T, n uint64) {
	t.Helper()
	for _, err := range h.errs {
		t.Errorf("callback: %+v", err)
	}
	if got := h.variable(t, "fired"); got != n {
		t.Errorf("callback ran %d times, want %d", got, n)
	}
}

var timerMaps = []string{"timer_array", "timer_hash", "timer_alloc", "timer_lru"}

func TestTimerRunsItsCallbackOnce(t *testing.T) {
	for _, name := range timerMaps {
		t.Run(name, func(t *testing.T) {
			h := timerHost(t, name)
			h.arm(t, 0)
			h.m.Clock.Advance(999)
			h.wantFired(t, 0)
			h.m.Clock.Advance(1)
			h.wantFired(t, 1)
			h.m.Clock.Advance(time.Hour)
			h.wantFired(t, 1)
			if key := h.variable(t, "fired_key"); key != 3 {
				t.Errorf("the callback got key %d", key)
			}
		})
	}
}

func TestTimerCallbacks(t *testing.T) {
	for _, name := range timerMaps {
		t.Run(name+"/cancel in callback", func(t *testing.T) {
			h := timerHost(t, name)
			h.arm(t, 1)
			h.m.Clock.Advance(time.Second)
			h.wantFired(t, 1)
			if got := h.variable(t, "cancelled"); got != errno.EDEADLK.Neg() {
				t.Errorf("cancel of the timer that runs: %d, want EDEADLK", int64(got))
			}
		})
		t.Run(name+"/start in callback", func(t *testing.T) {
			h := timerHost(t, name)
			h.arm(t, 2)
			h.m.Clock.Advance(10 * time.Microsecond)
			h.wantFired(t, 10)
		})
		t.Run(name+"/delete in callback", func(t *testing.T) {
			h := timerHost(t, name)
			h.arm(t, 3)
			h.m.Clock.Advance(time.Second)
			h.wantFired(t, 1)
			_, err := h.maps[name].Lookup(uint32Bytes(3), 0)
			if gone := err != nil; gone != (name != "timer_array") {
				t.Errorf("after delete: %v", err)
			}
		})
	}
}

func TestTimerEndsWithItsElement(t *testing.T) {
	for _, name := range timerMaps {
		for _, end := range []struct {
			how string
			do  func(mp Map) error
		}{
			{"delete", func(mp Map) error { return mp.Delete(uint32Bytes(3)) }},
			{"update", func(mp Map) error { return mp.Update(uint32Bytes(3), make([]byte, 32), 0) }},
			{"release", func(mp Map) error { mp.ReleaseUser(); return nil }},
			{"close", func(mp Map) error { mp.Close(); return nil }},
		} {
			t.Run(name+"/"+end.how, func(t *testing.T) {
				h := timerHost(t, name)
				h.arm(t, 0)
				want := uint64(0)
				if err := end.do(h.maps[name]); err != nil {
					want = 1 // an array's elements cannot be deleted
				}
				h.m.Clock.Advance(time.Second)
				h.wantFired(t, want)
			})
		}
	}
}

func TestTimersNeedTheirUser(t *testing.T) {
	h := timerHost(t, "timer_array")
	h.maps["timer_array"].ReleaseUser()
	if got := h.fields(t, armed...); got[0] != -int64(errno.EPERM) {
		t.Errorf("init without a user: %v, want EPERM", got)
	}
}

func TestTimerDelays(t *testing.T) {
	for _, c := range []struct {
		name        string
		clock       uint64
		flags, arg  uint64
		due         time.Duration // from the start
		wallClocked bool
	}{
		{"relative", clockMonotonic, 0, 5000, 5000, false},
		{"relative, boottime", clockBoottime, 0, 5000, 5000, false},
		{"relative, realtime", clockRealtime, 0, 5000, 5000, false},
		{"pinned", clockMonotonic, timerCPUPin, 5000, 5000, false},
		{"absolute", clockMonotonic, timerAbs, 5000, 5000, false},
		{"absolute, realtime", clockRealtime, timerAbs, 5000, 5000, true},
		{"at once", clockMonotonic, 0, 0, 0, false},
		{"absolute, past", clockMonotonic, timerAbs, 0, 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := timerHost(t, "timer_hash")
			ck := h.m.Clock
			arg := c.arg
			if c.flags&timerAbs != 0 && arg != 0 {
				arg += uint64(ck.Uptime())
				if c.wallClocked {
					arg = uint64(ck.Wall().UnixNano()) + c.arg
				}
			}
			got := h.fields(t, fieldOp{Op: fieldUpdate, Key: 3}, fieldOp{Op: fieldInit, Key: 3, Flags: c.clock},
				fieldOp{Op: fieldCallback, Key: 3}, fieldOp{Op: fieldStart, Key: 3, Flags: c.flags, Arg: arg})
			if !slices.Equal(got, make([]int64, 4)) {
				t.Fatal(got)
			}
			if c.due > 0 {
				ck.Advance(c.due - 1)
				h.wantFired(t, 0)
				ck.Advance(1)
			} else {
				ck.Advance(0)
			}
			h.wantFired(t, 1)
		})
	}
}

func TestTimerThatNeverComes(t *testing.T) {
	h := timerHost(t, "timer_hash")
	h.fields(t, fieldOp{Op: fieldUpdate, Key: 3}, armed[0], armed[1], fieldOp{Op: fieldStart, Key: 3, Arg: 1<<63 - 1})
	h.m.Clock.Advance(1000 * time.Hour)
	h.wantFired(t, 0)
	if got := h.fields(t, fieldOp{Op: fieldCancel, Key: 3}, fieldOp{Op: fieldCancel, Key: 3}); got[0] != 1 || got[1] != 0 {
		t.Errorf("cancel twice: %v, want 1 and 0", got)
	}
}

func TestWorkRunsAtTheNextAdvance(t *testing.T) {
	h := timerHost(t, "work_hash")
	if got := h.fields(t, fieldOp{Op: fieldUpdate, Key: 3}, fieldOp{Op: fieldInit, Key: 3}, fieldOp{Op: fieldCallback, Key: 3},
		fieldOp{Op: fieldStart, Key: 3}, fieldOp{Op: fieldStart, Key: 3}); !slices.Equal(got, make([]int64, 5)) {
		t.Fatal(got)
	}
	h.m.Clock.Advance(0)
	for _, err := range h.errs {
		t.Error(err)
	}
	if n := h.variable(t, "worked"); n != 1 {
		t.Errorf("ran %d times for two starts before it ran, want 1", n)
	}
}

// A callback runs on the CPU that started its timer.
func TestTimerRunsOnTheCPUThatStartedIt(t *testing.T) {
	h := timerHost(t, "timer_hash")
	mp := h.maps["timer_hash"]
	if err := mp.Update(uint32Bytes(3), make([]byte, mp.Info().ValueSize), 0); err != nil {
		t.Fatal(err)
	}
	timer := mp.(*hash).lookupOn(uint32Bytes(3), 0) + 8
	m := newMachineLike(h.m)
	b := mp.(*hash).base
	b.m = m
	ran := -1
	cb := callback(t, m, func(c *vm.CPU, _ [5]uint64) (uint64, error) { ran = c.ID; return 0, nil })
	for _, c := range []struct {
		helper string
		args   []uint64
	}{
		{"bpf_timer_init", []uint64{timer, mp.Handle().Addr(), clockMonotonic}},
		{"bpf_timer_set_callback", []uint64{timer, cb}},
		{"bpf_timer_start", []uint64{timer, 100, timerCPUPin}},
	} {
		if r, err := call(t, m, 1, c.helper, c.args...); err != nil || r != 0 {
			t.Fatalf("%s: %d, %v", c.helper, int64(r), err)
		}
	}
	m.Clock.Advance(time.Second)
	if ran != 1 {
		t.Errorf("ran on CPU %d, want 1", ran)
	}
}
