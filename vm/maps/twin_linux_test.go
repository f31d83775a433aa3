package maps

import (
	"bytes"
	"encoding/binary"
	"flag"
	"runtime"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/bpfct/bpfct/vm"
)

// twin is one program with its maps, in the machine and in the kernel.
type twin struct {
	*host
	coll  *ebpf.Collection
	kprog *ebpf.Program
}

// loadTwin loads a program of an object on both sides; adjust may change the
// specs of its maps.
func loadTwin(t tester, spec *ebpf.CollectionSpec, name string, cpus int, adjust func(maps map[string]*ebpf.MapSpec)) *twin {
	t.Helper()
	spec = spec.Copy()
	tw := &twin{host: loadHost(t, spec, name, cpus, adjust)}
	for other := range spec.Programs {
		if other != name {
			delete(spec.Programs, other)
		}
	}
	for n := range spec.Maps {
		if tw.maps[n] == nil {
			delete(spec.Maps, n)
		}
	}
	for n, v := range spec.Variables {
		if tw.maps[v.SectionName] == nil {
			delete(spec.Variables, n)
		}
	}
	var err error
	if tw.coll, err = ebpf.NewCollection(spec); err != nil {
		t.Fatalf("%+v", err)
	}
	tw.kprog = tw.coll.Programs[name]
	t.Cleanup(tw.coll.Close)
	return tw
}

// checkSome is rapid.Check with fewer cases by default: each loads a program.
func checkSome(t *testing.T, f func(t *rapid.T)) {
	t.Helper()
	if n := flag.Lookup("rapid.checks"); n.Value.String() == n.DefValue {
		flag.Set(n.Name, "25")
		defer flag.Set(n.Name, n.DefValue)
	}
	rapid.Check(t, f)
}

// put writes the same bytes to an element on both sides.
func (tw *twin) put(t tester, name string, key uint32, value []byte) {
	t.Helper()
	if err := tw.maps[name].Update(uint32Bytes(key), value, 0); err != nil {
		t.Fatal(err)
	}
	if err := tw.coll.Maps[name].Put(key, value); err != nil {
		t.Fatal(err)
	}
}

// results reads an element on both sides.
func (tw *twin) results(t tester, name string, key uint32) (ours, kern []byte) {
	t.Helper()
	ours, err := tw.maps[name].Lookup(uint32Bytes(key), 0)
	if err != nil {
		t.Fatal(err)
	}
	kern, err = tw.coll.Maps[name].LookupBytes(key)
	if err != nil {
		t.Fatal(err)
	}
	return ours, kern
}

// run executes the program on the given CPU of both.
func (tw *twin) run(t tester, cpu int, ctx vm.Context, pkt []byte) {
	t.Helper()
	if _, err := tw.m.Run(tw.prog, vm.RunOptions{CPU: cpu, Ctx: ctx}); err != nil {
		t.Fatalf("%+v", err)
	}
	var set unix.CPUSet
	set.Set(cpu)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		t.Fatal(err)
	}
	_, err := tw.kprog.Run(&ebpf.RunOptions{Data: pkt})
	set.Zero()
	set.Set(0)
	if e := unix.SchedSetaffinity(0, &set); e != nil {
		t.Fatal(e)
	}
	if err != nil {
		t.Fatal(err)
	}
	runtime.KeepAlive(tw)
}

// sameContent compares all elements of a map in their order.
func (tw *twin) sameContent(t *rapid.T, name string) {
	mp := tw.maps[name]
	(&pair{t, mp, &kernelMap{fd: tw.coll.Maps[name].FD(), keySize: int(mp.Info().KeySize), valueSize: mp.Info().UserValueSize()}}).content()
}

// Operations of testdata/ops.c.
const (
	opLookup = iota
	opUpdate
	opDelete
	opPerCPU
	opWalk
	opKeep
	opWrite
	opPrune
	opPush
	opPop
	opPeek

	opCount   = 64
	opResults = 24
)

type progOp struct {
	Op, CPU uint32
	Flags   uint64
	Key     [8]byte
	Value   [16]byte
}

var elementMaps = []string{"array", "percpu_array", "hash", "hash_alloc", "percpu_hash", "percpu_hash_alloc",
	"lru_hash", "lru_own", "lru_percpu", "lpm"}

func drawOp(t *rapid.T, name string) progOp {
	o := progOp{Op: rapid.SampledFrom([]uint32{opLookup, opLookup, opUpdate, opUpdate, opUpdate, opUpdate, opDelete, opPerCPU,
		opWalk, opKeep, opKeep, opWrite, opPrune}).Draw(t, "op")}
	binary.LittleEndian.PutUint64(o.Value[:], rapid.Uint64().Draw(t, "value"))
	o.Value[15] = 0xee
	switch name {
	case "array", "percpu_array":
		binary.LittleEndian.PutUint32(o.Key[:], rapid.Uint32Range(0, 9).Draw(t, "key"))
	case "lpm":
		binary.LittleEndian.PutUint32(o.Key[:], rapid.Uint32Range(0, 33).Draw(t, "prefix length"))
		o.Key[4] = rapid.SampledFrom([]byte{0, 0x80, 0xff}).Draw(t, "key")
		o.Key[6] = rapid.SampledFrom([]byte{0, 0x80, 0xff}).Draw(t, "key")
		if o.Op == opWalk || o.Op == opPrune {
			o.Op = opLookup
		}
	default:
		o.Key[0] = rapid.ByteRange(0, 20).Draw(t, "key")
	}
	switch o.Op {
	case opUpdate, opKeep:
		o.Flags = rapid.SampledFrom([]uint64{0, 0, 0, 0, NoExist, Exist, 3, Lock, 8, 1 << 33}).Draw(t, "flags")
	case opWalk, opPrune:
		o.Flags = rapid.Uint64Range(1, 12).Draw(t, "calls")
	case opPerCPU:
		o.CPU = rapid.Uint32Range(0, 2).Draw(t, "cpu")
	}
	return o
}

// TestKernelProgramsOnElements runs generated operations as programs do them, on
// several CPUs, and compares every result and the maps after each run.
func TestKernelProgramsOnElements(t *testing.T) {
	onKernel(t)
	cpus := possibleCPUs(t)
	spec, err := ebpf.LoadCollectionSpec("testdata/ops.o")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range elementMaps {
		t.Run(name, func(t *testing.T) {
			onKernel(t) // a subtest has a thread of its own
			checkSome(t, func(t *rapid.T) {
				entries := rapid.Uint32Range(1, 12).Draw(t, "entries")
				tw := loadTwin(t, spec, "on_"+name, cpus, func(maps map[string]*ebpf.MapSpec) { maps[name].MaxEntries = entries })
				for range rapid.IntRange(1, 4).Draw(t, "runs") {
					ops := make([]progOp, rapid.IntRange(1, opCount).Draw(t, "ops"))
					for i := range ops {
						ops[i] = drawOp(t, name)
					}
					tw.perform(t, ops, rapid.IntRange(0, cpus-1).Draw(t, "on cpu"))
					tw.sameContent(t, name)
				}
			})
		})
	}
}

// perform runs the operations on both sides and compares what each returned.
func (tw *twin) perform(t *rapid.T, ops []progOp, cpu int) {
	t.Helper()
	idle := progOp{Op: opIdle}
	for i := range uint32(opCount) {
		o := &idle
		if int(i) < len(ops) {
			o = &ops[i]
		}
		tw.put(t, "ops", i, encode(t, o))
		tw.put(t, "results", i, make([]byte, opResults))
	}
	tw.run(t, cpu, nil, make([]byte, 64))
	for i := range ops {
		ours, kern := tw.results(t, "results", uint32(i))
		if !bytes.Equal(ours, kern) {
			t.Fatalf("operation %d %+v: %x, kernel %x", i, ops[i], ours, kern)
		}
	}
}

func TestKernelProgramsThatPush(t *testing.T) {
	onKernel(t)
	spec, err := ebpf.LoadCollectionSpec("testdata/ops.o")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"queue", "stack", "bloom"} {
		t.Run(name, func(t *testing.T) {
			onKernel(t) // a subtest has a thread of its own
			checkSome(t, func(t *rapid.T) {
				entries := rapid.Uint32Range(1, 12).Draw(t, "entries")
				tw := loadTwin(t, spec, "on_"+name, 1, func(maps map[string]*ebpf.MapSpec) { maps[name].MaxEntries = entries })
				ops := make([]progOp, rapid.IntRange(1, opCount).Draw(t, "ops"))
				for i := range ops {
					ops[i] = progOp{Op: rapid.SampledFrom([]uint32{opPush, opPush, opPop, opPeek}).Draw(t, "op"),
						Flags: rapid.SampledFrom([]uint64{0, 0, 0, 1, 2, 2, 3, 4}).Draw(t, "flags")}
					ops[i].Value[3] = rapid.ByteRange(0, 40).Draw(t, "value")
				}
				tw.perform(t, ops, 0)
			})
		})
	}
}
