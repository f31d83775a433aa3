package ctkfunc

import (
	"encoding/binary"
	"fmt"

	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct/conntrack"
	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/kernel"
	"github.com/bpfct/bpfct/netns"
	"github.com/bpfct/bpfct/vm"
)

// currentNetns is BPF_F_CURRENT_NETNS.
const currentNetns = -1

// opts is struct bpf_ct_opts as a program passed it.
type opts struct {
	addr  uint64 // of the program's memory; 0 for NULL
	mem   []byte // it, opts__sz bytes; nil for NULL
	netns int32
	proto uint8
	// zoned says that the options have a zone; zone is it, or the default one.
	zoned bool
	zone  conntrack.Zone
}

// fail writes opts.error and makes the kfunc return NULL. Where the program says that
// its options are shorter than that the kernel writes there all the same; where the
// bytes are nobody's the run ends here.
func (o *opts) fail(c *vm.CPU, err errno.Errno) (uint64, error) {
	if o.addr == 0 {
		return 0, nil
	}
	b, fault := c.Write("R4", o.addr+optsError, 4)
	if fault != nil {
		return 0, fmt.Errorf("opts.error = %v, which the kernel writes whatever opts__sz is: %w", err, fault)
	}
	binary.LittleEndian.PutUint32(b, uint32(err.Neg()))
	return 0, nil
}

// parse checks size and reserved bytes and reads the members.
func (o *opts) parse(ct *kernel.Conntrack) errno.Errno {
	var size *kernel.OptsSize
	for i := range ct.OptsSizes {
		if ct.OptsSizes[i].Size == uint32(len(o.mem)) {
			size = &ct.OptsSizes[i]
		}
	}
	if size == nil {
		return errno.EINVAL
	}
	for _, b := range o.mem[size.ReservedFrom:size.ReservedTo] {
		if b != 0 {
			return errno.EINVAL
		}
	}
	o.netns = int32(binary.LittleEndian.Uint32(o.mem[optsNetnsID:]))
	o.proto = o.mem[optsProto]
	o.zone = conntrack.DefaultZone
	if o.zoned = ct.Zones && len(o.mem) > optsZoneDir; o.zoned {
		o.zone.ID = binary.LittleEndian.Uint16(o.mem[optsZoneID:])
		// A zone is taken as it stands only where it names a direction.
		if d := conntrack.ZoneDir(o.mem[optsZoneDir]); d != 0 {
			o.zone.Dir = d
		}
	}
	return 0
}

// settleZone tells the program the direction that was taken for its 0. It is done
// last of all before the table is asked, so that a call that fails earlier leaves
// the member as it was.
func (o *opts) settleZone() {
	if o.zoned {
		o.mem[optsZoneDir] = byte(o.zone.Dir)
	}
}

func trackable(proto uint8) bool {
	return proto == conntrack.ProtoTCP || proto == conntrack.ProtoUDP
}

// parseTuple reads struct bpf_sock_tuple: addresses and ports in network order.
func parseTuple(b []byte, proto uint8) (conntrack.Tuple, errno.Errno) {
	t := conntrack.Tuple{Proto: proto}
	switch len(b) {
	case tupleSizeIPv4:
		t.Family = conntrack.IPv4
		copy(t.Src[:4], b[0:])
		copy(t.Dst[:4], b[4:])
		b = b[8:]
	case tupleSizeIPv6:
		t.Family = conntrack.IPv6
		copy(t.Src[:], b[0:])
		copy(t.Dst[:], b[16:])
		b = b[32:]
	default:
		return t, errno.EAFNOSUPPORT
	}
	t.SrcPort = binary.BigEndian.Uint16(b)
	t.DstPort = binary.BigEndian.Uint16(b[2:])
	return t, 0
}

// request is what alloc and lookup have in common.
type request struct {
	opts
	tuple []byte
}

// read gets the arguments r2 to r5 from guest memory.
func (r *request) read(c *vm.CPU, args *[5]uint64) (errno.Errno, error) {
	var err error
	if r.addr = args[3]; r.addr != 0 {
		if r.mem, err = c.Write("R4", args[3], uint32(args[4])); err != nil {
			return 0, err
		}
	}
	for _, a := range []struct {
		reg        string
		addr, size uint64
	}{{"R2", args[1], args[2]}, {"R4", args[3], args[4]}} {
		if a.addr == 0 && uint32(a.size) != 0 {
			return 0, c.Fault(vm.BadArgument, a.reg, "NULL of %d bytes", uint32(a.size))
		}
	}
	if args[1] == 0 || args[3] == 0 {
		return errno.EINVAL, nil
	}
	r.tuple, err = c.Read("R2", args[1], uint32(args[2]))
	return 0, err
}

// hook is where a kfunc may be called from.
type hook struct {
	xdp bool
	ctx string // what it takes first
}

var (
	skb = hook{false, "struct __sk_buff"}
	xdp = hook{true, "struct xdp_md"}
)

// check faults unless addr is the context of a program of the right type.
func (h hook) check(c *vm.CPU, addr uint64) error {
	switch {
	case c.Ctx == nil:
		return c.Fault(vm.BadArgument, "R1", "there is no packet to take the namespace from")
	case addr != c.Ctx.Addr():
		return c.Fault(vm.BadArgument, "R1", "%#x is not the program's context", addr)
	case h.xdp != (c.Prog.Type == ebpf.XDP):
		return c.Fault(vm.BadArgument, "R1", "the kfunc takes a %s", h.ctx)
	}
	return nil
}

// namespace finds the namespace that opts name, nil for none.
func (r *request) namespace(c *vm.CPU) *netns.Netns {
	ns := c.Ctx.Netns()
	if r.netns >= 0 {
		ns = ns.ByID(r.netns)
	}
	return ns
}

// checkNetns and checkProto are the two checks whose order differs between alloc and
// lookup.
func (r *request) checkNetns() errno.Errno {
	if r.netns < currentNetns {
		return errno.EINVAL
	}
	return 0
}

func (r *request) checkProto() errno.Errno {
	if !trackable(r.proto) {
		return errno.EPROTO
	}
	return 0
}

// prepare is what alloc and lookup have in common: it checks the arguments, first and
// second in that order, and finds the table and the tuple. fault is what opts.error
// will be, 0 for none.
func (s *system) prepare(h hook, c *vm.CPU, args *[5]uint64, r *request, first, second func(*request) errno.Errno) (
	table *conntrack.Table, tuple conntrack.Tuple, fault errno.Errno, err error) {
	if err := h.check(c, args[0]); err != nil {
		return nil, tuple, 0, err
	}
	if fault, err = r.read(c, args); err != nil || fault != 0 {
		return nil, tuple, fault, err
	}
	if fault = r.parse(s.conntrack); fault != 0 {
		return nil, tuple, fault, nil
	}
	for _, check := range []func(*request) errno.Errno{first, second} {
		if fault = check(r); fault != 0 {
			return nil, tuple, fault, nil
		}
	}
	if tuple, fault = parseTuple(r.tuple, r.proto); fault != 0 {
		return nil, tuple, fault, nil
	}
	ns := r.namespace(c)
	if ns == nil {
		return nil, tuple, errno.ENONET, nil
	}
	r.settleZone()
	return ns.Conntrack, tuple, 0, nil
}

// give returns a connection to the program, or the error that there is none for.
func (s *system) give(c *vm.CPU, r *request, conn conntrack.Conn, init bool, err error) (uint64, error) {
	if err != nil {
		return r.fail(c, errnoOf(err))
	}
	v, err := s.views.hold(c, conn, init)
	if err != nil {
		_ = conn.Release()
		return r.fail(c, errnoOf(err))
	}
	return v.obj.Addr(), nil
}

// alloc is bpf_skb_ct_alloc and bpf_xdp_ct_alloc.
func (s *system) alloc(h hook, c *vm.CPU, args *[5]uint64) (uint64, error) {
	var r request
	table, tuple, fault, err := s.prepare(h, c, args, &r, (*request).checkNetns, (*request).checkProto)
	if err != nil {
		return 0, err
	}
	if fault != 0 {
		return r.fail(c, fault)
	}
	conn, err := table.Alloc(tuple, r.zone)
	return s.give(c, &r, conn, true, err)
}

// lookup is bpf_skb_ct_lookup and bpf_xdp_ct_lookup.
func (s *system) lookup(h hook, c *vm.CPU, args *[5]uint64) (uint64, error) {
	var r request
	table, tuple, fault, err := s.prepare(h, c, args, &r, (*request).checkProto, (*request).checkNetns)
	if err != nil {
		return 0, err
	}
	if fault != 0 {
		return r.fail(c, fault)
	}
	conn, dir, err := table.Lookup(tuple, r.zone)
	addr, stop := s.give(c, &r, conn, false, err)
	if addr != 0 {
		r.mem[optsDir] = byte(dir)
	}
	return addr, stop
}
