package live

import (
	"encoding/binary"
	"fmt"
)

// Sizes of the contexts of tc and XDP programs.
const (
	SkBuffSize = 192
	XDPMDSize  = 24
)

// SkBuff has the members of struct __sk_buff that the kernel takes from the
// context of a test run. Every other member must be zero there, or the run
// fails with EINVAL. Afterwards the same members are told, and no others.
type SkBuff struct {
	Mark     uint32
	Priority uint32
	// IngressIfindex is taken as it is.
	IngressIfindex uint32
	// Ifindex must be that of a device in the namespace, or the run fails
	// with ENODEV; 0 and 1 are lo. Afterwards it is the device's.
	Ifindex uint32
	CB      [5]uint32
	Tstamp  uint64
	// WireLen is 0 for the packet's length, and at least that otherwise.
	WireLen  uint32
	GSOSegs  uint32
	GSOSize  uint32
	HWTstamp uint64
}

// Places of the members.
const (
	skbMark           = 8
	skbPriority       = 32
	skbIngressIfindex = 36
	skbIfindex        = 40
	skbCB             = 48
	skbTstamp         = 152
	skbWireLen        = 160
	skbGSOSegs        = 164
	skbGSOSize        = 176
	skbHWTstamp       = 184
)

// Bytes is the context for RunOptions.Ctx.
func (s *SkBuff) Bytes() []byte {
	b := make([]byte, SkBuffSize)
	ne := binary.NativeEndian
	ne.PutUint32(b[skbMark:], s.Mark)
	ne.PutUint32(b[skbPriority:], s.Priority)
	ne.PutUint32(b[skbIngressIfindex:], s.IngressIfindex)
	ne.PutUint32(b[skbIfindex:], s.Ifindex)
	for i, v := range s.CB {
		ne.PutUint32(b[skbCB+4*i:], v)
	}
	ne.PutUint64(b[skbTstamp:], s.Tstamp)
	ne.PutUint32(b[skbWireLen:], s.WireLen)
	ne.PutUint32(b[skbGSOSegs:], s.GSOSegs)
	ne.PutUint32(b[skbGSOSize:], s.GSOSize)
	ne.PutUint64(b[skbHWTstamp:], s.HWTstamp)
	return b
}

// ParseSkBuff reads Result.Ctx of a tc program.
func ParseSkBuff(b []byte) (*SkBuff, error) {
	if len(b) < SkBuffSize {
		return nil, fmt.Errorf("struct __sk_buff has %d bytes, got %d", SkBuffSize, len(b))
	}
	ne := binary.NativeEndian
	s := &SkBuff{
		Mark:           ne.Uint32(b[skbMark:]),
		Priority:       ne.Uint32(b[skbPriority:]),
		IngressIfindex: ne.Uint32(b[skbIngressIfindex:]),
		Ifindex:        ne.Uint32(b[skbIfindex:]),
		Tstamp:         ne.Uint64(b[skbTstamp:]),
		WireLen:        ne.Uint32(b[skbWireLen:]),
		GSOSegs:        ne.Uint32(b[skbGSOSegs:]),
		GSOSize:        ne.Uint32(b[skbGSOSize:]),
		HWTstamp:       ne.Uint64(b[skbHWTstamp:]),
	}
	for i := range s.CB {
		s.CB[i] = ne.Uint32(b[skbCB+4*i:])
	}
	return s, nil
}

// XDPMD has the members of struct xdp_md that the kernel takes from the
// context of a test run; data_meta and egress_ifindex must be zero there.
type XDPMD struct {
	// Data is how many bytes at the start of RunOptions.Data are metadata and
	// not packet, a multiple of 4. Afterwards it is how many there are.
	Data uint32
	// DataEnd is at most the length of RunOptions.Data, metadata included,
	// and should be just that. Afterwards it is the new length.
	DataEnd uint32
	// IngressIfindex is that of a device in the namespace, or 0.
	IngressIfindex uint32
	// RxQueueIndex is a queue of that device.
	RxQueueIndex uint32
}

// Bytes is the context for RunOptions.Ctx.
func (x *XDPMD) Bytes() []byte {
	b := make([]byte, XDPMDSize)
	ne := binary.NativeEndian
	ne.PutUint32(b[0:], x.Data)
	ne.PutUint32(b[4:], x.DataEnd)
	ne.PutUint32(b[12:], x.IngressIfindex)
	ne.PutUint32(b[16:], x.RxQueueIndex)
	return b
}

// ParseXDPMD reads Result.Ctx of an XDP program.
func ParseXDPMD(b []byte) (*XDPMD, error) {
	if len(b) < XDPMDSize {
		return nil, fmt.Errorf("struct xdp_md has %d bytes, got %d", XDPMDSize, len(b))
	}
	ne := binary.NativeEndian
	return &XDPMD{
		Data:           ne.Uint32(b[0:]),
		DataEnd:        ne.Uint32(b[4:]),
		IngressIfindex: ne.Uint32(b[12:]),
		RxQueueIndex:   ne.Uint32(b[16:]),
	}, nil
}
