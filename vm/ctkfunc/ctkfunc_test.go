package ctkfunc

import (
	"errors"
	"sync"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct/conntrack"
	"github.com/bpfct/bpfct/kernel"
	"github.com/bpfct/bpfct/vm"
)

// TestFaults calls with what a verifier would not let pass.
func TestFaults(t *testing.T) {
	alloc := func(p *proc) uint64 {
		p.arguments(1)
		ct, err := p.find("bpf_skb_ct_alloc")
		if err != nil || ct == 0 {
			p.t.Fatal("no connection", err)
		}
		return ct
	}
	made := func(p *proc) uint64 {
		ct, err := p.made(1)
		if err != nil {
			p.t.Fatal(err)
		}
		return ct
	}
	for _, c := range []struct {
		name string
		typ  ebpf.ProgramType
		kind vm.FaultKind
		reg  string
		call func(p *proc) (uint64, error)
	}{
		{"no context", ebpf.SchedCLS, vm.BadArgument, "R1", func(p *proc) (uint64, error) {
			return p.call("bpf_skb_ct_alloc", 0, p.base, 12, p.base+optsAt, 16)
		}},
		{"another context", ebpf.SchedCLS, vm.BadArgument, "R1", func(p *proc) (uint64, error) {
			return p.call("bpf_skb_ct_lookup", p.base, p.base, 12, p.base+optsAt, 16)
		}},
		{"skb from xdp", ebpf.XDP, vm.BadArgument, "R1", func(p *proc) (uint64, error) { return p.find("bpf_skb_ct_lookup") }},
		{"xdp from skb", ebpf.SchedCLS, vm.BadArgument, "R1", func(p *proc) (uint64, error) { return p.find("bpf_xdp_ct_alloc") }},
		{"NULL tuple with a size", ebpf.SchedCLS, vm.BadArgument, "R2", func(p *proc) (uint64, error) {
			return p.call("bpf_skb_ct_lookup", p.ctx, 0, 12, p.base+optsAt, 16)
		}},
		{"NULL options with a size", ebpf.SchedCLS, vm.BadArgument, "R4", func(p *proc) (uint64, error) {
			return p.call("bpf_skb_ct_lookup", p.ctx, p.base, 12, 0, 16)
		}},
		{"tuple out of bounds", ebpf.SchedCLS, vm.OutOfBounds, "R2", func(p *proc) (uint64, error) {
			return p.call("bpf_skb_ct_lookup", p.ctx, p.base+250, 12, p.base+optsAt, 16)
		}},
		{"options out of bounds", ebpf.SchedCLS, vm.OutOfBounds, "R4", func(p *proc) (uint64, error) {
			return p.call("bpf_skb_ct_lookup", p.ctx, p.base, 12, p.base+245, 16)
		}},
		{"error behind short options", ebpf.SchedCLS, vm.OutOfBounds, "R4", func(p *proc) (uint64, error) {
			return p.call("bpf_skb_ct_lookup", p.ctx, p.base, 12, p.base+252, 4)
		}},
		{"error behind no options", ebpf.SchedCLS, vm.OutOfBounds, "R4", func(p *proc) (uint64, error) {
			return p.call("bpf_skb_ct_alloc", p.ctx, p.base, 12, p.base+252, 0)
		}},
		{"insert of NULL", ebpf.SchedCLS, vm.NullDereference, "R1", func(p *proc) (uint64, error) {
			return p.call("bpf_ct_insert_entry", 0)
		}},
		{"insert of what is inserted", ebpf.SchedCLS, vm.BadArgument, "R1", func(p *proc) (uint64, error) {
			return p.call("bpf_ct_insert_entry", made(p))
		}},
		{"insert twice", ebpf.SchedCLS, vm.UseAfterRelease, "R1", func(p *proc) (uint64, error) {
			ct := alloc(p)
			if _, err := p.call("bpf_ct_insert_entry", ct); err != nil {
				p.t.Fatal(err)
			}
			return p.call("bpf_ct_insert_entry", ct)
		}},
		{"release of what is not inserted", ebpf.SchedCLS, vm.BadArgument, "R1", func(p *proc) (uint64, error) {
			return p.call("bpf_ct_release", alloc(p))
		}},
		{"release of the middle", ebpf.SchedCLS, vm.BadArgument, "R1", func(p *proc) (uint64, error) {
			return p.call("bpf_ct_release", made(p)+8)
		}},
		{"release of other memory", ebpf.SchedCLS, vm.BadArgument, "R1", func(p *proc) (uint64, error) {
			return p.call("bpf_ct_release", p.base)
		}},
		{"release twice", ebpf.SchedCLS, vm.UseAfterRelease, "R1", func(p *proc) (uint64, error) {
			ct := made(p)
			if _, err := p.call("bpf_ct_release", ct); err != nil {
				p.t.Fatal(err)
			}
			return p.call("bpf_ct_release", ct)
		}},
		{"change_timeout before insert", ebpf.SchedCLS, vm.BadArgument, "R1", func(p *proc) (uint64, error) {
			return p.call("bpf_ct_change_timeout", alloc(p), 1)
		}},
		{"change_status before insert", ebpf.SchedCLS, vm.BadArgument, "R1", func(p *proc) (uint64, error) {
			return p.call("bpf_ct_change_status", alloc(p), 8)
		}},
		{"set_timeout after insert", ebpf.SchedCLS, vm.BadArgument, "R1", func(p *proc) (uint64, error) {
			return p.call("bpf_ct_set_timeout", made(p), 1)
		}},
		{"set_status after insert", ebpf.SchedCLS, vm.BadArgument, "R1", func(p *proc) (uint64, error) {
			return p.call("bpf_ct_set_status", made(p), 2)
		}},
		{"set_nat_info after insert", ebpf.SchedCLS, vm.BadArgument, "R1", func(p *proc) (uint64, error) {
			return p.call("bpf_ct_set_nat_info", made(p), p.base+addrAt, 0, 0)
		}},
		{"no such manip", ebpf.SchedCLS, vm.BadArgument, "R4", func(p *proc) (uint64, error) {
			return p.call("bpf_ct_set_nat_info", alloc(p), p.base+addrAt, 0, 2)
		}},
		{"a manip that is one in its low byte", ebpf.SchedCLS, vm.BadArgument, "R4", func(p *proc) (uint64, error) {
			return p.call("bpf_ct_set_nat_info", alloc(p), p.base+addrAt, 0, 256)
		}},
		{"NULL address", ebpf.SchedCLS, vm.NullDereference, "R2", func(p *proc) (uint64, error) {
			return p.call("bpf_ct_set_nat_info", alloc(p), 0, 0, 0)
		}},
		{"under a lock", ebpf.SchedCLS, vm.LockViolation, "", func(p *proc) (uint64, error) {
			ct := made(p)
			o, _, err := p.ObjectAt("R1", p.base)
			if err != nil {
				p.t.Fatal(err)
			}
			p.PushLock(vm.HeldLock{Addr: p.base, Object: o})
			return p.call("bpf_ct_change_timeout", ct, 1)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHarness(t, "6.18", 1)
			var got error
			err := h.run(c.typ, func(p *proc) error {
				p.arguments(1)
				_, got = c.call(p)
				return got
			})
			if err == nil || !errors.Is(err, got) {
				t.Fatalf("the run ended with %v, the call with %v", err, got)
			}
			var f *vm.Fault
			if !errors.As(err, &f) || f.Kind != c.kind || f.Register != c.reg {
				t.Fatalf("%v, want %v of %q", err, c.kind, c.reg)
			}
			// What the program held when it was stopped is given back.
			for conn := range h.ns.Conntrack.All() {
				if n := conn.Use(); n != 2 { // the walk's and the table's
					t.Errorf("%d references to %v are left", n, conn.Tuple(0))
				}
			}
			h.ns.Conntrack.Flush()
			if n := h.ns.Conntrack.Count(); n != 0 {
				t.Errorf("%d connections are left of a flushed table", n)
			}
		})
	}
}

// TestOneView has two pointers to one connection, and somebody else change it.
func TestOneView(t *testing.T) {
	h := newHarness(t, "6.18", 1)
	l := h.layout()
	err := h.run(ebpf.SchedCLS, func(p *proc) error {
		a, err := p.made(1)
		if err != nil {
			return err
		}
		b, err := p.find("bpf_skb_ct_lookup")
		if err != nil {
			return err
		}
		if a != b {
			t.Errorf("two pointers: %#x and %#x", a, b)
		}
		if n := p.member(a, l.use); n != 3 {
			t.Errorf("%d references", n)
		}
		p.setMark(a, l.mark, 7)
		conn, _, err := p.conn(h)
		if err != nil {
			return err
		}
		if conn.Mark() != 7 {
			t.Errorf("the mark did not reach the connection: %d", conn.Mark())
		}
		conn.SetMark(9)
		if _, err := p.call("bpf_ct_change_timeout", a, 60000); err != nil {
			return err
		}
		if m := p.member(b, l.mark); m != 9 {
			t.Errorf("mark %d after somebody else set 9", m)
		}
		if n := p.member(b, l.use); n != 4 {
			t.Errorf("%d references, one of them the test's", n)
		}
		if err := conn.Release(); err != nil {
			return err
		}
		for range 2 {
			if _, err := p.call("bpf_ct_release", a); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatalf("%+v", err)
	}
}

// conn is the connection that the arguments name.
func (p *proc) conn(h *harness) (conntrack.Conn, uint8, error) {
	t, fault := parseTuple(p.mem[tupleAt:tupleAt+12], p.mem[optsAt+optsProto])
	if fault != 0 {
		return conntrack.Conn{}, 0, fault
	}
	c, d, err := h.ns.Conntrack.Lookup(t, conntrack.DefaultZone)
	return c, uint8(d), err
}

// TestOutOfMemory allocates until guest memory is full: the calls then fail with
// ENOMEM and leave nothing.
func TestOutOfMemory(t *testing.T) {
	h := newHarness(t, "6.18", 1)
	m := vm.New(vm.Config{Profile: h.m.Profile, Clock: h.m.Clock, Registry: h.m.Registry, MemoryLimit: 16 << 10})
	h.m = m
	err := h.run(ebpf.SchedCLS, func(p *proc) error {
		for port := uint16(1); ; port++ {
			p.arguments(port)
			ct, err := p.find("bpf_skb_ct_alloc")
			if err != nil {
				return err
			}
			if ct == 0 {
				if got := int8(p.mem[optsAt+optsError]); got != -12 {
					t.Errorf("error %d", got)
				}
				if n := h.ns.Conntrack.Count(); n != int(port)-1 {
					t.Errorf("%d connections after %d calls", n, port-1)
				}
				return errors.New("full")
			}
		}
	})
	if err == nil || err.Error() != "full" {
		t.Fatal(err)
	}
	if n := h.ns.Conntrack.Count(); n != 0 {
		t.Errorf("%d connections are left", n)
	}
}

// TestParallel has several CPUs at one connection.
func TestParallel(t *testing.T) {
	const cpus, rounds = 4, 300
	h := newHarness(t, "6.18", cpus)
	l := h.layout()
	if err := h.run(ebpf.SchedCLS, func(p *proc) error {
		ct, err := p.made(1)
		if err != nil {
			return err
		}
		_, err = p.call("bpf_ct_release", ct)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	prog := h.compile(ebpf.SchedCLS, func(p *proc) error {
		p.arguments(1)
		ct, err := p.find("bpf_skb_ct_lookup")
		if err != nil || ct == 0 {
			return errors.Join(err, errors.New("not found"))
		}
		if _, err := p.call("bpf_ct_change_status", ct, 0xe); err != nil {
			return err
		}
		p.setMark(ct, l.mark, uint32(p.ID)+1)
		if _, err := p.call("bpf_ct_change_timeout", ct, 60000); err != nil {
			return err
		}
		if s := p.member(ct, l.status); s&0xe != 0xe {
			return errors.New("the status went away")
		}
		_, err = p.call("bpf_ct_release", ct)
		return err
	})
	var wg sync.WaitGroup
	for range cpus {
		wg.Go(func() {
			for range rounds {
				if err := h.start(prog); err != nil {
					t.Errorf("%+v", err)
					return
				}
			}
		})
	}
	wg.Wait()
	for s := range h.ns.Conntrack.Snapshots() {
		if s.Use != 1 || s.Mark == 0 || s.Mark > cpus {
			t.Errorf("use %d, mark %d", s.Use, s.Mark)
		}
	}
}

// TestLayout wants struct nf_conn of the measured kernel to be where programs
// compiled for it look.
func TestLayout(t *testing.T) {
	p, err := kernel.Lookup("6.18")
	if err != nil {
		t.Fatal(err)
	}
	l, err := newLayout(p)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		got  field
		want field
	}{
		{"use", l.use, field{0, 4}}, {"timeout", l.timeout, field{8, 4}}, {"zone.id", l.zoneID, field{12, 2}},
		{"status", l.status, field{128, 8}}, {"mark", l.mark, field{168, 4}},
		{"source", l.tuples[0].src, field{32, 16}}, {"reply's protocol", l.tuples[1].protonum, field{126, 1}},
	} {
		if c.got != c.want {
			t.Errorf("%s at %v, want %v", c.name, c.got, c.want)
		}
	}
}
