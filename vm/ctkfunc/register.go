package ctkfunc

import (
	"errors"

	"github.com/bpfct/bpfct/conntrack"
	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/kernel"
	"github.com/bpfct/bpfct/vm"
)

// system is what the kfuncs of one machine share.
type system struct {
	conntrack *kernel.Conntrack
	views     *views
}

// Register adds the eleven kfuncs to r, as prof has them. It fails when the
// profile's BTF does not describe struct nf_conn.
func Register(r *vm.Registry, prof *kernel.Profile) error {
	l, err := newLayout(prof)
	if err != nil {
		return err
	}
	s := &system{
		conntrack: &prof.Conntrack,
		views:     &views{layout: l, held: make(map[conntrack.Conn]*view)},
	}
	for name, f := range map[string]vm.Func{
		"bpf_skb_ct_alloc":      from(skb, s.alloc),
		"bpf_xdp_ct_alloc":      from(xdp, s.alloc),
		"bpf_skb_ct_lookup":     from(skb, s.lookup),
		"bpf_xdp_ct_lookup":     from(xdp, s.lookup),
		"bpf_ct_insert_entry":   s.insert,
		"bpf_ct_release":        s.release,
		"bpf_ct_set_timeout":    s.setTimeout,
		"bpf_ct_change_timeout": s.changeTimeout,
		"bpf_ct_set_status":     s.setStatus,
		"bpf_ct_change_status":  s.changeStatus,
		"bpf_ct_set_nat_info":   s.setNATInfo,
	} {
		r.Add(name, guarded(f))
	}
	return nil
}

// from binds the hook that f is called from.
func from(h hook, f func(hook, *vm.CPU, *[5]uint64) (uint64, error)) vm.Func {
	return func(c *vm.CPU, args *[5]uint64) (uint64, error) { return f(h, c, args) }
}

// guarded is what all eleven have in common. None may be called under a spin lock.
// And the views of all connections that the program holds follow what f did: a call
// for one may count down, end or change another, and two pointers may be of one
// connection.
func guarded(f vm.Func) vm.Func {
	return func(c *vm.CPU, args *[5]uint64) (uint64, error) {
		if l := c.Locks(); len(l) > 0 {
			fault := c.Fault(vm.LockViolation, "", "function calls are not allowed while holding a lock, taken at %v", l[0].Site)
			fault.Object = l[0].Object
			return 0, fault
		}
		r0, err := f(c, args)
		if err != nil {
			return r0, err
		}
		for _, o := range c.References() {
			if v, ok := o.Owner.(*view); ok {
				v.refresh()
			}
		}
		return r0, nil
	}
}

// errnoOf is the errno in err; an error without one is the machine's own, which
// a program sees as lack of memory.
func errnoOf(err error) errno.Errno {
	var e errno.Errno
	if errors.As(err, &e) {
		return e
	}
	return errno.ENOMEM
}

// result turns an error into what a kfunc returns: 0, or an errno negated as an
// int in r0.
func result(err error) uint64 {
	if err == nil {
		return 0
	}
	return uint64(uint32(errnoOf(err).Neg()))
}
