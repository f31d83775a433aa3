package defrag

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/bpfct/bpfct/packet"
)

// ErrMTU is what [Fragment] answers where not even eight bytes of data fit in a
// fragment.
var ErrMTU = errors.New("fragments are too short for the header")

// ErrDontFragment is what [Fragment] answers for a packet that is too long and
// must not be fragmented.
var ErrDontFragment = errors.New("it must not be fragmented")

// Fragment takes an IP packet apart into fragments of at most size bytes. A
// packet that is short enough comes back as it is. An IPv6 packet gets a
// fragment header with id; an IPv4 packet keeps its own id, and force says that
// "don't fragment" means nothing, as for one that came in fragments.
func Fragment(ip []byte, size int, id uint32, force bool) ([][]byte, error) {
	if len(ip) <= size {
		return [][]byte{ip}, nil
	}
	link := packet.LinkRaw
	info, err := packet.Parse(ip, link)
	if info.Version == 0 {
		return nil, fmt.Errorf("fragment: no IP packet: %w", err)
	}
	if info.Version == 4 {
		return fragment4(ip[:info.End], size, force)
	}
	return fragment6(ip[:info.End], size, id)
}

func fragment4(ip []byte, size int, force bool) ([][]byte, error) {
	if ip[6]&0x40 != 0 && !force {
		return nil, ErrDontFragment
	}
	n := int(ip[0]&0xf) * 4
	header, data := ip[:n], ip[n:]
	room := (size - n) &^ 7
	if room <= 0 {
		return nil, ErrMTU
	}
	later := copied(header)
	was := binary.BigEndian.Uint16(ip[6:])
	var out [][]byte
	for off := 0; off < len(data); off += room {
		h := header
		if off > 0 {
			h = later
		}
		d := data[off:min(off+room, len(data))]
		f := append(append(make([]byte, 0, len(h)+len(d)), h...), d...)
		binary.BigEndian.PutUint16(f[2:], uint16(len(f)))
		frag := was + uint16(off/8)
		if off+room < len(data) {
			frag |= 0x2000
		}
		binary.BigEndian.PutUint16(f[6:], frag)
		f[10], f[11] = 0, 0
		binary.BigEndian.PutUint16(f[10:], packet.Checksum(f[:len(h)]))
		out = append(out, f)
	}
	return out, nil
}

// copied is the header of the fragments behind the first: options that are not
// to be copied (RFC 791) become no operation.
func copied(header []byte) []byte {
	h := append([]byte(nil), header...)
	for o := h[20:]; len(o) > 0 && o[0] != 0; {
		if o[0] == 1 {
			o = o[1:]
			continue
		}
		if len(o) < 2 || int(o[1]) < 2 || int(o[1]) > len(o) {
			break
		}
		n := int(o[1])
		if o[0]&0x80 == 0 {
			for i := range n {
				o[i] = 1
			}
		}
		o = o[n:]
	}
	return h
}

func fragment6(ip []byte, size int, id uint32) ([][]byte, error) {
	n, at := unfragmentable(ip)
	proto := ip[at]
	room := (size - n - 8) &^ 7
	if room <= 0 {
		return nil, ErrMTU
	}
	data := ip[n:]
	var out [][]byte
	for off := 0; off < len(data); off += room {
		d := data[off:min(off+room, len(data))]
		f := append(make([]byte, 0, n+8+len(d)), ip[:n]...)
		f[at] = packet.ProtoFragment
		binary.BigEndian.PutUint16(f[4:], uint16(n+8+len(d)-40))
		var fh [8]byte
		fh[0] = proto
		v := uint16(off)
		if off+room < len(data) {
			v |= 1
		}
		binary.BigEndian.PutUint16(fh[2:], v)
		binary.BigEndian.PutUint32(fh[4:], id)
		out = append(out, append(append(f, fh[:]...), d...))
	}
	return out, nil
}

// unfragmentable is the length of the part of an IPv6 packet that every
// fragment has (RFC 8200, 4.5), and where the number of what follows stands.
func unfragmentable(ip []byte) (n, at int) {
	n, at = 40, 6
	off, next := 40, ip[6]
	for off+8 <= len(ip) {
		size := 8 * (int(ip[off+1]) + 1)
		switch next {
		case packet.ProtoHopByHop, packet.ProtoRouting:
			if off+size > len(ip) {
				return n, at
			}
			n, at = off+size, off // and all headers before it
		case packet.ProtoDstOpts: // goes with a routing header behind it
		default:
			return n, at
		}
		next = ip[off]
		off += size
	}
	return n, at
}
