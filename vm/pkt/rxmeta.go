package pkt

import (
	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/vm"
)

// rxMetadata gives f what the device knows of the packet, or returns as the
// kfuncs do: EOPNOTSUPP from a device that tells nothing, ENODATA from one that
// does not know it of this packet.
func rxMetadata(x *XDP, known func(*RxMetadata) bool, f func(*RxMetadata)) (uint64, error) {
	switch {
	case x.metadata == nil:
		return errno.EOPNOTSUPP.Neg(), nil
	case !known(x.metadata):
		return errno.ENODATA.Neg(), nil
	}
	f(x.metadata)
	return 0, nil
}

func rxTimestamp(c *vm.CPU, x *XDP, args *[5]uint64) (uint64, error) {
	to, err := c.Write("R2", args[1], 8)
	if err != nil {
		return 0, err
	}
	return rxMetadata(x, func(m *RxMetadata) bool { return m.Timestamp != nil }, func(m *RxMetadata) {
		le.PutUint64(to, *m.Timestamp)
	})
}

func rxHash(c *vm.CPU, x *XDP, args *[5]uint64) (uint64, error) {
	hash, err := c.Write("R2", args[1], 4)
	if err != nil {
		return 0, err
	}
	typ, err := c.Write("R3", args[2], 4)
	if err != nil {
		return 0, err
	}
	return rxMetadata(x, func(m *RxMetadata) bool { return m.Hash != nil }, func(m *RxMetadata) {
		le.PutUint32(hash, m.Hash.Hash)
		le.PutUint32(typ, m.Hash.Type)
	})
}

func rxVLANTag(c *vm.CPU, x *XDP, args *[5]uint64) (uint64, error) {
	proto, err := c.Write("R2", args[1], 2)
	if err != nil {
		return 0, err
	}
	tci, err := c.Write("R3", args[2], 2)
	if err != nil {
		return 0, err
	}
	return rxMetadata(x, func(m *RxMetadata) bool { return m.VLAN != nil }, func(m *RxMetadata) {
		le.PutUint16(proto, bswap16(m.VLAN.Proto))
		le.PutUint16(tci, m.VLAN.TCI)
	})
}
