package maps

import (
	"encoding/binary"
	"sync/atomic"

	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/kernel"
)

// maxCPUQueue is the largest queue that the kernel makes for a CPU.
const maxCPUQueue = 16384

// CPUMap is a BPF_MAP_TYPE_CPUMAP.
type CPUMap struct {
	targets[CPUTarget]
	slots []atomic.Pointer[target[CPUTarget]]
}

func checkCPUMap(_ *kernel.Profile, s *ebpf.MapSpec) error {
	if extra := s.Flags &^ NumaNode; extra != 0 {
		return bad("flags %#x are not for this type", extra)
	}
	if s.KeySize != 4 || s.ValueSize != 4 && s.ValueSize != 8 {
		return bad("the key has 4 bytes and the value 4 or 8")
	}
	return nil
}

func newCPUMap(b *base, s *ebpf.MapSpec) (Map, error) {
	m := &CPUMap{newTargets[CPUTarget](b), make([]atomic.Pointer[target[CPUTarget]], s.MaxEntries)}
	return m, b.init(m)
}

// RedirectTarget is the CPUTarget at key, nil for none.
func (m *CPUMap) RedirectTarget(key uint32) any {
	if t := m.at(key); t != nil {
		return t.of
	}
	return nil
}

// CanBroadcast reports that the map does not take BPF_F_BROADCAST.
func (m *CPUMap) CanBroadcast() bool { return false }

func (m *CPUMap) at(key uint32) *target[CPUTarget] {
	if key >= uint32(len(m.slots)) {
		return nil
	}
	return m.slots[key].Load()
}

func (m *CPUMap) userLookup(key []byte, _ uint64) ([]byte, error) {
	i, _ := m.index(key)
	if t := m.at(i); t != nil {
		return m.bytes(t), nil
	}
	return nil, errno.ENOENT
}

func (m *CPUMap) set(key []byte, c CPUTarget, flags uint64) error {
	i, ok := m.index(key)
	switch {
	case flags > Exist:
		return errno.EINVAL
	case !ok:
		return errno.E2BIG
	case flags == NoExist:
		return errno.EEXIST
	case c.QueueSize > maxCPUQueue:
		return errno.EOVERFLOW
	}
	var t *target[CPUTarget]
	if c.QueueSize != 0 {
		// The kernel says ENOMEM for whatever went wrong in making the element.
		if p := c.Program.Program; p != nil && (m.info.ValueSize == 4 || p.Type != ebpf.XDP || p.AttachType != ebpf.AttachXDPCPUMap) {
			return errno.ENOMEM
		}
		c.CPU = i
		var err error
		if t, err = m.newTarget(c, c.QueueSize, c.Program); err != nil {
			return err
		}
	}
	m.end(m.slots[i].Swap(t))
	return nil
}

func (m *CPUMap) userUpdate(key, value []byte, flags uint64) error {
	c := CPUTarget{QueueSize: binary.LittleEndian.Uint32(value)}
	if i, ok := m.index(key); ok && i < m.info.MaxEntries && flags <= Exist && flags != NoExist && c.QueueSize != 0 &&
		c.QueueSize <= maxCPUQueue && len(value) == 8 && int32(binary.LittleEndian.Uint32(value[4:])) > 0 {
		return errno.ENOMEM // a descriptor, of which there are none here
	}
	return m.set(key, c, flags)
}

func (m *CPUMap) userUpdateRef(key []byte, ref any, flags uint64) error {
	c, ok := ref.(CPUTarget)
	if !ok {
		return errno.EINVAL
	}
	return m.set(key, c, flags)
}

func (m *CPUMap) userRemove(key []byte) error {
	i, ok := m.index(key)
	if !ok {
		return errno.EINVAL
	}
	m.end(m.slots[i].Swap(nil))
	return nil
}

func (m *CPUMap) nextKey(key []byte) ([]byte, error) { return m.nextIndex(key) }
