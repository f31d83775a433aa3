package pkt

import (
	"fmt"

	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/netns"
	"github.com/bpfct/bpfct/vm"
)

// XDPSpec says what an XDP is made of. The zero values of all fields but Data
// make what BPF_PROG_TEST_RUN makes.
type XDPSpec struct {
	// Data is the packet from its Ethernet header on; with a Ctx, the metadata
	// before it.
	Data []byte
	// Ctx is a struct xdp_md or a prefix as BPF_PROG_TEST_RUN takes it, nil for
	// none: data is the length of the metadata, data_end where the linear part
	// ends.
	Ctx []byte
	// AttachType is that of the program that will run: BPF_PROG_TEST_RUN refuses
	// those for the entries of devmaps and cpumaps.
	AttachType ebpf.AttachType
	// Device, where set, makes the packet one that arrives at that device, free of
	// what BPF_PROG_TEST_RUN demands; the fields below are for such a packet.
	Device *netns.Device
	// RxQueue is the queue that it came by.
	RxQueue uint32
	// Egress, where set, is the device that a program in a devmap runs for.
	Egress *netns.Device
	// Metadata is what the device knows of the packet; nil for a device that
	// tells nothing.
	Metadata *RxMetadata
}

// RxMetadata is what a device tells by the bpf_xdp_metadata kfuncs. A field
// that is nil is not told.
type RxMetadata struct {
	Timestamp *uint64
	Hash      *RxHash
	VLAN      *VLANTag
}

// RxHash is a receive hash and its enum xdp_rss_hash_type.
type RxHash struct{ Hash, Type uint32 }

// XDP is a packet as XDP programs see it. It belongs to one goroutine at a time.
type XDP struct {
	buffer
	ns       *netns.Netns
	dev      *netns.Device
	egress   *netns.Device
	ctx      *vm.Object
	ctxIn    []byte
	queue    uint32
	below    []byte // bytes before the packet that were part of it, the nearest last
	headroom int    // bytes from the start of the buffer to the metadata
	hasFrags bool
	testRun  bool
	metadata *RxMetadata
	redirect *Redirect
	kernel   *kernelView // nil until asked for
}

// NewXDP makes a packet in the namespace. An error wraps the errno with which
// BPF_PROG_TEST_RUN refuses the same.
func NewXDP(m *vm.Machine, ns *netns.Netns, spec XDPSpec) (*XDP, error) {
	x := &XDP{ns: ns, headroom: xdpHeadroom, metadata: spec.Metadata, testRun: spec.Device == nil}
	x.m = m
	meta, linear := 0, len(spec.Data)
	if spec.Device == nil {
		var err error
		if meta, linear, err = x.choose(&spec); err != nil {
			return nil, err
		}
	} else {
		x.dev, x.queue, x.egress = spec.Device, spec.RxQueue, spec.Egress
		if len(spec.Data) < ethHLen {
			return nil, fmt.Errorf("packet of %d bytes has no Ethernet header: %w", len(spec.Data), errno.EINVAL)
		}
	}
	x.headroom -= meta
	linear = min(linear, pageSize-x.headroom-sharedInfo)
	if err := x.place(spec.Data, uint32(meta), linear); err != nil {
		return nil, err
	}
	x.sync()
	return x, nil
}

// choose checks the spec as BPF_PROG_TEST_RUN does.
func (x *XDP) choose(spec *XDPSpec) (meta, linear int, err error) {
	if spec.AttachType == ebpf.AttachXDPDevMap || spec.AttachType == ebpf.AttachXDPCPUMap {
		return 0, 0, fmt.Errorf("programs of attach type %v run on no test packet: %w", spec.AttachType, errno.EINVAL)
	}
	linear = len(spec.Data)
	index := netns.LoopbackIndex
	if spec.Ctx != nil {
		if x.ctxIn, err = ctxIn(spec.Ctx, XDPCtxSize); err != nil {
			return 0, 0, err
		}
		data, end := le.Uint32(x.ctxIn[mdData:]), le.Uint32(x.ctxIn[mdDataEnd:])
		if le.Uint32(x.ctxIn[mdDataMeta:]) != 0 || uint64(end) > uint64(len(spec.Data)) || data > end {
			return 0, 0, fmt.Errorf("context: data_meta must be 0, data at most data_end, data_end at most %d: %w", len(spec.Data), errno.EINVAL)
		}
		if badMetaLen(int(data)) || data > xdpHeadroom-xdpFrameSize {
			return 0, 0, fmt.Errorf("context: no metadata can have %d bytes: %w", data, errno.EINVAL)
		}
		meta, linear = int(data), int(end)
	}
	if n := len(spec.Data) - meta; n < ethHLen {
		return 0, 0, fmt.Errorf("packet of %d bytes, must have %d: %w", n, ethHLen, errno.EINVAL)
	}
	if x.ctxIn != nil {
		if le.Uint32(x.ctxIn[mdEgressIfindex:]) != 0 {
			return 0, 0, fmt.Errorf("context: egress_ifindex is not 0: %w", errno.EINVAL)
		}
		in := le.Uint32(x.ctxIn[mdIngressIfindex:])
		x.queue = le.Uint32(x.ctxIn[mdRxQueueIndex:])
		if in == 0 && x.queue != 0 {
			return 0, 0, fmt.Errorf("context: rx_queue_index without ingress_ifindex: %w", errno.EINVAL)
		}
		if in != 0 {
			index = int(in)
		}
	}
	if x.dev = x.ns.Device(index); x.dev == nil {
		return 0, 0, fmt.Errorf("no device %d in namespace %q: %w", index, x.ns.Name, errno.ENODEV)
	}
	if x.queue >= uint32(x.dev.Queues) {
		return 0, 0, fmt.Errorf("device %s has no queue %d: %w", x.dev.Name, x.queue, errno.EINVAL)
	}
	return meta, linear, nil
}

func badMetaLen(n int) bool { return n%4 != 0 || n > xdpMaxMeta }

func (x *XDP) place(data []byte, meta uint32, linear int) error {
	for rest := data[linear:]; len(rest) > 0; {
		if len(x.frags) == maxFrags {
			return fmt.Errorf("packet of %d bytes needs more than %d pages: %w", len(data), maxFrags, errno.ENOMEM)
		}
		n := min(len(rest), pageSize)
		x.frags = append(x.frags, newPage(rest[:n]))
		rest = rest[n:]
	}
	x.hasFrags = len(x.frags) > 0
	x.meta = meta
	var err error
	if x.obj, err = x.alloc(uint32(linear)); err != nil {
		return err
	}
	copy(x.obj.Bytes(), data)
	x.ctx, err = x.m.Mem.Alloc(vm.ObjectSpec{Kind: vm.KindContext, Name: "struct xdp_md", Size: XDPCtxSize, ReadOnly: true, Owner: x})
	if err != nil {
		x.release()
	}
	return err
}

// sync writes the fields that helpers change to the context.
func (x *XDP) sync() {
	b := x.ctx.Bytes()
	addr, n := x.Linear()
	le.PutUint32(b[mdData:], uint32(addr))
	le.PutUint32(b[mdDataEnd:], uint32(addr)+n)
	le.PutUint32(b[mdDataMeta:], uint32(addr)-x.meta)
	le.PutUint32(b[mdIngressIfindex:], uint32(x.dev.Index))
	le.PutUint32(b[mdRxQueueIndex:], x.queue)
	if x.egress != nil {
		le.PutUint32(b[mdEgressIfindex:], uint32(x.egress.Index))
	}
	x.syncKernel()
}

// Addr is the guest address of the struct xdp_md.
func (x *XDP) Addr() uint64 { return x.ctx.Addr() }

// Netns is the namespace of the packet's device.
func (x *XDP) Netns() *netns.Netns { return x.ns }

// Device is the device that the packet came by.
func (x *XDP) Device() *netns.Device { return x.dev }

// Frame is metadata and packet, as BPF_PROG_TEST_RUN gives them back.
func (x *XDP) Frame() []byte {
	return append(append([]byte(nil), x.obj.Bytes()[:x.meta]...), x.Data()...)
}

// Metadata is a copy of the metadata before the packet.
func (x *XDP) Metadata() []byte { return append([]byte(nil), x.obj.Bytes()[:x.meta]...) }

// CtxOut is the context that BPF_PROG_TEST_RUN gives back: what went in, with
// data and data_end as offsets from the metadata.
func (x *XDP) CtxOut() []byte {
	out := make([]byte, XDPCtxSize)
	copy(out, x.ctxIn)
	le.PutUint32(out[mdData:], x.meta)
	le.PutUint32(out[mdDataEnd:], x.meta+x.headLen())
	return out
}

// Release gives the guest memory back. The XDP must not be used afterwards.
func (x *XDP) Release() {
	x.release()
	x.m.Mem.Free(x.ctx, vm.Site{})
	x.kernel.free()
}
