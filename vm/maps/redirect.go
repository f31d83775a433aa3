package maps

import (
	"encoding/binary"

	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/kernel"
	"github.com/bpfct/bpfct/vm"
)

// DevTarget is an element of a device map: what UpdateRef takes to set a program
// with the device, and what RedirectTarget returns.
type DevTarget struct {
	Ifindex uint32
	// Program runs on packets that are sent to the device; its Program may be nil.
	Program Prog
}

// CPUTarget is an element of a CPU map, as DevTarget.
type CPUTarget struct {
	CPU       uint32
	QueueSize uint32
	Program   Prog
}

func checkDevMap(_ *kernel.Profile, s *ebpf.MapSpec) error {
	if extra := s.Flags &^ (NumaNode | ReadOnly | WriteOnly); extra != 0 {
		return bad("flags %#x are not for this type", extra)
	}
	if s.MaxEntries == 0 || s.KeySize != 4 || s.ValueSize != 4 && s.ValueSize != 8 {
		return bad("entries must not be 0, the key has 4 bytes and the value 4 or 8")
	}
	if s.Type == ebpf.DevMapHash && s.MaxEntries > 1<<31 {
		return bad("too many entries")
	}
	return nil
}

// target is a redirect map's element: its value in guest memory, which programs
// may read, and what it means.
type target[T any] struct {
	value *vm.Object
	of    T
}

// targets makes and ends the elements of a redirect map.
type targets[T any] struct {
	*base
	pool pool
}

func newTargets[T any](b *base) targets[T] {
	return targets[T]{b, pool{b: b, readOnly: true}}
}

// newTarget is the element for a value of ifindex or queue size, and program.
func (t *targets[T]) newTarget(of T, first uint32, prog Prog) (*target[T], error) {
	value := binary.LittleEndian.AppendUint32(nil, first)
	value = binary.LittleEndian.AppendUint32(value, prog.ID)
	o, err := t.pool.get()
	if err != nil {
		return nil, err
	}
	t.copyIn(o, 0, value)
	return &target[T]{o, of}, nil
}

// end gives back an element that was replaced or removed, if there was one.
func (t *targets[T]) end(e *target[T]) {
	if e != nil {
		t.pool.put(e.value)
	}
}

// bytes is the value as the user reads it.
func (t *targets[T]) bytes(e *target[T]) []byte {
	v := make([]byte, t.info.ValueSize)
	t.copyOut(v, e.value, 0)
	return v
}

// devTarget makes a device map's element of what the user gave.
func devTarget(b *targets[DevTarget], value []byte, ref *DevTarget) (*target[DevTarget], error) {
	var d DevTarget
	if ref != nil {
		d = *ref
	} else {
		d.Ifindex = binary.LittleEndian.Uint32(value)
		if len(value) == 8 && int32(binary.LittleEndian.Uint32(value[4:])) > 0 {
			return nil, errno.EINVAL // a descriptor, of which there are none here
		}
	}
	switch p := d.Program.Program; {
	case d.Ifindex == 0 && p == nil:
		return nil, nil
	case d.Ifindex == 0:
		return nil, errno.EINVAL
	case int32(d.Ifindex) < 0, b.opts.HasDevice != nil && !b.opts.HasDevice(int(d.Ifindex)):
		return nil, errno.EINVAL
	case p != nil && (len(value) == 4 || p.Type != ebpf.XDP || p.AttachType != ebpf.AttachXDPDevMap):
		return nil, errno.EINVAL
	}
	return b.newTarget(d, d.Ifindex, d.Program)
}
