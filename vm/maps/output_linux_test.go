package maps

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/perf"
	"github.com/cilium/ebpf/ringbuf"
	"pgregory.net/rapid"

	"github.com/bpfct/bpfct/netns"
	"github.com/bpfct/bpfct/vm"
)

// Operations of testdata/output.c.
const (
	outOutput = iota
	outSubmit
	outDiscard
	outQuery
	outPerf
	outBig
	outTwo

	outCount = 32
)

type outOp struct {
	Op, Size     uint32
	Flags        uint64
	ReserveFlags uint64
	Data         [256]byte
}

// packet is a context that has bytes.
type packet struct {
	addr uint64
	data []byte
}

func (p *packet) Addr() uint64        { return p.addr }
func (p *packet) Netns() *netns.Netns { return nil }
func (p *packet) Len() uint32         { return uint32(len(p.data)) }
func (p *packet) LoadBytes(off uint32, dst []byte) bool {
	return int(off)+len(dst) <= len(p.data) && copy(dst, p.data[off:]) == len(dst)
}

// perform runs operations on both sides and compares what they returned.
func (tw *twin) performOutput(t *rapid.T, ops []outOp, cpu int, pkt []byte) {
	t.Helper()
	for i := range uint32(outCount) {
		o := outOp{Op: opIdle}
		if int(i) < len(ops) {
			o = ops[i]
		}
		tw.put(t, "ops", i, encode(t, &o))
		tw.put(t, "results", i, make([]byte, 8))
	}
	ctx, err := tw.m.Mem.Alloc(vm.ObjectSpec{Kind: vm.KindContext, Size: 8})
	if err != nil {
		t.Fatal(err)
	}
	tw.run(t, cpu, &packet{ctx.Addr(), pkt}, pkt)
	for i := range ops {
		ours, kern := tw.results(t, "results", uint32(i))
		if !bytes.Equal(ours, kern) {
			t.Fatalf("operation %d, %d, size %d, flags %#x %#x: %x, kernel %x", i, ops[i].Op, ops[i].Size, ops[i].Flags, ops[i].ReserveFlags, ours, kern)
		}
	}
}

func drawOutOp(t *rapid.T) outOp {
	o := outOp{
		Op:           rapid.SampledFrom([]uint32{outOutput, outOutput, outSubmit, outSubmit, outDiscard, outQuery, outBig, outTwo}).Draw(t, "op"),
		Size:         rapid.Uint32Range(0, 255).Draw(t, "size"),
		Flags:        rapid.SampledFrom([]uint64{0, 0, 1, 2, 3, 4}).Draw(t, "flags"),
		ReserveFlags: rapid.SampledFrom([]uint64{0, 0, 0, 0, 1}).Draw(t, "reserve flags"),
	}
	rapid.SliceOfN(rapid.Byte(), 8, 8).Draw(t, "data")
	binary.LittleEndian.PutUint64(o.Data[:], rapid.Uint64().Draw(t, "data"))
	return o
}

func TestKernelRingBuffers(t *testing.T) {
	onKernel(t)
	spec, err := ebpf.LoadCollectionSpec("testdata/output.o")
	if err != nil {
		t.Fatal(err)
	}
	checkSome(t, func(t *rapid.T) {
		size := rapid.SampledFrom([]uint32{4096, 4096, 8192}).Draw(t, "ring size")
		tw := loadTwin(t, spec, "tc_output", possibleCPUs(t), func(maps map[string]*ebpf.MapSpec) { maps["ring"].MaxEntries = size })
		ours := tw.maps["ring"].(*RingBuf)
		kern, err := ringbuf.NewReader(tw.coll.Maps["ring"])
		if err != nil {
			t.Fatal(err)
		}
		defer kern.Close()
		for range rapid.IntRange(1, 5).Draw(t, "runs") {
			ops := make([]outOp, rapid.IntRange(1, outCount).Draw(t, "ops"))
			for i := range ops {
				ops[i] = drawOutOp(t)
			}
			tw.performOutput(t, ops, 0, make([]byte, 64))
			for range rapid.IntRange(0, 60).Draw(t, "reads") {
				if !sameRingRecord(t, ours, kern) {
					break
				}
			}
		}
		for sameRingRecord(t, ours, kern) {
		}
	})
}

// sameRingRecord reads a record on both sides; false when there is none.
func sameRingRecord(t *rapid.T, ours *RingBuf, kern *ringbuf.Reader) bool {
	t.Helper()
	kern.SetDeadline(time.Unix(1, 0))
	rec, err := kern.Read()
	data, ok := ours.Next()
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	if ok != (err == nil) {
		t.Fatalf("record %x, %v, kernel %v", data, ok, err)
	}
	if ok && len(data) != len(rec.RawSample) {
		t.Fatalf("record of %d bytes, kernel %d", len(data), len(rec.RawSample))
	}
	// What a program does not write of a reserved record is whatever the ring had.
	n := min(len(data), 40)
	if ok && !bytes.Equal(data[:n], rec.RawSample[:n]) {
		t.Fatalf("record %x, kernel %x", data, rec.RawSample)
	}
	return ok
}

func TestKernelPerfOutput(t *testing.T) {
	onKernel(t)
	cpus := possibleCPUs(t)
	spec, err := ebpf.LoadCollectionSpec("testdata/output.o")
	if err != nil {
		t.Fatal(err)
	}
	for _, prog := range []string{"tc_output", "xdp_output"} {
		t.Run(prog, func(t *testing.T) {
			onKernel(t)
			checkSome(t, func(t *rapid.T) { checkPerf(t, spec, prog, cpus) })
		})
	}
}

func checkPerf(t *rapid.T, spec *ebpf.CollectionSpec, prog string, cpus int) {
	tw := loadTwin(t, spec, prog, cpus, nil)
	var rings []*PerfRing
	var kern *perf.Reader
	if rapid.IntRange(0, 5).Draw(t, "readers") > 0 {
		var err error
		kern, err = perf.NewReaderWithOptions(tw.coll.Maps["events"], 4096, perf.ReaderOptions{Watermark: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer kern.Close()
		if rings, err = tw.maps["events"].(*PerfArray).Open(4096); err != nil {
			t.Fatal(err)
		}
	}
	pkt := rapid.SliceOfN(rapid.Byte(), 64, 90).Draw(t, "packet")
	for range rapid.IntRange(1, 3).Draw(t, "runs") {
		ops := make([]outOp, rapid.IntRange(1, outCount).Draw(t, "ops"))
		for i := range ops {
			ops[i] = outOp{Op: outPerf, Size: rapid.Uint32Range(0, 255).Draw(t, "size"),
				Flags: rapid.SampledFrom([]uint64{perfCurrentCPU, perfCurrentCPU, perfCurrentCPU, 0, 1, 2, 1 << 52}).Draw(t, "flags")}
			ops[i].Flags |= uint64(rapid.SampledFrom([]uint32{0, 0, 14, 64, 70, 100, 1 << 19}).Draw(t, "ctx bytes")) << 32
			ops[i].Data[0] = rapid.Byte().Draw(t, "data")
		}
		cpu := rapid.IntRange(0, cpus-1).Draw(t, "on cpu")
		tw.performOutput(t, ops, cpu, pkt)
		if kern == nil {
			continue
		}
		for range rapid.IntRange(0, 80).Draw(t, "reads") {
			if !samePerfRecord(t, rings, kern) {
				break
			}
		}
	}
	for kern != nil && samePerfRecord(t, rings, kern) {
	}
}

// samePerfRecord reads the next record of the kernel and that of the same CPU.
func samePerfRecord(t *rapid.T, rings []*PerfRing, kern *perf.Reader) bool {
	t.Helper()
	kern.SetDeadline(time.Unix(1, 0))
	want, err := kern.Read()
	if err != nil {
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
		for _, r := range rings {
			if rec, ok := r.Next(); ok {
				t.Fatalf("record %+v, kernel none", rec)
			}
		}
		return false
	}
	got, ok := rings[want.CPU].Next()
	if !ok || got.Lost != want.LostSamples || len(want.RawSample) < len(got.Data) || len(want.RawSample) > len(got.Data)+7 ||
		!bytes.Equal(got.Data, want.RawSample[:len(got.Data)]) {
		t.Fatalf("record %+v, %v, kernel %+v", got, ok, want)
	}
	return true
}
