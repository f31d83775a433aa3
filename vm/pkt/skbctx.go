package pkt

import (
	"fmt"

	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/netns"
	"github.com/bpfct/bpfct/packet"
)

// Which fields of struct __sk_buff programs of a type may write, as bits by
// offset/4.
const (
	fieldMark     = 1 << (offMark / 4)
	fieldPriority = 1 << (offPriority / 4)
	fieldCB       = 0x1f << (offCB / 4)
	fieldTstamp   = 3 << (offTstamp / 4)
	fieldTC       = 1<<(offTCIndex/4) | 1<<(offTCClassid/4) | 1<<(offQueueMapping/4)
)

func writableFields(t ebpf.ProgramType) uint64 {
	switch t {
	case ebpf.SchedCLS, ebpf.SchedACT:
		return fieldMark | fieldPriority | fieldCB | fieldTstamp | fieldTC
	case ebpf.CGroupSKB:
		return fieldMark | fieldPriority | fieldCB | fieldTstamp
	case ebpf.LWTIn, ebpf.LWTOut, ebpf.LWTXmit, ebpf.LWTSeg6Local:
		return fieldMark | fieldPriority | fieldCB
	}
	return fieldCB
}

// writable is the kernel's rule for writes to the context: whole fields, except
// for cb.
func (s *Skb) writable(off, size uint32) bool {
	if off%size != 0 || writableFields(s.typ)>>(off/4)&1 == 0 {
		return false
	}
	switch {
	case off >= offCB && off < offCB+20:
		return off+size <= offCB+20
	case off == offTstamp:
		return size == 8
	}
	return size == 4
}

// written makes what a program wrote what it reads: some fields are narrower in
// struct sk_buff.
func (s *Skb) written(off, size uint32) {
	b := s.ctx.Bytes()
	switch off {
	case offQueueMapping:
		// A value that does not fit is not stored at all.
		if v := le.Uint32(b[off:]); v < 0xffff {
			s.queueMapping = uint16(v)
		}
		le.PutUint32(b[off:], uint32(s.queueMapping))
	case offTCIndex, offTCClassid:
		le.PutUint32(b[off:], le.Uint32(b[off:])&0xffff)
	}
	s.syncKernel()
}

// sync writes the fields that helpers change to the context.
func (s *Skb) sync() {
	b := s.ctx.Bytes()
	put := func(off int, v uint32) { le.PutUint32(b[off:], v) }
	put(offLen, s.Len())
	put(offPktType, uint32(s.pktType))
	put(offProtocol, uint32(bswap16(s.protocol)))
	put(offVLANPresent, 0)
	put(offVLANTCI, uint32(s.vlan.TCI))
	put(offVLANProto, uint32(bswap16(s.vlan.Proto)))
	if s.vlan != (VLANTag{}) {
		put(offVLANPresent, 1)
	}
	put(offIfindex, uint32(s.dev.Index))
	put(offHash, s.hash)
	addr, n := s.Linear()
	put(offData, uint32(addr))
	put(offDataEnd, uint32(addr)+n)
	put(offDataMeta, uint32(addr)-s.meta)
	put(offWireLen, s.wireLen)
	put(offGSOSegs, uint32(s.gsoSegs))
	put(offGSOSize, uint32(s.gsoSize))
	b[offTstampType] = s.tstampType
	le.PutUint64(b[offHwtstamp:], s.hwtstamp)
	s.syncSock(b)
	s.syncKernel()
}

// syncSock writes the fields that come from the packet's socket.
func (s *Skb) syncSock(b []byte) {
	clear(b[offFamily : offLocalPort+4])
	le.PutUint64(b[offSK:], 0)
	if s.sock == nil {
		return
	}
	le.PutUint64(b[offSK:], s.sock.obj.Addr())
	if s.typ != ebpf.CGroupSKB && s.typ != ebpf.SkSKB {
		return // programs of other types may not read them
	}
	sk := s.sock.obj.Bytes()
	copy(b[offFamily:offFamily+4], sk[skFamily:])
	copy(b[offRemoteIP4:offRemoteIP4+4], sk[skDstIP4:])
	copy(b[offLocalIP4:offLocalIP4+4], sk[skSrcIP4:])
	copy(b[offRemoteIP6:offRemoteIP6+16], sk[skDstIP6:])
	copy(b[offLocalIP6:offLocalIP6+16], sk[skSrcIP6:])
	le.PutUint32(b[offRemotePort:], uint32(le.Uint16(sk[skDstPort:]))<<16)
	copy(b[offLocalPort:offLocalPort+4], sk[skSrcPort:])
}

// ctxRanges are the bytes of a struct __sk_buff that BPF_PROG_TEST_RUN takes.
var ctxRanges = [][2]int{
	{offMark, offMark + 4}, {offPriority, offIfindex + 4}, {offCB, offCB + 20},
	{offTstamp, offGSOSegs + 4}, {offGSOSize, offGSOSize + 4}, {offHwtstamp, offHwtstamp + 8},
}

// takeCtx sets what BPF_PROG_TEST_RUN takes from the context that it is given.
func (s *Skb) takeCtx() error {
	in := s.ctxIn
	if in == nil {
		return nil
	}
	next := 0
	for _, r := range append(ctxRanges, [2]int{SkbCtxSize, SkbCtxSize}) {
		for i := next; i < r[0]; i++ {
			if in[i] != 0 {
				return fmt.Errorf("context: byte %d is not 0 and cannot be set: %w", i, errno.EINVAL)
			}
		}
		next = r[1]
	}
	b := s.ctx.Bytes()
	copy(b[offMark:offMark+4], in[offMark:])
	copy(b[offPriority:offPriority+4], in[offPriority:])
	copy(b[offIngressIfindex:offIngressIfindex+4], in[offIngressIfindex:])
	copy(b[offCB:offCB+20], in[offCB:])
	copy(b[offTstamp:offTstamp+8], in[offTstamp:])
	s.wireLen = s.Len()
	if w := le.Uint32(in[offWireLen:]); w != 0 {
		if w < s.wireLen || w > gsoLegacyMax {
			return fmt.Errorf("context: wire_len %d, must be %d to %d: %w", w, s.wireLen, gsoLegacyMax, errno.EINVAL)
		}
		s.wireLen = w
	}
	segs := le.Uint32(in[offGSOSegs:])
	if segs > gsoMaxSegs {
		return fmt.Errorf("context: gso_segs %d, must be at most %d: %w", segs, gsoMaxSegs, errno.EINVAL)
	}
	s.gsoSegs = uint16(segs)
	s.gsoSize = uint16(le.Uint32(in[offGSOSize:]))
	s.hwtstamp = le.Uint64(in[offHwtstamp:])
	return nil
}

// CtxOut is the context that BPF_PROG_TEST_RUN gives back: what went in, with
// the fields that it tells of. Without a context that went in it is one of zeros
// before.
func (s *Skb) CtxOut() []byte {
	out := make([]byte, SkbCtxSize)
	copy(out, s.ctxIn)
	b := s.ctx.Bytes()
	for _, r := range [][2]int{{offMark, offMark + 4}, {offPriority, offIfindex + 4}, {offCB, offCB + 20},
		{offTstamp, offGSOSegs + 4}, {offHwtstamp, offHwtstamp + 8}} {
		copy(out[r[0]:r[1]], b[r[0]:])
	}
	return out
}

// Frame is the packet from its Ethernet header on, as BPF_PROG_TEST_RUN gives it
// back: where the program did not see that header it is zeros.
func (s *Skb) Frame() []byte {
	if s.isL2() {
		return s.Data()
	}
	return append(make([]byte, ethHLen), s.Data()...)
}

// Ctx is a copy of the struct __sk_buff as the program left it.
func (s *Skb) Ctx() []byte { return append([]byte(nil), s.ctx.Bytes()...) }

// CheckCsum compares what is known of a complete checksum with the packet, as
// BPF_PROG_TEST_RUN does after the run: EBADMSG where they differ.
func (s *Skb) CheckCsum() error {
	if packet.CsumFold(s.csumSum) != packet.CsumFold(s.sumFromNetwork()) {
		return fmt.Errorf("complete checksum does not fit the packet: %w", errno.EBADMSG)
	}
	return nil
}

// VLAN is the tag beside the packet, the zero VLANTag for none.
func (s *Skb) VLAN() VLANTag { return s.vlan }

// Protocol is skb->protocol as a number.
func (s *Skb) Protocol() uint16 { return s.protocol }

// PktType is skb->pkt_type.
func (s *Skb) PktType() uint8 { return s.pktType }

// Mark is skb->mark.
func (s *Skb) Mark() uint32 { return le.Uint32(s.ctx.Bytes()[offMark:]) }

// Priority is skb->priority.
func (s *Skb) Priority() uint32 { return le.Uint32(s.ctx.Bytes()[offPriority:]) }

// CB is the control buffer that tc programs share.
func (s *Skb) CB() [20]byte { return [20]byte(s.ctx.Bytes()[offCB:]) }

// Sock is the socket of the packet after the run, nil for none.
func (s *Skb) Sock() *netns.Socket {
	if s.sock == nil {
		return nil
	}
	return s.sock.sock
}
