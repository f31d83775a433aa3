package ctkfunc

import (
	"github.com/bpfct/bpfct/conntrack"
	"github.com/bpfct/bpfct/vm"
)

// arg returns the connection that the program passed in r1. init says which of
// the two types the kfunc takes; the other one faults, as the verifier would
// refuse it.
func (s *system) arg(c *vm.CPU, addr uint64, init bool) (*view, error) {
	v, obj, err := vm.OwnerAt[*view](c, "R1", addr)
	if err != nil {
		return nil, err
	}
	if v.init != init {
		want := "struct nf_conn"
		if init {
			want = "struct nf_conn___init"
		}
		f := c.Fault(vm.BadArgument, "R1", "the kfunc takes a %s", want)
		f.Object = obj
		return nil, f
	}
	return v, nil
}

// insert is bpf_ct_insert_entry: the program's struct nf_conn___init becomes a
// struct nf_conn in the table, or is gone and the result NULL.
func (s *system) insert(c *vm.CPU, args *[5]uint64) (uint64, error) {
	init, err := s.arg(c, args[0], true)
	if err != nil {
		return 0, err
	}
	if err := c.Release("R1", init.obj); err != nil {
		return 0, err
	}
	init.forget()
	conn := init.conn
	if conn.Table().Insert(conn) != nil {
		return 0, nil // it is gone, and the reference with it
	}
	v, err := s.views.hold(c, conn, false)
	if err != nil {
		_ = conn.Release()
		return 0, err
	}
	return v.obj.Addr(), nil
}

// release is bpf_ct_release.
func (s *system) release(c *vm.CPU, args *[5]uint64) (uint64, error) {
	v, err := s.arg(c, args[0], false)
	if err != nil {
		return 0, err
	}
	if err := c.Disown("R1", v.obj); err != nil {
		return 0, err
	}
	v.drop(c.Site())
	return 0, nil
}

// change runs f on the connection in r1.
func (s *system) change(c *vm.CPU, args *[5]uint64, init bool, f func(conntrack.Conn) error) (uint64, error) {
	v, err := s.arg(c, args[0], init)
	if err != nil {
		return 0, err
	}
	return result(f(v.conn)), nil
}

// setTimeout is bpf_ct_set_timeout, in milliseconds.
func (s *system) setTimeout(c *vm.CPU, args *[5]uint64) (uint64, error) {
	return s.change(c, args, true, func(ct conntrack.Conn) error { return ct.SetTimeout(uint32(args[1])) })
}

// changeTimeout is bpf_ct_change_timeout, in milliseconds from now.
func (s *system) changeTimeout(c *vm.CPU, args *[5]uint64) (uint64, error) {
	return s.change(c, args, false, func(ct conntrack.Conn) error { return ct.ChangeTimeout(uint32(args[1])) })
}

// setStatus is bpf_ct_set_status.
func (s *system) setStatus(c *vm.CPU, args *[5]uint64) (uint64, error) {
	return s.change(c, args, true, func(ct conntrack.Conn) error {
		return ct.ChangeStatus(conntrack.Status(args[1]))
	})
}

// changeStatus is bpf_ct_change_status.
func (s *system) changeStatus(c *vm.CPU, args *[5]uint64) (uint64, error) {
	return s.change(c, args, false, func(ct conntrack.Conn) error {
		return ct.ChangeStatus(conntrack.Status(args[1]))
	})
}

// setNATInfo is bpf_ct_set_nat_info. The address is a union nf_inet_addr of 16
// bytes in network order, the port an int in host order.
func (s *system) setNATInfo(c *vm.CPU, args *[5]uint64) (uint64, error) {
	b, err := c.Read("R2", args[1], 16)
	if err != nil {
		return 0, err
	}
	if manip := uint32(args[3]); manip > uint32(conntrack.ManipDst) {
		return 0, c.Fault(vm.BadArgument, "R4", "%d is no enum nf_nat_manip_type: the kernel would corrupt its memory", manip)
	}
	return s.change(c, args, true, func(ct conntrack.Conn) error {
		return ct.SetNATInfo(conntrack.Addr(b), int32(args[2]), conntrack.Manip(args[3]))
	})
}
