package maps

import (
	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/record"
	"github.com/bpfct/bpfct/vm"
)

// asyncOwner is the part of a map that has timers.
type asyncOwner interface{ async() *timers }

func (b *base) async() *timers { return &b.timers }

// timerAt is the map of the bpf_timer or bpf_wq that R1 points to.
func timerAt(c *vm.CPU, addr uint64, kind record.Kind) (*timers, *vm.Object, uint32, error) {
	o, off, err := c.ObjectAt("R1", addr)
	if err != nil {
		return nil, nil, 0, err
	}
	m, ok := o.Owner.(Map)
	if !ok || o.Kind != vm.KindMapValue {
		f := c.Fault(vm.BadArgument, "R1", "points to %v, not to a %v in a map value", o, kind)
		f.Object = o
		return nil, nil, 0, f
	}
	in := off
	if o.Stride != 0 {
		in %= o.Stride
	}
	if f := m.Record().At(in); f == nil || f.Kind != kind {
		f := c.Fault(vm.BadArgument, "R1", "there is no %v at offset %d of the value", kind, in)
		f.Object = o
		return nil, nil, 0, f
	}
	return m.(asyncOwner).async(), o, off, nil
}

func registerTimers(r *vm.Registry) {
	r.Add("bpf_timer_init", func(c *vm.CPU, a *[5]uint64) (uint64, error) {
		if clk := a[2]; clk >= maxClocks || clk != clockMonotonic && clk != clockRealtime && clk != clockBoottime {
			return errno.EINVAL.Neg(), nil
		}
		return asyncInit(c, a, record.Timer, a[2])
	})
	r.Add("bpf_timer_set_callback", func(c *vm.CPU, a *[5]uint64) (uint64, error) {
		return asyncSetCallback(c, a, record.Timer)
	})
	r.Add("bpf_timer_start", func(c *vm.CPU, a *[5]uint64) (uint64, error) {
		t, o, off, err := timerAt(c, a[0], record.Timer)
		if err != nil {
			return 0, err
		}
		if a[2]&^(timerAbs|timerCPUPin) != 0 {
			return errno.EINVAL.Neg(), nil
		}
		return result(0, t.start(c.ID, o.Base+off, a[1], a[2]))
	})
	r.Add("bpf_timer_cancel", func(c *vm.CPU, a *[5]uint64) (uint64, error) {
		t, o, off, err := timerAt(c, a[0], record.Timer)
		if err != nil {
			return 0, err
		}
		return result(t.cancel(c, o.Base+off))
	})
	r.Add("bpf_wq_init", func(c *vm.CPU, a *[5]uint64) (uint64, error) {
		if uint32(a[2]) != 0 {
			return errno.EINVAL.Neg(), nil
		}
		return asyncInit(c, a, record.Workqueue, clockMonotonic)
	})
	r.Add("bpf_wq_set_callback_impl", func(c *vm.CPU, a *[5]uint64) (uint64, error) {
		if uint32(a[2]) != 0 {
			return errno.EINVAL.Neg(), nil
		}
		return asyncSetCallback(c, a, record.Workqueue)
	})
	r.Add("bpf_wq_start", func(c *vm.CPU, a *[5]uint64) (uint64, error) {
		t, o, off, err := timerAt(c, a[0], record.Workqueue)
		if err != nil {
			return 0, err
		}
		if uint32(a[1]) != 0 {
			return errno.EINVAL.Neg(), nil
		}
		return result(0, t.start(c.ID, o.Base+off, 0, 0))
	})
}

// asyncInit checks that R2 is the map that the field lies in.
func asyncInit(c *vm.CPU, a *[5]uint64, kind record.Kind, clockID uint64) (uint64, error) {
	t, o, off, err := timerAt(c, a[0], kind)
	if err != nil {
		return 0, err
	}
	if a[1] != t.b.handle.Addr() {
		return 0, c.Fault(vm.BadArgument, "R2", "is not the map of the %v in R1", kind)
	}
	return result(0, t.init(o, off, kind, clockID))
}

func asyncSetCallback(c *vm.CPU, a *[5]uint64, kind record.Kind) (uint64, error) {
	t, o, off, err := timerAt(c, a[0], kind)
	if err != nil {
		return 0, err
	}
	return result(0, t.setCallback(o.Base+off, a[1]))
}
