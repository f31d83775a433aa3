package pkt

import "github.com/bpfct/bpfct/vm"

// maxPointer bounds offset and length of what bpf_xdp_pointer finds.
const maxPointer = 0xffff

// Piece is the guest address of the n bytes of the packet at off if they lie in
// one piece, be that a page behind the linear part; 0 if they do not. A page gets
// a guest address when a program first asks for one.
func (x *XDP) Piece(off, n uint32) (uint64, error) {
	if off > maxPointer || n > maxPointer {
		return 0, nil
	}
	addr, size := x.Linear()
	if off < size {
		if n > size-off {
			return 0, nil
		}
		return addr + uint64(off), nil
	}
	off -= size
	for i, page := range x.frags {
		if size := uint32(len(page)); off >= size {
			off -= size
			continue
		} else if n > size-off {
			return 0, nil
		}
		o, err := x.pageObject(i)
		if err != nil {
			return 0, err
		}
		return o.Addr() + uint64(off), nil
	}
	if off == 0 && n <= size {
		return addr, nil // nothing at the end of the packet is somewhere
	}
	return 0, nil
}

// pageObject moves page i to guest memory.
func (x *XDP) pageObject(i int) (*vm.Object, error) {
	page := x.frags[i]
	if o := x.pages[&page[0]]; o != nil {
		o.SetWindow(0, uint32(len(page)))
		return o, nil
	}
	o, err := x.alloc(uint32(cap(page)))
	if err != nil {
		return nil, err
	}
	o.SetWindow(0, uint32(len(page)))
	copy(o.Bytes(), page)
	x.frags[i] = o.Bytes()[:len(page):cap(page)]
	if x.pages == nil {
		x.pages = make(map[*byte]*vm.Object)
	}
	x.pages[&o.Bytes()[0]] = o
	return o, nil
}
