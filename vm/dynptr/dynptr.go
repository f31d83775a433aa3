package dynptr

import (
	"encoding/binary"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/vm"
)

// Packet is implemented by the owners of context objects whose packets dynptrs
// may be of.
type Packet interface {
	// Len is the length of the packet.
	Len() uint32
	// Linear is the guest address and the length of what lies there in one piece,
	// from the start of the packet.
	Linear() (addr uint64, n uint32)
	// Meta is the guest address and the length of the metadata before the packet.
	Meta() (addr uint64, n uint32)
	// LoadBytes copies the bytes at off to dst; false when they are not all there.
	LoadBytes(off uint32, dst []byte) bool
}

// pieces is implemented by packets of which other parts than the first may lie
// in one piece, as those of an XDP frame do.
type pieces interface {
	// Piece is the guest address of the n bytes at off, 0 if they do not lie in
	// one piece.
	Piece(off, n uint32) (uint64, error)
}

const (
	stateSize = 16              // struct bpf_dynptr
	maxSize   = 1<<24 - 1       // DYNPTR_MAX_SIZE
	typeShift = 28              // DYNPTR_TYPE_SHIFT
	readOnly  = uint32(1) << 31 // DYNPTR_RDONLY_BIT
)

// kind is what a dynptr is of (enum bpf_dynptr_type).
type kind uint32

const (
	invalid kind = iota
	local
	ringbuf
	skb
	xdp
	skbMeta
)

// state is a dynptr: zero for a null one.
type state struct {
	data uint64 // address of the memory, or of the packet's context
	word uint32 // read-only bit, kind, size
	off  uint32
}

func makeState(data uint64, k kind, size uint32) state {
	return state{data: data, word: uint32(k)<<typeShift | size}
}

func (s state) kind() kind       { return kind(s.word &^ readOnly >> typeShift) }
func (s state) size() uint32     { return s.word & maxSize }
func (s state) isNull() bool     { return s.data == 0 }
func (s state) isReadOnly() bool { return s.word&readOnly != 0 }

// check is E2BIG unless n bytes at off are in the dynptr.
func (s state) check(off, n uint32) errno.Errno {
	if n > s.size() || off > s.size()-n {
		return errno.E2BIG
	}
	return 0
}

// load reads the dynptr at addr.
func load(c *vm.CPU, reg string, addr uint64) (state, error) {
	b, err := c.Read(reg, addr, stateSize)
	if err != nil {
		return state{}, err
	}
	le := binary.LittleEndian
	return state{le.Uint64(b), le.Uint32(b[8:]), le.Uint32(b[12:])}, nil
}

// store writes the dynptr at addr.
func store(c *vm.CPU, reg string, addr uint64, s state) error {
	b, err := c.Write(reg, addr, stateSize)
	if err != nil {
		return err
	}
	le := binary.LittleEndian
	le.PutUint64(b, s.data)
	le.PutUint32(b[8:], s.word)
	le.PutUint32(b[12:], s.off)
	return nil
}

// result makes a dynptr at addr, a null one for an errno, and is what the
// function returns.
func result(c *vm.CPU, reg string, addr uint64, s state, e errno.Errno) (uint64, error) {
	if e != 0 {
		s = state{}
	}
	return e.Neg(), store(c, reg, addr, s)
}

// helper calls another helper with guest arguments.
func helper(c *vm.CPU, name string, args ...uint64) (uint64, error) {
	f := c.M.Registry.Lookup(name)
	if f == nil {
		return 0, c.Fault(vm.IllegalInsn, "", "the machine does not run %s", name)
	}
	var a [5]uint64
	copy(a[:], args)
	return f(c, &a)
}

// packet is the packet of a dynptr of kind skb, xdp or skbMeta.
func (s state) packet(c *vm.CPU) (Packet, error) {
	p, _, err := vm.OwnerAt[Packet](c, "R1", s.data)
	return p, err
}

// pointer is the address of the n bytes at off where they lie in one piece, 0
// where they do not.
func (s state) pointer(c *vm.CPU, off, n uint32) (uint64, error) {
	off += s.off
	switch s.kind() {
	case local, ringbuf:
		return s.data + uint64(off), nil
	case skb, xdp:
		p, err := s.packet(c)
		if err != nil {
			return 0, err
		}
		if in, ok := p.(pieces); ok {
			addr, err := in.Piece(off, n)
			if err != nil {
				return 0, nil // out of memory: as if it were in pieces
			}
			return addr, nil
		}
		addr, linear := p.Linear()
		if uint64(off)+uint64(n) > uint64(linear) {
			return 0, nil
		}
		return addr + uint64(off), nil
	case skbMeta:
		p, err := s.packet(c)
		if err != nil {
			return 0, err
		}
		addr, _ := p.Meta()
		return addr + uint64(off), nil
	}
	return 0, c.Fault(vm.BadArgument, "R1", "dynptr of unknown kind %d", s.kind())
}

// read copies the n bytes at off to the guest address dst, which the program
// gave in register reg. The result is 0 or an errno negated.
func (s state) read(c *vm.CPU, reg string, dst uint64, n, off uint32, flags uint64) (uint64, error) {
	if s.isNull() || flags != 0 {
		return errno.EINVAL.Neg(), nil
	}
	if e := s.check(off, n); e != 0 {
		return e.Neg(), nil
	}
	switch s.kind() {
	case skb:
		return helper(c, "bpf_skb_load_bytes", s.data, uint64(s.off+off), dst, uint64(n))
	case xdp:
		return helper(c, "bpf_xdp_load_bytes", s.data, uint64(s.off+off), dst, uint64(n))
	}
	src, err := s.pointer(c, off, n)
	if err != nil {
		return 0, err
	}
	return 0, move(c, reg, dst, "R3", src, n)
}

// write copies the n bytes at the guest address src, which the program gave in
// register reg, to off.
func (s state) write(c *vm.CPU, off uint32, reg string, src uint64, n uint32, flags uint64) (uint64, error) {
	if s.isNull() || s.isReadOnly() {
		return errno.EINVAL.Neg(), nil
	}
	if e := s.check(off, n); e != 0 {
		return e.Neg(), nil
	}
	if s.kind() == skb {
		return helper(c, "bpf_skb_store_bytes", s.data, uint64(s.off+off), src, uint64(n), flags)
	}
	if flags != 0 {
		return errno.EINVAL.Neg(), nil
	}
	if s.kind() == xdp {
		return helper(c, "bpf_xdp_store_bytes", s.data, uint64(s.off+off), src, uint64(n))
	}
	dst, err := s.pointer(c, off, n)
	if err != nil {
		return 0, err
	}
	return 0, move(c, "R1", dst, reg, src, n)
}

// move copies guest memory, which may overlap.
func move(c *vm.CPU, dstReg string, dst uint64, srcReg string, src uint64, n uint32) error {
	to, err := c.Write(dstReg, dst, n)
	if err != nil {
		return err
	}
	from, err := c.Read(srcReg, src, n)
	if err != nil {
		return err
	}
	vm.Copy(to, from)
	return nil
}
