package maps

import (
	"math/bits"
	"sync"

	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/vm"
)

// Flags of bpf_perf_event_output.
const (
	perfIndexMask  = 1<<32 - 1
	perfCurrentCPU = perfIndexMask
	perfCtxLenMask = 0xfffff << 32
)

// PerfArray is a BPF_MAP_TYPE_PERF_EVENT_ARRAY: rings that the user puts into it
// and to which programs write.
type PerfArray struct {
	refArray[PerfRing]
}

// PerfRing is a perf event of the kind that takes bpf_perf_event_output, open on
// one CPU, with its ring of bytes.
type PerfRing struct {
	cpu  int
	size int

	mu      sync.Mutex
	used    int    // bytes that records take; guarded by mu
	lost    uint64 // records that did not fit since the last one that did; guarded by mu
	records []PerfRecord
}

// PerfRecord is what a program wrote, or how many writes were lost before it.
type PerfRecord struct {
	CPU int
	// Data is the bytes that the program gave and those of the packet that it
	// asked for. A reader of the kernel's ring sees up to 7 more at its end.
	Data []byte
	// Lost is the number of records that did not fit; Data is nil then.
	Lost uint64
}

const (
	perfHeader  = 8      // struct perf_event_header
	perfLostLen = 8 + 16 // header, id, count
)

// NewPerfRing opens a ring of at least the given number of bytes on a CPU: the
// kernel's are a power of two of pages.
func NewPerfRing(cpu, size int) *PerfRing {
	pages := max((size+pageSize-1)/pageSize, 1)
	return &PerfRing{cpu: cpu, size: pageSize << bits.Len(uint(pages-1))}
}

func newPerfArray(b *base, _ *ebpf.MapSpec) (Map, error) {
	slots, err := newRefArray[PerfRing](b)
	if err != nil {
		return nil, err
	}
	p := &PerfArray{slots}
	if err := b.init(p); err != nil {
		return nil, err
	}
	b.setArrayHandle()
	return p, nil
}

func (p *PerfArray) userUpdateRef(key []byte, ref any, flags uint64) error {
	ring, ok := ref.(*PerfRing)
	if _, in := p.index(key); in && flags == Any && (!ok || ring == nil) {
		return errno.EBADF
	}
	return p.put(key, ring, flags)
}

// Open puts a new ring of at least the given number of bytes for each CPU into
// the array, as a reader does, and returns the rings by CPU.
func (p *PerfArray) Open(size int) ([]*PerfRing, error) {
	var rings []*PerfRing
	for cpu := range min(p.m.CPUs, len(p.slots)) {
		r := NewPerfRing(cpu, size)
		if err := p.UpdateRef(uint32Bytes(uint32(cpu)), r, Any); err != nil {
			return nil, err
		}
		rings = append(rings, r)
	}
	return rings, nil
}

// releaseUser empties the array: the rings go with the user who opened them,
// unless BPF_F_PRESERVE_ELEMS keeps them.
func (p *PerfArray) releaseUser() {
	if p.info.Flags&PreserveElems == 0 {
		p.clear()
	}
}

// write appends a record to the ring.
func (r *PerfRing) write(data []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	// The data follow their length, together padded to a multiple of 8.
	need := perfHeader + (len(data)+4+7)&^7
	if r.lost > 0 {
		need += perfLostLen
	}
	if need > r.size-1-r.used {
		r.lost++
		return errno.ENOSPC
	}
	if r.lost > 0 {
		r.records = append(r.records, PerfRecord{CPU: r.cpu, Lost: r.lost})
		r.lost = 0
	}
	r.used += need
	r.records = append(r.records, PerfRecord{CPU: r.cpu, Data: data})
	return nil
}

// Next returns the oldest record; ok is false when there is none.
func (r *PerfRing) Next() (rec PerfRecord, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.records) == 0 {
		return PerfRecord{}, false
	}
	rec = r.records[0]
	r.records = r.records[1:]
	if rec.Data == nil && rec.Lost > 0 {
		r.used -= perfLostLen
	} else {
		r.used -= perfHeader + (len(rec.Data)+4+7)&^7
	}
	return rec, true
}

// PacketContext is the part of a packet's context that perf output needs.
type PacketContext interface {
	// Len is the length of the packet.
	Len() uint32
	// LoadBytes copies the bytes at off to dst; false when they are not all there.
	LoadBytes(off uint32, dst []byte) bool
}

func perfArrays(t ebpf.MapType) bool { return t == ebpf.PerfEventArray }

// perfOutput is bpf_perf_event_output of TC and XDP programs: ctx, map, flags,
// data, size. The upper bits of flags ask for as many bytes of the packet.
func perfOutput(c *vm.CPU, a *[5]uint64) (uint64, error) {
	m, err := mapAt(c, "R2", a[1], perfArrays)
	if err != nil {
		return 0, err
	}
	meta, err := c.Read("R4", a[3], uint32(a[4]))
	if err != nil {
		return 0, err
	}
	flags := a[2]
	if flags&^uint64(perfCtxLenMask|perfIndexMask) != 0 {
		return errno.EINVAL.Neg(), nil
	}
	data := append([]byte{}, meta...)
	if n := uint32(flags & perfCtxLenMask >> 32); n > 0 {
		pkt, ok := c.Ctx.(PacketContext)
		if !ok || n > pkt.Len() {
			return errno.EFAULT.Neg(), nil
		}
		data = append(data, make([]byte, n)...)
		if !pkt.LoadBytes(0, data[len(meta):]) {
			return errno.EFAULT.Neg(), nil
		}
	}
	return result(0, m.(*PerfArray).output(c.ID, flags, data))
}

// output writes to the ring that flags choose, which must be open on this CPU.
func (p *PerfArray) output(cpu int, flags uint64, data []byte) error {
	index := flags & perfIndexMask
	if index == perfCurrentCPU {
		index = uint64(cpu)
	}
	if index >= uint64(p.info.MaxEntries) {
		return errno.E2BIG
	}
	ring := p.get(uint32(index))
	switch {
	case ring == nil:
		return errno.ENOENT
	case ring.cpu != cpu:
		return errno.EOPNOTSUPP
	case len(data) > 1<<16-1-perfHeader-4-7:
		return errno.E2BIG
	}
	return ring.write(data)
}
