package kernel_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"

	"github.com/bpfct/bpfct/internal/testkernel"
	"github.com/bpfct/bpfct/kernel"
	"github.com/bpfct/bpfct/kernel/internal/probe"
)

// sameKernel skips where the running kernel is not the one of the profile.
func sameKernel(t *testing.T) {
	t.Helper()
	testkernel.Require(t)
	spec, err := btf.LoadKernelSpec()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"bpf_skb_ct_lookup", "bpf_ct_release"} {
		var fn *btf.Func
		var id btf.TypeID
		if err = spec.TypeByName(name, &fn); err == nil {
			id, err = spec.TypeID(fn)
		}
		want, wantErr := kernel.Default().KfuncID(name)
		if err != nil || wantErr != nil || id != want {
			testkernel.Skip(t, "the running kernel is not the one of profile "+kernel.Default().Name)
		}
	}
}

// caller builds, from nothing but its prototype, a program that calls a
// function with good arguments.
type caller struct {
	t     *testing.T
	maps  []*ebpf.Map // candidates for a map argument
	rings *ebpf.Map
	text  *ebpf.Map // a frozen string
	locks *ebpf.Map // a value with a spin lock, a timer
}

func newMap(t *testing.T, spec *ebpf.MapSpec) *ebpf.Map {
	t.Helper()
	m, err := ebpf.NewMap(spec)
	if err != nil {
		t.Fatalf("%v: %v", spec.Type, err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

func newCaller(t *testing.T) *caller {
	i32 := &btf.Int{Name: "int", Size: 4, Encoding: btf.Signed}
	u64 := &btf.Int{Name: "long long", Size: 8}
	lock := &btf.Struct{Name: "bpf_spin_lock", Size: 4, Members: []btf.Member{{Name: "val", Type: i32}}}
	timer := &btf.Struct{Name: "bpf_timer", Size: 16, Members: []btf.Member{
		{Name: "a", Type: u64}, {Name: "b", Type: u64, Offset: 64},
	}}
	value := &btf.Struct{Name: "value", Size: 24, Members: []btf.Member{
		{Name: "lock", Type: lock}, {Name: "timer", Type: timer, Offset: 64},
	}}
	c := &caller{t: t}
	inner := &ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1}
	for _, s := range []*ebpf.MapSpec{
		{Type: ebpf.Hash, KeySize: 4, ValueSize: 8, MaxEntries: 1},
		{Type: ebpf.Queue, ValueSize: 8, MaxEntries: 1},
		{Type: ebpf.PerfEventArray},
		{Type: ebpf.ProgramArray, KeySize: 4, ValueSize: 4, MaxEntries: 1},
		{Type: ebpf.CGroupArray, KeySize: 4, ValueSize: 4, MaxEntries: 1},
		{Type: ebpf.DevMap, KeySize: 4, ValueSize: 4, MaxEntries: 1},
		{Type: ebpf.SockMap, KeySize: 4, ValueSize: 4, MaxEntries: 1},
		{Type: ebpf.SockHash, KeySize: 4, ValueSize: 4, MaxEntries: 1},
		{Type: ebpf.PerCPUArray, KeySize: 4, ValueSize: 8, MaxEntries: 1},
		{Type: ebpf.SkStorage, KeySize: 4, ValueSize: 4, Flags: 1, Key: i32, Value: i32},
		{Type: ebpf.CGroupStorage, KeySize: 8, ValueSize: 8},
		{Type: ebpf.CgroupStorage, KeySize: 4, ValueSize: 4, Flags: 1, Key: i32, Value: i32},
		{Type: ebpf.TaskStorage, KeySize: 4, ValueSize: 4, Flags: 1, Key: i32, Value: i32},
		{Type: ebpf.ArrayOfMaps, KeySize: 4, ValueSize: 4, MaxEntries: 1, InnerMap: inner},
		{Type: ebpf.UserRingbuf, MaxEntries: 4096},
	} {
		c.maps = append(c.maps, newMap(t, s))
	}
	c.rings = newMap(t, &ebpf.MapSpec{Type: ebpf.RingBuf, MaxEntries: 4096})
	c.maps = append(c.maps, c.rings)
	c.text = newMap(t, &ebpf.MapSpec{
		Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1, Flags: 1 << 7,
		Contents: []ebpf.MapKV{{Key: uint32(0), Value: []byte("text\x00\x00\x00\x00")}},
	})
	if err := c.text.Freeze(); err != nil {
		t.Fatal(err)
	}
	c.locks = newMap(t, &ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 24, MaxEntries: 1, Key: i32, Value: value})
	c.maps = append(c.maps, c.locks)
	return c
}

const (
	scratch = -256 // memory on the stack, 64 bytes
	dynptr  = -128 // a struct bpf_dynptr
	slots   = -64  // what the prologue made: one 8-byte slot an argument
)

// program builds the call. before and after stand around it; m is the map
// argument. It reports why it cannot build one.
func (c *caller) program(p *kernel.Prototype, m *ebpf.Map, after ...asm.Instruction) (asm.Instructions, string) {
	insns := asm.Instructions{asm.Mov.Reg(asm.R6, asm.R1), asm.Mov.Imm(asm.R0, 0)}
	for off := int16(scratch); off < 0; off += 8 {
		insns = append(insns, asm.StoreMem(asm.R10, off, asm.R0, asm.DWord))
	}
	var release asm.Instructions
	callback := false
	var args asm.Instructions
	mem := int32(scratch)
	for i, a := range p.Args {
		r := asm.R1 + asm.Register(i)
		slot := int16(slots + 8*i)
		fromSlot := asm.LoadMem(r, asm.R10, slot, asm.DWord)
		switch a.Type.Base() {
		case kernel.ArgCtx:
			args = append(args, asm.Mov.Reg(r, asm.R6))
		case kernel.ArgAnything:
			args = append(args, asm.Mov.Imm(r, 0))
		case kernel.ArgConstMapPtr:
			args = append(args, asm.LoadMapPtr(r, m.FD()))
		case kernel.ArgMem, kernel.ArgMapKey, kernel.ArgMapValue, kernel.ArgStack:
			args = append(args, asm.Mov.Reg(r, asm.R10), asm.Add.Imm(r, mem))
			mem += 24
		case kernel.ArgConstSize, kernel.ArgConstSizeOrZero, kernel.ArgAllocSizeOrZero:
			args = append(args, asm.Mov.Imm(r, 8))
		case kernel.ArgConstStr:
			args = append(args, asm.LoadMapValue(r, c.text.FD(), 0))
		case kernel.ArgSpinLock:
			args = append(args, asm.LoadMapValue(r, c.locks.FD(), 0))
		case kernel.ArgTimer:
			args = append(args, asm.LoadMapValue(r, c.locks.FD(), 8))
		case kernel.ArgFunc:
			callback = true
			args = append(args, asm.LoadImm(r, -1, asm.DWord))
			args[len(args)-1].Src = asm.PseudoFunc
			args[len(args)-1] = args[len(args)-1].WithReference("callback")
		case kernel.ArgDynptr:
			if !a.Type.Has(kernel.ArgUninit) {
				insns = append(insns,
					asm.LoadMapPtr(asm.R1, c.maps[0].FD()),
					asm.Mov.Reg(asm.R2, asm.R10), asm.Add.Imm(asm.R2, scratch),
					asm.FnMapLookupElem.Call(),
					asm.Instruction{OpCode: asm.JNE.Op(asm.ImmSource), Dst: asm.R0, Offset: 2},
					asm.Mov.Imm(asm.R0, 0), asm.Return(),
					asm.Mov.Reg(asm.R1, asm.R0), asm.Mov.Imm(asm.R2, 8), asm.Mov.Imm(asm.R3, 0),
					asm.Mov.Reg(asm.R4, asm.R10), asm.Add.Imm(asm.R4, dynptr),
					asm.FnDynptrFromMem.Call(),
				)
			}
			if a.Type.Has(kernel.ArgDynptrRing) {
				return nil, "a dynptr of a ring buffer"
			}
			args = append(args, asm.Mov.Reg(r, asm.R10), asm.Add.Imm(r, dynptr))
		case kernel.ArgSocket, kernel.ArgSockCommon, kernel.ArgBTFIDSockCommon:
			insns = append(insns,
				asm.Mov.Reg(asm.R1, asm.R6), asm.Mov.Reg(asm.R2, asm.R10), asm.Add.Imm(asm.R2, scratch),
				asm.Mov.Imm(asm.R3, 12), asm.Mov.Imm(asm.R4, -1), asm.Mov.Imm(asm.R5, 0),
				asm.FnSkLookupTcp.Call(),
				asm.Instruction{OpCode: asm.JNE.Op(asm.ImmSource), Dst: asm.R0, Offset: 2},
				asm.Mov.Imm(asm.R0, 0), asm.Return(),
				asm.StoreMem(asm.R10, slot, asm.R0, asm.DWord),
			)
			args = append(args, fromSlot)
			if !a.Type.Has(kernel.ArgRelease) {
				release = append(release, asm.LoadMem(asm.R1, asm.R10, slot, asm.DWord), asm.FnSkRelease.Call())
			}
		case kernel.ArgBTFID:
			if a.BTF != "task_struct" {
				return nil, "an object of type " + a.BTF
			}
			insns = append(insns, asm.FnGetCurrentTaskBtf.Call(), asm.StoreMem(asm.R10, slot, asm.R0, asm.DWord))
			args = append(args, fromSlot)
		case kernel.ArgRingbufMem:
			insns = append(insns,
				asm.LoadMapPtr(asm.R1, c.rings.FD()), asm.Mov.Imm(asm.R2, 8), asm.Mov.Imm(asm.R3, 0),
				asm.FnRingbufReserve.Call(),
				asm.Instruction{OpCode: asm.JNE.Op(asm.ImmSource), Dst: asm.R0, Offset: 2},
				asm.Mov.Imm(asm.R0, 0), asm.Return(),
				asm.StoreMem(asm.R10, slot, asm.R0, asm.DWord),
			)
			args = append(args, fromSlot)
		default:
			return nil, "an argument of class " + a.Type.String()
		}
	}
	insns = append(insns, args...)
	insns = append(insns, asm.BuiltinFunc(p.ID).Call())
	insns = append(insns, after...)
	if p.Name == "bpf_spin_lock" {
		insns = append(insns, asm.LoadMapValue(asm.R1, c.locks.FD(), 0), asm.FnSpinUnlock.Call())
	}
	insns = append(insns, release...)
	insns = append(insns, asm.Mov.Imm(asm.R0, 0), asm.Return())
	if callback {
		insns = append(insns, btf.WithFuncMetadata(asm.Mov.Imm(asm.R0, 0).WithSymbol("callback"), callbackFunc), asm.Return())
		insns[0] = btf.WithFuncMetadata(insns[0].WithSymbol("main"), mainFunc)
	}
	return insns, ""
}

var (
	cInt     = &btf.Int{Name: "int", Size: 4, Encoding: btf.Signed}
	mainFunc = &btf.Func{Name: "main", Linkage: btf.GlobalFunc, Type: &btf.FuncProto{
		Return: cInt, Params: []btf.FuncParam{{Name: "ctx", Type: &btf.Pointer{Target: &btf.Struct{Name: "__sk_buff"}}}},
	}}
	callbackFunc = &btf.Func{Name: "callback", Linkage: btf.StaticFunc, Type: &btf.FuncProto{Return: cInt}}
)

// try loads the program with each map that the helper may want.
func (c *caller) try(ctx probe.Context, p *kernel.Prototype, license string, after ...asm.Instruction) (log, why string, ok bool) {
	for _, m := range c.maps {
		insns, why := c.program(p, m, after...)
		if why != "" {
			return "", why, false
		}
		got, err := ctx.Load(license, 1, insns...)
		if err == nil {
			return got, "", true
		}
		if log == "" || !strings.Contains(got, "cannot pass map_type") {
			log = got
		}
		if !strings.Contains(got, "map") {
			break
		}
	}
	return log, "", false
}

// unbuildable are the helpers that take more than their prototype says.
var unbuildable = map[string]string{
	"bpf_spin_unlock":        "wants a lock that is held",
	"bpf_dynptr_from_mem":    "wants memory of a map",
	"bpf_get_local_storage":  "wants a program in a cgroup",
	"bpf_per_cpu_ptr":        "wants a per-CPU variable",
	"bpf_this_cpu_ptr":       "wants a per-CPU variable",
	"bpf_kptr_xchg":          "wants a kptr",
	"bpf_snprintf_btf":       "wants a struct btf_ptr that names a type",
	"bpf_timer_set_callback": "wants the callback's own types",
	"bpf_for_each_map_elem":  "wants the callback's own types",
	"bpf_user_ringbuf_drain": "wants the callback's own types",
	"bpf_find_vma":           "wants the callback's own types",
	"bpf_loop":               "wants the callback's own types",
}

// Whatever the table says a program of TC or XDP may call, with arguments made
// from the table alone, the kernel takes; with a licence that is not GPL
// compatible it refuses what the table calls GPL only; and it takes packet
// pointers away after those that the table says.
func TestHelpersAreCalledAsTheTableSays(t *testing.T) {
	sameKernel(t)
	prof := kernel.Default()
	protos, err := prof.Prototypes()
	if err != nil {
		t.Fatal(err)
	}
	var good, left int
	for _, ctx := range []probe.Context{{Type: ebpf.SchedCLS}, {Type: ebpf.XDP}} {
		c := newCaller(t) // a program array takes programs of one type
		for _, p := range protos {
			p := p.For(ctx.Type)
			if p == nil || p.Kind != kernel.Helper {
				continue
			}
			if unbuildable[p.Name] != "" {
				left++
				continue
			}
			lost := p.Flags.Has(kernel.Acquire)
			log, why, ok := c.try(ctx, p, "GPL")
			switch {
			case why != "":
				t.Logf("%v: %s: %s", ctx, p.Name, why)
				left++
				continue
			case lost && (ok || !strings.Contains(log, "Unreleased reference")):
				t.Errorf("%v: the reference of %s may be lost: %s", ctx, p, log)
			case p.Flags.Has(kernel.Sleepable):
				if ok || !strings.Contains(log, "helper call might sleep in a non-sleepable prog") {
					t.Errorf("%v: %s, which may sleep, says %s", ctx, p.Name, log)
				}
				good++
				continue
			case !lost && !ok:
				t.Errorf("%v: %s is refused:\n%s", ctx, p, log)
				continue
			}
			good++
			// The task that is passed comes from a helper that is GPL only.
			task := slices.ContainsFunc(p.Args, func(a kernel.Arg) bool { return a.BTF == "task_struct" })
			if !lost && !task {
				_, _, free := c.try(ctx, p, "Proprietary")
				if free == p.Flags.Has(kernel.GPLOnly) {
					t.Errorf("%v: %s: accepted without a licence: %v, GPL only: %v", ctx, p.Name, free, p.Flags.Has(kernel.GPLOnly))
				}
			}
			if !lost {
				testPacketPointers(t, c, ctx, p)
			}
		}
	}
	t.Logf("%d helpers called, %d not buildable from their prototype", good, left)
	if good < 150 {
		t.Errorf("only %d", good)
	}
}

// testPacketPointers uses a packet pointer after the call.
func testPacketPointers(t *testing.T, c *caller, ctx probe.Context, p *kernel.Prototype) {
	t.Helper()
	if p.Name == "bpf_tail_call" {
		return // does not return, if it does
	}
	data, end := int16(76), int16(80) // __sk_buff
	if ctx.Type == ebpf.XDP {
		data, end = 0, 4
	}
	insns, why := asm.Instructions(nil), ""
	var log string
	for _, m := range c.maps {
		if insns, why = c.program(p, m, asm.LoadMem(asm.R0, asm.R7, 0, asm.Byte)); why != "" {
			return
		}
		head := asm.Instructions{
			asm.LoadMem(asm.R7, asm.R1, data, asm.Word), asm.LoadMem(asm.R8, asm.R1, end, asm.Word),
			asm.Mov.Reg(asm.R2, asm.R7), asm.Add.Imm(asm.R2, 1),
			asm.Instruction{OpCode: asm.JLE.Op(asm.RegSource), Dst: asm.R2, Src: asm.R8, Offset: 2},
			asm.Mov.Imm(asm.R0, 0), asm.Return(),
		}
		if insns[0].Symbol() != "" {
			head[0] = head[0].WithMetadata(insns[0].Metadata)
			insns[0] = insns[0].WithMetadata(asm.Metadata{})
		}
		var err error
		if log, err = ctx.Load("GPL", 1, append(head, insns...)...); err == nil {
			log = ""
			break
		}
		if !strings.Contains(log, "cannot pass map_type") && !strings.Contains(log, "map") {
			break
		}
	}
	gone := strings.Contains(log, "R7 invalid mem access")
	if log != "" && !gone {
		t.Errorf("%v: %s with a packet pointer: %s", ctx, p.Name, log)
		return
	}
	if gone != p.Flags.Has(kernel.ChangesPacket) {
		t.Errorf("%v: packet pointers gone after %s: %v, table says %v", ctx, p.Name, gone, p.Flags.Has(kernel.ChangesPacket))
	}
}

// A map may hold a kptr of exactly those types that have a destructor.
func TestDestructors(t *testing.T) {
	sameKernel(t)
	prof := kernel.Default()
	types := []string{"nf_conn", "nf_conn___init", "file", "sock", "bpf_key", "xfrm_state", "cpumask", "css_set"}
	for name := range prof.Destructors {
		types = append(types, name)
	}
	for _, name := range types {
		st := &btf.Struct{Name: name, Size: 8, Members: []btf.Member{{Name: "x", Type: &btf.Int{Name: "long", Size: 8}}}}
		v := &btf.Struct{Name: "val", Size: 8, Members: []btf.Member{{Name: "p", Type: &btf.Pointer{Target: &btf.TypeTag{Value: "kptr", Type: st}}}}}
		m, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1, Key: cInt, Value: v})
		if err == nil {
			m.Close()
		}
		if want := prof.Destructors[name] != ""; (err == nil) != want {
			t.Errorf("a map with a kptr to %s: %v, table has destructor %q", name, err, prof.Destructors[name])
		}
		if dtor := prof.Destructors[name]; dtor != "" {
			if p, ok := prof.Kfunc(dtor); !ok || !p.Flags.Has(kernel.Release) {
				t.Errorf("destructor %s of %s is not a releasing kfunc", dtor, name)
			}
		}
	}
}
