package ctkfunc

import (
	"encoding/binary"
	"fmt"
	"sync"

	"github.com/bpfct/bpfct/conntrack"
	"github.com/bpfct/bpfct/kernel"
	"github.com/bpfct/bpfct/vm"
)

// field is where a member of struct nf_conn lies.
type field struct{ off, size uint32 }

// tupleLayout is where the members of one struct nf_conntrack_tuple lie.
type tupleLayout struct {
	src, srcPort, l3num, dst, dstPort, protonum, dir field
}

// layout is struct nf_conn of a profile.
type layout struct {
	size                                     uint32
	use, timeout, zoneID, zoneFlags, zoneDir field
	status, mark, secmark                    field
	tuples                                   [2]tupleLayout
}

// optsLayout is struct bpf_ct_opts, the same on all profiles as far as the
// sizes reach.
const (
	optsNetnsID   = 0
	optsError     = 4
	optsProto     = 8
	optsDir       = 9
	optsZoneID    = 10
	optsZoneDir   = 12
	tupleSizeIPv4 = 12 // sizeof(struct bpf_sock_tuple.ipv4)
	tupleSizeIPv6 = 36 // sizeof(struct bpf_sock_tuple.ipv6)
)

func newLayout(prof *kernel.Profile) (*layout, error) {
	var l layout
	var err error
	if l.size, err = prof.Sizeof("nf_conn"); err != nil {
		return nil, fmt.Errorf("profile %s has no struct nf_conn: %w", prof.Name, err)
	}
	members := map[string]*field{
		"ct_general.use": &l.use, "timeout": &l.timeout, "zone.id": &l.zoneID, "zone.flags": &l.zoneFlags,
		"zone.dir": &l.zoneDir, "status": &l.status, "mark": &l.mark, "secmark": &l.secmark,
	}
	for i := range l.tuples {
		t, at := &l.tuples[i], fmt.Sprintf("tuplehash[%d].tuple.", i)
		for name, f := range map[string]*field{
			"src.u3": &t.src, "src.u.all": &t.srcPort, "src.l3num": &t.l3num, "dst.u3": &t.dst,
			"dst.u.all": &t.dstPort, "dst.protonum": &t.protonum, "dst.dir": &t.dir,
		} {
			members[at+name] = f
		}
	}
	for path, f := range members {
		if f.off, f.size, err = prof.Field("nf_conn", path); err != nil {
			return nil, err
		}
		if f.off+f.size > l.size {
			return nil, fmt.Errorf("profile %s: nf_conn.%s lies outside the struct", prof.Name, path)
		}
		if f.size <= 8 && f.size&(f.size-1) != 0 {
			return nil, fmt.Errorf("profile %s: nf_conn.%s has %d bytes", prof.Name, path, f.size)
		}
	}
	return &l, nil
}

// fill writes the connection into the bytes of its view, all but the mark. Programs
// of other CPUs may read them meanwhile, as in the kernel; go:norace keeps the race
// detector from blaming the machine for its guests.
//
//go:norace
func (l *layout) fill(b []byte, s *conntrack.Snapshot) {
	put(b, l.use, uint64(s.Use))
	put(b, l.timeout, uint64(s.Timeout))
	put(b, l.zoneID, uint64(s.Zone.ID))
	put(b, l.zoneFlags, uint64(s.Zone.Flags))
	put(b, l.zoneDir, uint64(s.Zone.Dir))
	put(b, l.status, uint64(s.Status))
	put(b, l.secmark, uint64(s.SecMark))
	for d := range l.tuples {
		t, at := &s.Tuples[d], &l.tuples[d]
		vm.Copy(b[at.src.off:at.src.off+at.src.size], t.Src[:])
		vm.Copy(b[at.dst.off:at.dst.off+at.dst.size], t.Dst[:])
		binary.BigEndian.PutUint16(b[at.srcPort.off:], t.SrcPort)
		binary.BigEndian.PutUint16(b[at.dstPort.off:], t.DstPort)
		put(b, at.l3num, uint64(t.Family))
		put(b, at.protonum, uint64(t.Proto))
		put(b, at.dir, uint64(d))
	}
}

// put writes a member in one piece.
//
//go:norace
func put(b []byte, f field, v uint64) {
	switch b = b[f.off:]; f.size {
	case 1:
		b[0] = byte(v)
	case 2:
		binary.LittleEndian.PutUint16(b, uint16(v))
	case 4:
		binary.LittleEndian.PutUint32(b, uint32(v))
	case 8:
		binary.LittleEndian.PutUint64(b, v)
	}
}

// views has the view of every connection that some program holds.
type views struct {
	layout *layout

	mu   sync.Mutex
	held map[conntrack.Conn]*view // guarded by mu
}

// view is the guest memory of one connection. It owns as many references to the
// connection as holders.
type view struct {
	all  *views
	m    *vm.Machine
	conn conntrack.Conn
	obj  *vm.Object
	// init tells struct nf_conn___init, not yet inserted, from struct nf_conn.
	init bool

	holders int // guarded by all.mu

	mu sync.Mutex // held while the view is filled or its mark is written through
	// mark is what the view and the connection had when they last agreed. A program
	// writes to the view first, so what is in it may be newer. Guarded by mu.
	mark uint32
}

// hold gives the program a view of conn, whose reference it takes over.
func (vs *views) hold(c *vm.CPU, conn conntrack.Conn, init bool) (*view, error) {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	v := vs.held[conn]
	if v == nil {
		v = &view{all: vs, m: c.M, conn: conn, init: init}
		name := "struct nf_conn"
		if init {
			name = "struct nf_conn___init"
		}
		mark := vs.layout.mark
		obj, err := c.M.Mem.Alloc(vm.ObjectSpec{
			Kind: vm.KindView, Name: name, Size: vs.layout.size, Owner: v,
			Writable: func(off, size uint32) bool { return off >= mark.off && off+size <= mark.off+mark.size },
			OnWrite:  func(_, _ uint32) { v.writeMark() },
		})
		if err != nil {
			return nil, err
		}
		v.obj = obj
		vs.held[conn] = v
	}
	v.holders++
	c.Acquire(v.obj)
	return v, nil
}

// refresh fills the view with what the connection is now.
func (v *view) refresh() {
	v.mu.Lock()
	defer v.mu.Unlock()
	s, ok := v.conn.Snapshot()
	if !ok {
		return
	}
	l, b := v.all.layout, v.obj.Bytes()
	l.fill(b, &s)
	// A mark that a program has just written, and that is on its way to the
	// connection, must not be overwritten by the old one.
	if s.Mark != v.mark {
		v.mark = s.Mark
		put(b, l.mark, uint64(s.Mark))
	}
}

// writeMark writes the mark through after a program wrote to the view.
func (v *view) writeMark() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.mark = v.markBytes()
	// The connection outlives its view, so this cannot fail.
	_ = v.conn.SetMark(v.mark)
}

// markBytes is the mark in the view, which other CPUs may be writing.
//
//go:norace
func (v *view) markBytes() uint32 {
	return binary.LittleEndian.Uint32(v.obj.Bytes()[v.all.layout.mark.off:])
}

// forget takes one holder off, and reports whether it was the last one.
func (v *view) forget() bool {
	v.all.mu.Lock()
	defer v.all.mu.Unlock()
	v.holders--
	if v.holders == 0 {
		delete(v.all.held, v.conn)
	}
	return v.holders == 0
}

// drop gives one reference back and ends the view with the last.
func (v *view) drop(at vm.Site) {
	if v.forget() {
		v.m.Mem.Free(v.obj, at)
	}
	// A reference that is held cannot be gone.
	_ = v.conn.Release()
}

// ReleaseReference gives back the reference of a program that was stopped, or of
// a map that goes.
func (v *view) ReleaseReference() { v.drop(vm.Site{}) }
