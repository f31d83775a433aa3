package pkt

import (
	"encoding/binary"
	"fmt"

	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/netns"
	"github.com/bpfct/bpfct/packet"
	"github.com/bpfct/bpfct/vm"
)

// CsumState says what is known of a packet's checksum (skb->ip_summed).
type CsumState uint8

// The states of a checksum.
const (
	CsumNone        CsumState = iota // nothing
	CsumUnnecessary                  // it was verified
	CsumComplete                     // the sum over the packet from its network header is known
	CsumPartial                      // the device will fill it in
)

// GSO types that helpers look at (SKB_GSO_*).
const (
	GSOTCPv4 = 1 << 0
	GSODodgy = 1 << 1
	GSOTCPv6 = 1 << 4
	GSOUDPL4 = 1 << 17
)

// VLANTag is a tag that a device keeps beside the packet.
type VLANTag struct {
	// Proto is 0x8100 or 0x88a8, 0 for no tag.
	Proto uint16
	TCI   uint16
}

// SkbSpec says what a Skb is made of. The zero values of all fields but Data
// make what BPF_PROG_TEST_RUN makes for a tc program.
type SkbSpec struct {
	// Data is the packet from its Ethernet header on.
	Data []byte
	// ProgType is the type of the program that will run; 0 means
	// ebpf.SchedCLS. tc programs see the Ethernet header, others do not.
	ProgType ebpf.ProgramType
	// Ctx is a struct __sk_buff or a prefix as BPF_PROG_TEST_RUN takes it, nil
	// for none.
	Ctx []byte
	// ChecksumComplete is BPF_F_TEST_SKB_CHECKSUM_COMPLETE.
	ChecksumComplete bool

	// Device, where set, makes the packet one that arrives at or leaves by that
	// device of the namespace, free of what BPF_PROG_TEST_RUN demands; the
	// fields below are for such a packet.
	Device *netns.Device
	// Ingress says that the program runs at tc ingress.
	Ingress bool
	// Linear, where not 0, is how many bytes are in the linear part at most.
	Linear int
	// Meta are the bytes of metadata that XDP left before the packet.
	Meta []byte
	// VLAN is a tag taken off by the device.
	VLAN VLANTag
	// Csum is what is known of the checksum.
	Csum CsumState
	// Mark, Priority and the others are fields of struct __sk_buff.
	Mark, Priority, IngressIfindex uint32
	QueueMapping, TCIndex          uint16
	Tstamp                         uint64
	TstampType                     uint8
	Hash                           uint32
	// GSOSize, GSOSegs and GSOType describe a packet of several segments.
	GSOSize, GSOSegs uint16
	GSOType          uint32
	// Sock is the socket that the packet belongs to, nil for none.
	Sock *netns.Socket
	// Tunnel is what a tunnel device knows of where the packet came from.
	Tunnel *Tunnel
}

// Skb is a packet as programs on struct __sk_buff see it. It belongs to one
// goroutine at a time.
type Skb struct {
	buffer
	ns      *netns.Netns
	dev     *netns.Device
	typ     ebpf.ProgramType
	ctx     *vm.Object
	ctxIn   []byte // what BPF_PROG_TEST_RUN was given; nil for none
	hidden  []byte // the link layer header, where programs do not see it
	ingress bool
	testRun bool

	// Positions are counted from where the buffer started. dataPos is that of
	// the first byte of the packet.
	dataPos, mac, network, transport int
	transportSet                     bool
	macLen                           int

	protocol     uint16 // as a number
	pktType      uint8
	vlan         VLANTag
	hash         uint32
	queueMapping uint16
	hashSet      bool // hash is valid (sw_hash, l4_hash)

	csum      CsumState
	csumSum   uint32
	csumLevel uint8

	encapsulation    bool
	gsoSize, gsoSegs uint16
	gsoType          uint32
	wireLen          uint32
	tstampType       uint8
	hwtstamp         uint64

	sock   *sockRef
	tunnel *Tunnel

	redirect *Redirect
	clones   []Clone
	route    *netns.Route // what the packet was routed by, nil for none
	kernel   *kernelView  // nil until asked for
}

// NewSkb makes a packet in the namespace. An error wraps the errno with which
// BPF_PROG_TEST_RUN refuses the same.
func NewSkb(m *vm.Machine, ns *netns.Netns, spec SkbSpec) (*Skb, error) {
	s := &Skb{ns: ns, typ: spec.ProgType, testRun: spec.Device == nil}
	s.m = m
	if s.typ == ebpf.UnspecifiedProgram {
		s.typ = ebpf.SchedCLS
	}
	if err := s.choose(&spec); err != nil {
		return nil, err
	}
	off := ethHLen
	if s.isL2() {
		off = 0
	}
	if err := s.place(&spec, off); err != nil {
		return nil, err
	}
	if err := s.fill(&spec); err != nil {
		s.Release()
		return nil, err
	}
	s.sync()
	return s, nil
}

// isL2 reports whether programs of the type see the Ethernet header.
func (s *Skb) isL2() bool { return s.typ == ebpf.SchedCLS || s.typ == ebpf.SchedACT }

// choose checks the spec as BPF_PROG_TEST_RUN does and finds the device.
func (s *Skb) choose(spec *SkbSpec) error {
	if !s.testRun {
		s.dev = spec.Device
		if len(spec.Data) < ethHLen {
			return fmt.Errorf("packet of %d bytes has no Ethernet header: %w", len(spec.Data), errno.EINVAL)
		}
		return nil
	}
	if n := len(spec.Data); n < ethHLen || n > pageSize-netSkbPad-sharedInfo {
		return fmt.Errorf("packet of %d bytes, must have %d to %d: %w", n, ethHLen, pageSize-netSkbPad-sharedInfo, errno.EINVAL)
	}
	var err error
	if spec.Ctx != nil {
		if s.ctxIn, err = ctxIn(spec.Ctx, SkbCtxSize); err != nil {
			return err
		}
	}
	index := netns.LoopbackIndex
	if s.ctxIn != nil {
		if i := le.Uint32(s.ctxIn[offIfindex:]); i > netns.LoopbackIndex {
			index = int(i)
		}
	}
	if s.dev = s.ns.Device(index); s.dev == nil {
		return fmt.Errorf("no device %d in namespace %q: %w", index, s.ns.Name, errno.ENODEV)
	}
	min := 0
	switch etherType(spec.Data) {
	case ethPIP:
		min = 20
	case ethPIPv6:
		min = 40
	}
	if n := len(spec.Data) - ethHLen; n < min {
		return fmt.Errorf("packet of %d bytes ends in its IP header: %w", len(spec.Data), errno.EINVAL)
	}
	return nil
}

// ctxIn makes of a context as given one of the full size.
func ctxIn(given []byte, size int) ([]byte, error) {
	for i := size; i < len(given); i++ {
		if given[i] != 0 {
			return nil, fmt.Errorf("context of %d bytes: byte %d is not 0: %w", len(given), i, errno.E2BIG)
		}
	}
	full := make([]byte, size)
	copy(full, given)
	return full, nil
}

// place makes the guest objects. The first off bytes of the packet, its link
// layer header, are not shown to the program.
func (s *Skb) place(spec *SkbSpec, off int) error {
	data := spec.Data[off:]
	s.hidden = spec.Data[:off:off]
	linear := len(data)
	if spec.Linear > 0 {
		linear = min(linear, max(spec.Linear-off, 0))
	}
	for rest := data[linear:]; len(rest) > 0; {
		n := min(len(rest), pageSize)
		s.frags = append(s.frags, newPage(rest[:n]))
		rest = rest[n:]
	}
	s.meta = uint32(len(spec.Meta))
	var err error
	if s.obj, err = s.alloc(s.meta + uint32(linear)); err != nil {
		return err
	}
	copy(s.obj.Bytes(), spec.Meta)
	copy(s.linear(), data)
	s.ctx, err = s.m.Mem.Alloc(vm.ObjectSpec{Kind: vm.KindContext, Name: "struct __sk_buff", Size: SkbCtxSize,
		Writable: s.writable, OnWrite: s.written, Owner: s})
	if err != nil {
		s.release()
		return err
	}
	s.mac = netSkbPad
	s.dataPos = s.mac + off
	s.network = s.mac + ethHLen
	s.macLen = 0
	if !s.testRun {
		s.macLen = ethHLen
	}
	return nil
}

// fill sets the fields of the packet.
func (s *Skb) fill(spec *SkbSpec) error {
	s.protocol = etherType(spec.Data)
	s.pktType = packetType(spec.Data, s.dev)
	b := s.ctx.Bytes()
	if !s.testRun {
		le.PutUint32(b[offMark:], spec.Mark)
		le.PutUint32(b[offPriority:], spec.Priority)
		le.PutUint32(b[offIngressIfindex:], spec.IngressIfindex)
		le.PutUint32(b[offQueueMapping:], uint32(spec.QueueMapping))
		s.queueMapping = spec.QueueMapping
		le.PutUint32(b[offTCIndex:], uint32(spec.TCIndex))
		le.PutUint64(b[offTstamp:], spec.Tstamp)
		s.ingress, s.vlan, s.tstampType = spec.Ingress, spec.VLAN, spec.TstampType
		s.hash, s.hashSet = spec.Hash, spec.Hash != 0
		s.gsoSize, s.gsoSegs, s.gsoType = spec.GSOSize, spec.GSOSegs, spec.GSOType
		s.wireLen, s.tunnel, s.csum = uint32(len(spec.Data)), spec.Tunnel, spec.Csum
		if spec.Sock != nil {
			return s.attach(spec.Sock)
		}
	} else {
		if err := s.takeCtx(); err != nil {
			return err
		}
		if err := s.attach(s.testSocket(spec.Data)); err != nil {
			return err
		}
	}
	if spec.ChecksumComplete || spec.Csum == CsumComplete {
		s.csum = CsumComplete
		s.csumSum = s.sumFromNetwork()
	}
	return nil
}

// sumFromNetwork is the sum over the packet from its network header.
func (s *Skb) sumFromNetwork() uint32 {
	data := s.Data()
	off := max(s.network-s.dataPos, 0)
	if off > len(data) {
		return 0
	}
	return packet.CsumPartial(data[off:], 0)
}

// etherType is skb->protocol for a frame, as eth_type_trans gives it.
func etherType(frame []byte) uint16 {
	p := binary.BigEndian.Uint16(frame[12:])
	if p >= eth8023Min {
		return p
	}
	if len(frame) >= 16 && frame[14] == 0xff && frame[15] == 0xff {
		return ethP8023
	}
	return ethP8022
}

// packetType is skb->pkt_type for a frame that arrives at dev.
func packetType(frame []byte, dev *netns.Device) uint8 {
	const host, broadcast, multicast, otherHost = 0, 1, 2, 3
	dst := [6]byte(frame[:6])
	bcast := [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	if dev.Kind == netns.KindLoopback {
		bcast = [6]byte{}
	}
	switch {
	case dst == dev.MAC:
		return host
	case dst == bcast:
		return broadcast
	case dst[0]&1 != 0:
		return multicast
	}
	return otherHost
}

// Addr is the guest address of the struct __sk_buff.
func (s *Skb) Addr() uint64 { return s.ctx.Addr() }

// Netns is the namespace of the packet's device.
func (s *Skb) Netns() *netns.Netns { return s.ns }

// Device is the device of the packet.
func (s *Skb) Device() *netns.Device { return s.dev }

// Release gives the guest memory back. The Skb must not be used afterwards.
func (s *Skb) Release() {
	s.release()
	s.m.Mem.Free(s.ctx, vm.Site{})
	if s.sock != nil {
		s.sock.free(s.m, vm.Site{})
	}
	s.kernel.free()
}

// offset is the offset of a position in the packet, which may be
// negative.
func (s *Skb) offset(pos int) int { return pos - s.dataPos }

// isGSO reports whether the packet is of several segments.
func (s *Skb) isGSO() bool { return s.gsoSize != 0 }
