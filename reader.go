package bpfct

import (
	"errors"
	"fmt"
	"os"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/vm/maps"
)

// ErrNoRecord says that nothing is left to read. errors.Is(err,
// os.ErrDeadlineExceeded) holds, too: a reader never waits, as one of cilium/ebpf
// whose deadline has passed.
var ErrNoRecord = fmt.Errorf("no record: %w", os.ErrDeadlineExceeded)

// RingbufRecord is what a program wrote into a ring buffer.
type RingbufRecord struct {
	RawSample []byte
	// Remaining is how many bytes the ring holds after this record.
	Remaining int
}

// RingbufReader reads a BPF_MAP_TYPE_RINGBUF as cilium/ebpf's ringbuf.Reader does,
// but never waits. Its methods may be called from several goroutines.
type RingbufReader struct {
	ring *maps.RingBuf
}

// NewRingbufReader reads from a ring buffer.
func NewRingbufReader(ringbufMap *Map) (*RingbufReader, error) {
	ring, ok := ringbufMap.m.(*maps.RingBuf)
	if !ok {
		return nil, fmt.Errorf("%v is no ring buffer", ringbufMap)
	}
	return &RingbufReader{ring}, nil
}

// Read returns the oldest record. It is ErrNoRecord when there is none, or a
// program has not submitted it yet.
func (r *RingbufReader) Read() (RingbufRecord, error) {
	data, ok := r.ring.Next()
	if !ok {
		return RingbufRecord{}, ErrNoRecord
	}
	return RingbufRecord{RawSample: data, Remaining: r.ring.Buffered()}, nil
}

// AvailableBytes is how many bytes of the ring records take, read ones aside.
func (r *RingbufReader) AvailableBytes() int { return r.ring.Buffered() }

// BufferSize is the size of the ring in bytes.
func (r *RingbufReader) BufferSize() int { return int(r.ring.Info().MaxEntries) }

// Wakeups is how often the kernel would have woken a reader that waits.
func (r *RingbufReader) Wakeups() uint64 { return r.ring.Wakeups() }

// PerfRecord is what a program wrote into a perf event array.
type PerfRecord struct {
	CPU       int
	RawSample []byte
	// LostSamples is how many records did not fit before this one; RawSample is nil
	// then.
	LostSamples uint64
}

// PerfReader reads a BPF_MAP_TYPE_PERF_EVENT_ARRAY as cilium/ebpf's perf.Reader
// does, but never waits. Its methods may be called from several goroutines.
type PerfReader struct {
	array *maps.PerfArray
	rings []*maps.PerfRing
}

// NewPerfReader opens a ring of at least perCPUBuffer bytes on each CPU and puts
// it into the array; until then programs that write get ENOENT.
func NewPerfReader(array *Map, perCPUBuffer int) (*PerfReader, error) {
	perf, ok := array.m.(*maps.PerfArray)
	if !ok {
		return nil, fmt.Errorf("%v is no perf event array", array)
	}
	if perCPUBuffer < 1 {
		return nil, fmt.Errorf("%v: a buffer of %d bytes", array, perCPUBuffer)
	}
	rings, err := perf.Open(perCPUBuffer)
	if err != nil {
		return nil, err
	}
	return &PerfReader{perf, rings}, nil
}

// Read returns the oldest record of the first CPU that has one, ErrNoRecord when
// none has.
func (r *PerfReader) Read() (PerfRecord, error) {
	for _, ring := range r.rings {
		if rec, ok := ring.Next(); ok {
			return PerfRecord{CPU: rec.CPU, RawSample: rec.Data, LostSamples: rec.Lost}, nil
		}
	}
	return PerfRecord{}, ErrNoRecord
}

// Close takes the rings out of the array; what is in them can still be read.
func (r *PerfReader) Close() error {
	for cpu := range r.rings {
		key := []byte{byte(cpu), byte(cpu >> 8), 0, 0}
		if err := r.array.Delete(key); err != nil && !errors.Is(err, errno.ENOENT) {
			return userError(err)
		}
	}
	return nil
}
