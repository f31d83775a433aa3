package maps

import (
	"math"
	"sync"
	"time"

	"github.com/bpfct/bpfct/clock"
	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/record"
	"github.com/bpfct/bpfct/vm"
)

// Clocks of bpf_timer_init.
const (
	clockRealtime  = 0
	clockMonotonic = 1
	clockBoottime  = 7
	maxClocks      = 16
)

// Flags of bpf_timer_start.
const (
	timerAbs    = 1
	timerCPUPin = 2
)

// timers is the bpf_timers and bpf_wqs of a map's values. The bytes of a struct
// bpf_timer stay 0: programs may not read them.
type timers struct {
	b *base

	mu sync.Mutex
	at map[uint32]*asyncCall // by guest address of the field; guarded by mu
}

// asyncCall is what bpf_timer_init or bpf_wq_init made. timers.mu guards it.
type asyncCall struct {
	kind     record.Kind
	clock    uint64
	value    *vm.Object // what the field lies in
	off      uint32     // of the value in it
	callback uint64     // 0 until set
	cpu      int        // where it was started, and where the callback runs
	armed    *clock.Timer
	running  int // callbacks that run now
	dead     bool
}

// init is bpf_timer_init and bpf_wq_init for the field at off of o.
func (t *timers) init(o *vm.Object, off uint32, kind record.Kind, clockID uint64) error {
	f := t.b.rec.Find(kind)
	if f == nil || off < f.Offset {
		return errno.EINVAL
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	addr := o.Base + off
	if t.at[addr] != nil {
		return errno.EBUSY
	}
	if t.b.gone.Load() {
		return errno.EPERM
	}
	if t.at == nil {
		t.at = make(map[uint32]*asyncCall)
	}
	t.at[addr] = &asyncCall{kind: kind, clock: clockID, value: o, off: off - f.Offset}
	return nil
}

func (t *timers) setCallback(addr uint32, callback uint64) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	a := t.at[addr]
	if a == nil {
		return errno.EINVAL
	}
	if t.b.gone.Load() {
		return errno.EPERM
	}
	a.callback = callback
	return nil
}

// start arms the timer; a workqueue item is due at once. The callback runs on the
// CPU that started it.
func (t *timers) start(cpu int, addr uint32, nsecs, flags uint64) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	a := t.at[addr]
	if a == nil || a.callback == 0 {
		return errno.EINVAL
	}
	if a.armed != nil {
		if a.kind == record.Workqueue {
			return nil // queued already
		}
		a.armed.Stop()
	}
	ck := t.b.m.Clock
	now := ck.Uptime()
	at := time.Duration(nsecs)
	switch {
	case flags&timerAbs == 0 && at > math.MaxInt64-now:
		at = math.MaxInt64
	case flags&timerAbs == 0:
		at = now + max(at, 0)
	case a.clock == clockRealtime:
		at -= time.Duration(ck.Wall().UnixNano()) - now
	}
	var tm *clock.Timer
	tm = ck.AfterFunc(at, func() { t.fire(a, &tm) })
	a.armed, a.cpu = tm, cpu
	return nil
}

// fire runs the callback with the map, the key and the value.
func (t *timers) fire(a *asyncCall, tm **clock.Timer) {
	t.mu.Lock()
	if a.dead || a.armed != *tm || a.callback == 0 {
		t.mu.Unlock()
		return
	}
	a.armed = nil
	a.running++
	cpu, callback := a.cpu, a.callback
	t.mu.Unlock()

	key, free, err := t.b.keyOf(a.value, a.off)
	if err == nil {
		_, err = t.b.m.RunCallback(cpu, callback, t.b.handle.Addr(), key, a.value.Addr()+uint64(a.off))
		free()
	}
	t.mu.Lock()
	a.running--
	t.mu.Unlock()
	if err != nil && t.b.opts.TimerError != nil {
		t.b.opts.TimerError(t.b.info, err)
	}
}

// keyOf is the guest address of the key of the value at off of o.
func (b *base) keyOf(o *vm.Object, off uint32) (addr uint64, free func(), err error) {
	if k, ok := b.self.(interface {
		keyAddr(o *vm.Object, off uint32) (uint64, bool)
	}); ok {
		if addr, ok := k.keyAddr(o, off); ok {
			return addr, func() {}, nil
		}
	}
	key, err := b.m.Mem.Alloc(vm.ObjectSpec{Kind: vm.KindScratch, Name: "key of " + b.info.Name, Size: 4, ReadOnly: true})
	if err != nil {
		return 0, nil, err
	}
	store(key.Bytes(), uint32Bytes(off/max(o.Stride, 1)))
	return key.Addr(), func() { b.m.Mem.Free(key, vm.Site{}) }, nil
}

// cancel is bpf_timer_cancel: 1 when the timer was armed. It does not wait for a
// callback that runs on another CPU.
func (t *timers) cancel(c *vm.CPU, addr uint32) (uint64, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	a := t.at[addr]
	if a == nil {
		return 0, errno.EINVAL
	}
	if a.running > 0 && c.Ctx == nil {
		return 0, errno.EDEADLK
	}
	a.callback = 0
	if a.armed != nil && a.armed.Stop() {
		a.armed = nil
		return 1, nil
	}
	a.armed = nil
	return 0, nil
}

// free ends the timer or workqueue item at addr, where there is one.
func (t *timers) free(addr uint32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if a := t.at[addr]; a != nil {
		a.end()
		delete(t.at, addr)
	}
}

func (a *asyncCall) end() {
	a.dead = true
	if a.armed != nil {
		a.armed.Stop()
		a.armed = nil
	}
}

func (t *timers) stopAll() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for addr, a := range t.at {
		a.end()
		delete(t.at, addr)
	}
}
