package pkt

import (
	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/netns"
	"github.com/bpfct/bpfct/vm"
)

// takeBelow gives the n bytes that lie before the buffer, and forgets them:
// zeros where no packet has been yet.
func (x *XDP) takeBelow(n int) []byte {
	out := make([]byte, n)
	have := min(n, len(x.below))
	copy(out[n-have:], x.below[len(x.below)-have:])
	x.below = x.below[:len(x.below)-have]
	return out
}

// replace makes raw, whose first meta bytes are metadata, the linear part.
func (x *XDP) replace(c *vm.CPU, meta uint32, raw []byte) error {
	o, err := x.alloc(uint32(len(raw)))
	if err != nil {
		return err
	}
	copy(o.Bytes(), raw)
	x.m.Mem.Free(x.obj, c.Site())
	x.obj, x.meta = o, meta
	x.sync()
	return nil
}

// refuse is for a helper that changes nothing: packet pointers end all the same.
func (x *XDP) refuse(c *vm.CPU, e errno.Errno) (uint64, error) {
	return memoryResult(e.Neg(), x.replace(c, x.meta, x.obj.Bytes()))
}

func xdpAdjustHead(c *vm.CPU, x *XDP, args *[5]uint64) (uint64, error) {
	off := int(int32(args[1]))
	if x.headroom+off < xdpFrameSize || off > int(x.headLen())-ethHLen {
		return x.refuse(c, errno.EINVAL)
	}
	old := x.obj.Bytes()
	meta := append([]byte(nil), old[:x.meta]...)
	raw := old
	if off >= 0 {
		x.below = append(x.below, old[:off]...)
		raw = append([]byte(nil), old[off:]...)
	} else {
		raw = append(x.takeBelow(-off), old...)
	}
	copy(raw, meta) // metadata moves with the packet, over what was there
	x.headroom += off
	return memoryResult(0, x.replace(c, x.meta, raw))
}

func xdpAdjustMeta(c *vm.CPU, x *XDP, args *[5]uint64) (uint64, error) {
	off := int(int32(args[1]))
	if x.headroom+off < xdpFrameSize || off > int(x.meta) {
		return x.refuse(c, errno.EINVAL)
	}
	meta := int(x.meta) - off
	if badMetaLen(meta) {
		return x.refuse(c, errno.EACCES)
	}
	old := x.obj.Bytes()
	raw := old
	if off >= 0 {
		x.below = append(x.below, old[:off]...)
		raw = old[off:]
	} else {
		raw = append(x.takeBelow(-off), old...)
	}
	x.headroom += off
	return memoryResult(0, x.replace(c, uint32(meta), raw))
}

func xdpAdjustTail(c *vm.CPU, x *XDP, args *[5]uint64) (uint64, error) {
	off := int(int32(args[1]))
	switch {
	case x.hasFrags && off < 0:
		return x.shrinkFrags(c, int(-int32(off)))
	case x.hasFrags:
		return x.growFrags(c, off)
	}
	end := x.headroom + int(x.obj.Size) + off
	if end > pageSize-sharedInfo || int(x.headLen())+off < ethHLen {
		return x.refuse(c, errno.EINVAL)
	}
	raw := make([]byte, int(x.obj.Size)+off)
	copy(raw, x.obj.Bytes())
	return memoryResult(0, x.replace(c, x.meta, raw))
}

// growFrags makes the last page longer. Only the loopback device, when a test run
// has used it, tells how large its pages are.
func (x *XDP) growFrags(c *vm.CPU, n int) (uint64, error) {
	if !x.testRun || x.dev.Kind != netns.KindLoopback {
		return x.refuse(c, errno.EOPNOTSUPP)
	}
	last := &x.frags[len(x.frags)-1]
	if n > cap(*last)-len(*last) {
		return x.refuse(c, errno.EINVAL)
	}
	*last = append(*last, make([]byte, n)...)
	return x.refuse(c, 0)
}

// shrinkFrags cuts pages off, and when none is left the linear part. n is
// negative for the smallest number, whose negation it is: nothing is cut.
func (x *XDP) shrinkFrags(c *vm.CPU, n int) (uint64, error) {
	if n > int(x.Len())-ethHLen {
		return x.refuse(c, errno.EINVAL)
	}
	for n > 0 && len(x.frags) > 0 {
		last := &x.frags[len(x.frags)-1]
		cut := min(n, len(*last))
		n -= cut
		if cut < len(*last) {
			*last = (*last)[:len(*last)-cut]
			break
		}
		x.frags = x.frags[:len(x.frags)-1]
	}
	raw := x.obj.Bytes()
	if len(x.frags) == 0 {
		x.hasFrags = false
		raw = raw[:len(raw)-n]
	}
	return memoryResult(0, x.replace(c, x.meta, raw))
}

// checkRange is the kernel's check of an offset and a length in the packet.
func (x *XDP) checkRange(off, n uint32) errno.Errno {
	switch {
	case off > 0xffff || n > 0xffff:
		return errno.EFAULT
	case off+n > x.Len():
		return errno.EINVAL
	}
	return 0
}

func xdpLoadBytes(c *vm.CPU, x *XDP, args *[5]uint64) (uint64, error) {
	off, n := uint32(args[1]), uint32(args[3])
	buf, err := c.Write("R3", args[2], n)
	if err != nil {
		return 0, err
	}
	if e := x.checkRange(off, n); e != 0 {
		return e.Neg(), nil
	}
	x.LoadBytes(off, buf)
	return 0, nil
}

func xdpStoreBytes(c *vm.CPU, x *XDP, args *[5]uint64) (uint64, error) {
	off, n := uint32(args[1]), uint32(args[3])
	buf, err := c.Read("R3", args[2], n)
	if err != nil {
		return 0, err
	}
	if e := x.checkRange(off, n); e != 0 {
		return e.Neg(), nil
	}
	x.StoreBytes(off, buf)
	return 0, nil
}

func xdpGetBuffLen(c *vm.CPU, x *XDP, args *[5]uint64) (uint64, error) {
	return uint64(x.Len()), nil
}

// xdpPullData is the kfunc that makes more of a packet linear, out of its pages:
// first into the tail room, then by moving everything into the head room.
func xdpPullData(c *vm.CPU, x *XDP, args *[5]uint64) (uint64, error) {
	n := uint32(args[1])
	if n <= x.headLen() {
		return x.refuse(c, 0)
	}
	tailroom := pageSize - sharedInfo - x.headroom - int(x.obj.Size)
	delta := int(n) - int(x.headLen())
	if n > x.Len() || delta > tailroom+x.headroom-xdpFrameSize {
		return x.refuse(c, errno.EINVAL)
	}
	if shift := delta - tailroom; shift > 0 {
		x.takeBelow(shift)
		x.headroom -= shift
	}
	if _, err := x.pull(c.Site(), n); err != nil {
		return errno.ENOMEM.Neg(), nil
	}
	x.hasFrags = len(x.frags) > 0
	x.sync()
	return 0, nil
}
