package maps

import (
	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/vm"
)

func rings(t ebpf.MapType) bool { return t == ebpf.RingBuf }

func ringAt(c *vm.CPU, addr uint64) (*RingBuf, error) {
	m, err := mapAt(c, "R1", addr, rings)
	if err != nil {
		return nil, err
	}
	return m.(*RingBuf), nil
}

func registerRingBuf(r *vm.Registry) {
	r.Add("bpf_ringbuf_output", func(c *vm.CPU, a *[5]uint64) (uint64, error) {
		ring, err := ringAt(c, a[0])
		if err != nil {
			return 0, err
		}
		data, err := c.Read("R2", a[1], uint32(a[2]))
		if err != nil {
			return 0, err
		}
		if a[3]&^(ringNoWakeup|ringForceWakeup) != 0 {
			return errno.EINVAL.Neg(), nil
		}
		if a[2] > ringRecordMax || !ring.output(data, a[3]) {
			return errno.EAGAIN.Neg(), nil
		}
		return 0, nil
	})
	r.Add("bpf_ringbuf_reserve", func(c *vm.CPU, a *[5]uint64) (uint64, error) {
		ring, err := ringAt(c, a[0])
		if err != nil {
			return 0, err
		}
		if a[2] != 0 {
			return 0, nil
		}
		o, err := ring.Reserve(a[1])
		if err != nil || o == nil {
			return 0, err
		}
		c.Acquire(o)
		return o.Addr(), nil
	})
	finish := func(discard bool) vm.Func {
		return func(c *vm.CPU, a *[5]uint64) (uint64, error) {
			s, o, err := vm.OwnerAt[*Sample](c, "R1", a[0])
			if err != nil {
				return 0, err
			}
			if err := c.Disown("R1", o); err != nil {
				return 0, err
			}
			s.Commit(a[1], discard)
			c.M.Mem.Free(o, c.Site()) // only now: another CPU may take the memory
			return 0, nil
		}
	}
	r.Add("bpf_ringbuf_submit", finish(false))
	r.Add("bpf_ringbuf_discard", finish(true))
	r.Add("bpf_ringbuf_query", func(c *vm.CPU, a *[5]uint64) (uint64, error) {
		ring, err := ringAt(c, a[0])
		if err != nil {
			return 0, err
		}
		return ring.query(a[1]), nil
	})
}
