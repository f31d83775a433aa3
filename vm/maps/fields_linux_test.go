package maps

import (
	"bytes"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"pgregory.net/rapid"
)

func drawFieldOp(t *rapid.T, name string) fieldOp {
	var ops []uint32
	switch {
	case strings.HasPrefix(name, "lock"):
		ops = []uint32{fieldUpdate, fieldUpdate, fieldDelete, fieldLookup, fieldLocked, fieldLocked}
	case strings.HasPrefix(name, "timer"):
		ops = []uint32{fieldUpdate, fieldUpdate, fieldDelete, fieldLookup, fieldInit, fieldInit, fieldCallback, fieldCallback,
			fieldStart, fieldStart, fieldCancel}
	default:
		ops = []uint32{fieldUpdate, fieldUpdate, fieldDelete, fieldLookup, fieldInit, fieldInit, fieldCallback, fieldStart}
	}
	o := fieldOp{Op: rapid.SampledFrom(ops).Draw(t, "op"), Key: rapid.Uint32Range(0, 5).Draw(t, "key")}
	switch o.Op {
	case fieldUpdate:
		o.Flags = rapid.SampledFrom([]uint64{0, 0, 0, Lock, Lock, Lock | Exist, Lock | NoExist, NoExist, Exist, 3, 8}).Draw(t, "flags")
		o.Arg = rapid.Uint64().Draw(t, "arg")
	case fieldLocked:
		o.Arg = rapid.Uint64().Draw(t, "arg")
	case fieldInit:
		if strings.HasPrefix(name, "timer") {
			o.Flags = rapid.SampledFrom([]uint64{1, 1, 1, 0, 7, 2, 8, 16, 17, 1 << 32}).Draw(t, "clock")
		} else {
			o.Flags = rapid.SampledFrom([]uint64{0, 0, 0, 1}).Draw(t, "flags")
		}
	case fieldStart:
		o.Flags = rapid.SampledFrom([]uint64{0, 0, 2, 4, 1 << 32}).Draw(t, "flags")
		o.Arg = 1e12 + rapid.Uint64Range(0, 1e9).Draw(t, "delay")
	}
	return o
}

// TestKernelSpecialFields runs generated operations of programs and of the user on
// values with spin locks, timers and work queues.
func TestKernelSpecialFields(t *testing.T) {
	onKernel(t)
	spec, err := ebpf.LoadCollectionSpec("testdata/fields.o")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"lock_array", "lock_hash", "lock_alloc", "timer_array", "timer_hash", "timer_alloc", "timer_lru",
		"work_array", "work_hash"} {
		t.Run(name, func(t *testing.T) {
			onKernel(t)
			checkSome(t, func(t *rapid.T) {
				tw := loadTwin(t, spec, "on_"+name, possibleCPUs(t), nil)
				mp := tw.maps[name]
				user := &pair{t, mp, &kernelMap{fd: tw.coll.Maps[name].FD(), keySize: 4, valueSize: int(mp.Info().ValueSize)}}
				for range rapid.IntRange(1, 4).Draw(t, "runs") {
					tw.performFields(t, name)
					user.operate(func(t *rapid.T) []byte { return uint32Bytes(rapid.Uint32Range(0, 5).Draw(t, "key")) }, 8)
				}
				user.same("freeze", mp.Freeze(), user.kern.freeze())
			})
		})
	}
}

func (tw *twin) performFields(t *rapid.T, name string) {
	t.Helper()
	ops := make([]fieldOp, rapid.IntRange(1, fieldCount).Draw(t, "ops"))
	for i := range uint32(fieldCount) {
		o := fieldOp{Op: opIdle}
		if int(i) < len(ops) {
			ops[i] = drawFieldOp(t, name)
			o = ops[i]
		}
		tw.put(t, "ops", i, encode(t, &o))
		tw.put(t, "results", i, make([]byte, 24))
	}
	tw.run(t, 0, nil, make([]byte, 64))
	for i := range ops {
		ours, kern := tw.results(t, "results", uint32(i))
		if !bytes.Equal(ours, kern) {
			t.Fatalf("operation %d %+v: %x, kernel %x", i, ops[i], ours, kern)
		}
	}
}
