package link

import (
	"encoding/binary"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"

	"github.com/bpfct/bpfct/kernel"
)

func profile(t testing.TB, name string) *kernel.Profile {
	t.Helper()
	p, err := kernel.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func load(t testing.TB, file string) *ebpf.CollectionSpec {
	t.Helper()
	spec, err := LoadFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	return spec
}

func linked(t testing.TB, file, prof string, opts Options) *Object {
	t.Helper()
	obj, err := Link(load(t, file), profile(t, prof), opts)
	if err != nil {
		t.Fatal(err)
	}
	return obj
}

// stored collects what a program stores at out[i] straight from a constant.
func stored(p *Program) map[int]int64 {
	regs := make(map[asm.Register]int64)
	out := make(map[int]int64)
	for _, ins := range p.Insns {
		op := ins.OpCode
		switch {
		case ins.Ref != nil:
			delete(regs, ins.Dst)
		case op.IsDWordLoad(), op.Class().IsALU() && op.ALUOp() == asm.Mov && op.Source() == asm.ImmSource:
			regs[ins.Dst] = ins.Constant
		case op.Class() == asm.StXClass && op.Size() == asm.DWord && ins.Dst != asm.R10:
			if v, ok := regs[ins.Src]; ok {
				out[int(ins.Offset)/8] = v
			}
		}
	}
	return out
}

func TestFunctionsAndSlots(t *testing.T) {
	p := linked(t, "ct.bpf.o", "6.18", Options{}).Programs["lookup"]
	var names []string
	for i, s := range p.Subprogs {
		names = append(names, s.Name)
		if s.Func == nil || s.Func.Name != s.Name {
			t.Errorf("function %s has declaration %v", s.Name, s.Func)
		}
		if want := s.Name != "count"; s.Global != want {
			t.Errorf("function %s: global is %v", s.Name, s.Global)
		}
		for insn := s.Start; insn < s.End; insn++ {
			if p.SubprogAt(insn) != i {
				t.Errorf("instruction %d is in function %d, want %d", insn, p.SubprogAt(insn), i)
			}
		}
	}
	if want := []string{"lookup", "count", "global_sum"}; !slices.Equal(names, want) {
		t.Fatalf("functions are %v, want %v", names, want)
	}
	if p.SubprogAt(-1) != -1 || p.SubprogAt(len(p.Insns)) != -1 {
		t.Error("instructions out of range have a function")
	}
	slot := 0
	for i, ins := range p.Insns {
		if ins.Slot != slot {
			t.Fatalf("instruction %d is at slot %d, want %d", i, ins.Slot, slot)
		}
		if at, ok := p.Index(slot); !ok || at != i {
			t.Errorf("slot %d is instruction %d", slot, at)
		}
		slot++
		if ins.OpCode.IsDWordLoad() {
			if _, ok := p.Index(slot); ok {
				t.Errorf("slot %d, the second half of a ld_imm64, has an instruction", slot)
			}
			slot++
		}
		if ins.Line == nil || !strings.HasPrefix(ins.Line.String(), "ct.bpf.c:") {
			t.Errorf("instruction %d has line %v", i, ins.Line)
		}
	}
	if slot != p.Slots() {
		t.Errorf("program has %d slots, want %d", p.Slots(), slot)
	}
	for _, s := range []int{-1, slot, 1 << 40} {
		if _, ok := p.Index(s); ok {
			t.Errorf("slot %d exists", s)
		}
	}
}

func TestCallsAndReferences(t *testing.T) {
	obj := linked(t, "ct.bpf.o", "6.18", Options{})
	p := obj.Programs["lookup"]
	if want := []string{"bpf_skb_ct_lookup", "bpf_ct_release"}; !slices.Equal(p.Kfuncs(), want) {
		t.Errorf("kfuncs are %v, want %v", p.Kfuncs(), want)
	}
	if want := []string{"bpf_loop", "bpf_map_lookup_elem"}; !slices.Equal(p.Helpers(), want) {
		t.Errorf("helpers are %v, want %v", p.Helpers(), want)
	}
	refs := make(map[string]bool)
	var callback, call bool
	for i, ins := range p.Insns {
		if c := ins.Call; c != nil && c.Proto.Kind == kernel.Kfunc {
			if id, err := p.Profile.KfuncID(c.Name); err != nil || c.ID != id || ins.Constant != int64(id) || c.Func == nil {
				t.Errorf("call of %s: %+v, constant %d, want ID %d", c.Name, c, ins.Constant, id)
			}
		}
		if r := ins.Ref; r != nil {
			refs[r.Name] = true
			if (r.Name == "counters") == r.Value {
				t.Errorf("reference %+v", r)
			}
		}
		if ins.IsLoadOfFunctionPointer() {
			callback = ins.Target == p.Subprogs[1].Start
		}
		if ins.IsFunctionCall() {
			call = ins.Target == p.Subprogs[2].Start
			if want := p.Insns[ins.Target].Slot - ins.Slot - 1; ins.Constant != int64(want) {
				t.Errorf("call at %d has offset %d, want %d", i, ins.Constant, want)
			}
		}
	}
	if !callback || !call {
		t.Errorf("callback resolved: %v, call resolved: %v", callback, call)
	}
	for _, m := range []string{"counters", ".bss", ".rodata"} {
		if !refs[m] || obj.Maps[m] == nil {
			t.Errorf("map %s: referred to %v, spec %v", m, refs[m], obj.Maps[m])
		}
	}
	if p.License != "GPL" || p.Type != ebpf.SchedCLS || p.SectionName != "tc" || p.ByteOrder != binary.LittleEndian {
		t.Errorf("program is %q, %v, %q", p.License, p.Type, p.SectionName)
	}
}

// The example of the documentation sets reserved[0] of its 12-byte options. On
// a kernel whose options have 16 bytes the member has moved to byte 13, past
// what the program passes.
func TestReservedMovesWithTheKernel(t *testing.T) {
	for prof, want := range map[string]int16{"6.18": 13, "documented": 10} {
		p := linked(t, "ct.bpf.o", prof, Options{}).Programs["reserved"]
		var got []int16
		for _, ins := range p.Insns {
			if ins.Line != nil && strings.Contains(ins.Line.Text, "reserved[0] = 1") && ins.OpCode.Class() == asm.StXClass && ins.OpCode.Size() == asm.Byte {
				got = append(got, ins.Offset)
			}
		}
		if !slices.Equal(got, []int16{want}) {
			t.Errorf("%s: opts.reserved[0] is stored at %v, want %d", prof, got, want)
		}
	}
}

func TestWeakKfuncs(t *testing.T) {
	p := linked(t, "ct.bpf.o", "6.18", Options{}).Programs["weak"]
	var missing, present, poisoned bool
	for _, ins := range p.Insns {
		if k := ins.Ksym; k != nil {
			switch k.Name {
			case "bpf_no_such_kfunc":
				missing = !k.Present && k.Weak && ins.Constant == 0
			case "bpf_rcu_read_lock":
				present = k.Present && k.Func != nil && ins.Constant != 0
			}
		}
		if ins.Poison != "" {
			poisoned = strings.Contains(ins.Poison, "bpf_no_such_kfunc") && ins.IsBuiltinCall() && ins.Constant == kfuncPoison && ins.Call.Proto == nil && ins.Call.Weak
		}
	}
	if !missing || !present || !poisoned {
		t.Errorf("missing resolved: %v, present resolved: %v, call poisoned: %v", missing, present, poisoned)
	}
}

func TestCORE(t *testing.T) {
	prof := profile(t, "6.18")
	obj := linked(t, "core.bpf.o", "6.18", Options{})
	nfConn, err := prof.TypeByName("nf_conn")
	if err != nil {
		t.Fatal(err)
	}
	id, _, err := prof.TypeID(nfConn)
	if err != nil {
		t.Fatal(err)
	}
	size, _ := btf.Sizeof(nfConn)
	got := stored(obj.Programs["info"])
	for i, want := range map[int]int64{0: 1, 1: 0, 2: 1, 3: 0, 4: int64(size), 6: int64(id), 7: 1, 8: 1, 9: 0, 10: 10, 11: 1} {
		if got[i] != want {
			t.Errorf("out[%d] is %d, want %d", i, got[i], want)
		}
	}
	own, err := obj.Types.TypeByID(btf.TypeID(got[5]))
	if err != nil || own.TypeName() != "own" {
		t.Errorf("local type ID %d is %v, %v", got[5], own, err)
	}
	// The same without zones: the documented kernel.
	got = stored(linked(t, "core.bpf.o", "documented", Options{}).Programs["info"])
	if got[11] != 0 {
		t.Errorf("documented kernel has ct_zone_id")
	}
	got = stored(obj.Programs["bitfield"])
	if got[2] != 56 || got[3] != 60 {
		t.Errorf("shifts of iphdr.version are %d and %d", got[2], got[3])
	}
	var poison string
	for _, ins := range obj.Programs["poisoned"].Insns {
		if ins.Poison != "" {
			poison = ins.Poison
			if ins.Constant != btf.COREBadRelocationSentinel || ins.Call == nil || ins.Call.Proto != nil {
				t.Errorf("poisoned instruction is %v, %+v", ins.Instruction, ins.Call)
			}
		}
	}
	if !strings.Contains(poison, "no_such_field") {
		t.Errorf("poison says %q", poison)
	}
}

// A copy of a collection has copies of the types: local IDs must still fit.
func TestCopiedCollectionLinksTheSame(t *testing.T) {
	spec := load(t, "core.bpf.o")
	a, err := Link(spec, profile(t, "6.18"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := Link(spec.Copy(), profile(t, "6.18"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	for name, p := range a.Programs {
		for i, ins := range p.Insns {
			if o := b.Programs[name].Insns[i]; o.Constant != ins.Constant || o.Offset != ins.Offset || o.OpCode != ins.OpCode {
				t.Errorf("%s, instruction %d: %v and %v", name, i, ins.Instruction, o.Instruction)
			}
		}
	}
}

func TestKconfig(t *testing.T) {
	prof := profile(t, "6.18")
	obj := linked(t, "extern.bpf.o", "6.18", Options{Kconfig: map[string]string{"CONFIG_DEFAULT_HOSTNAME": `"a long host name"`}})
	m := obj.Maps[".kconfig"]
	if m == nil {
		t.Fatal("no .kconfig map")
	}
	value := m.Contents[0].Value.([]byte)
	le := binary.LittleEndian
	for _, c := range []struct {
		name      string
		got, want any
	}{
		{"LINUX_KERNEL_VERSION", le.Uint32(value), prof.VersionCode},
		{"CONFIG_HZ", le.Uint64(value[8:]), uint64(prof.HZ)},
		{"CONFIG_BPF_SYSCALL", value[16], byte(1)},
		{"CONFIG_NF_CONNTRACK", le.Uint32(value[20:]), uint32(1)},
		{"CONFIG_DEFAULT_HOSTNAME", string(value[24:32]), "a long \x00"},
		{"CONFIG_SURELY_NOT_THERE", le.Uint32(value[32:]), uint32(0)},
	} {
		if c.got != c.want {
			t.Errorf("%s is %v, want %v", c.name, c.got, c.want)
		}
	}
	for opt, text := range map[string]string{"CONFIG_HZ": "", "CONFIG_BPF_SYSCALL": "m", "CONFIG_NF_CONNTRACK": "4", "LINUX_KERNEL_VERSION": "-1"} {
		_, err := Link(load(t, "extern.bpf.o"), prof, Options{Kconfig: map[string]string{opt: text}})
		if err == nil || !strings.Contains(err.Error(), opt) || !strings.Contains(err.Error(), "program kconfig") {
			t.Errorf("%s=%q: %v", opt, text, err)
		}
	}
}

func TestKsyms(t *testing.T) {
	p := linked(t, "extern.bpf.o", "6.18", Options{}).Programs["ksyms"]
	got := make(map[string]*Ksym)
	for _, ins := range p.Insns {
		if ins.Ksym != nil {
			got[ins.Ksym.Name] = ins.Ksym
		}
	}
	if k := got["bpf_prog_active"]; k == nil || !k.Typed || !k.Present || k.Var == nil || k.ID == 0 || k.Weak {
		t.Errorf("bpf_prog_active is %+v", k)
	}
	if k := got["jiffies"]; k == nil || k.Typed || k.Weak {
		t.Errorf("jiffies is %+v", k)
	}
	if k := got["no_such_variable"]; k == nil || !k.Weak || k.Present {
		t.Errorf("no_such_variable is %+v", k)
	}
}

func TestErrorsNameThePlace(t *testing.T) {
	spec := load(t, "bad_kfunc.bpf.o")
	for name, want := range map[string][]string{
		"unknown":  {"program unknown", "instruction 0", "bad_kfunc.bpf.c:10", "unknown kfunc bpf_ct_frobnicate", "6.18"},
		"mismatch": {"program mismatch", "bad_kfunc.bpf.c", "kfunc bpf_ct_release"},
		"absent":   {`no program "absent"`, "mismatch"},
	} {
		obj, err := Link(spec, profile(t, "6.18"), Options{Programs: []string{name}})
		if err == nil || obj != nil {
			t.Errorf("%s links", name)
			continue
		}
		var place *Error
		if !errors.As(err, &place) {
			t.Errorf("%s: error is a %T", name, err)
		}
		for _, w := range want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %q does not say %q", name, err, w)
			}
		}
	}
	if _, err := LoadFile("testdata/big_endian.bpf.o"); !errors.Is(err, ErrBigEndian) {
		t.Errorf("big-endian object: %v", err)
	}
	f, err := os.Open("testdata/big_endian.bpf.o")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	big, err := ebpf.LoadCollectionSpecFromReader(f)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Link(big, profile(t, "6.18"), Options{}); !errors.Is(err, ErrBigEndian) {
		t.Errorf("big-endian collection: %v", err)
	}
	if _, err := Link(nil, profile(t, "6.18"), Options{}); err == nil {
		t.Error("nil collection links")
	}
	if _, err := Link(spec, nil, Options{}); err == nil {
		t.Error("nil profile links")
	}
}

// program wraps instructions in a collection.
func program(insns asm.Instructions) *ebpf.CollectionSpec {
	return &ebpf.CollectionSpec{
		ByteOrder: binary.LittleEndian,
		Programs: map[string]*ebpf.ProgramSpec{"p": {
			Name: "p", Type: ebpf.SchedCLS, Instructions: insns, ByteOrder: binary.LittleEndian, License: "GPL",
		}},
	}
}

func TestHandWrittenPrograms(t *testing.T) {
	prof := profile(t, "6.18")
	ret := asm.Return()
	for _, c := range []struct {
		name  string
		insns asm.Instructions
		want  string // "" links
	}{
		{"plain", asm.Instructions{asm.Mov.Imm(asm.R0, 0), ret}, ""},
		{"jump to a symbol", asm.Instructions{
			asm.Mov.Imm(asm.R0, 0), asm.JEq.Imm(asm.R0, 0, "out"), asm.LoadImm(asm.R0, 1, asm.DWord), ret.WithSymbol("out"),
		}, ""},
		{"unknown helper", asm.Instructions{asm.BuiltinFunc(999).Call(), ret}, "invalid func unknown#999"},
		{"helper 0", asm.Instructions{asm.BuiltinFunc(0).Call(), ret}, "invalid func unknown#0"},
		{"jump out", asm.Instructions{asm.Instruction{OpCode: asm.Ja.Op(asm.ImmSource), Offset: 5}, ret}, "jump out of range from insn 0 to 6"},
		{"jump back out", asm.Instructions{asm.Instruction{OpCode: asm.Ja.Op(asm.ImmSource), Offset: -2}, ret}, "jump out of range from insn 0 to -1"},
		{"jump into a ld_imm64", asm.Instructions{
			asm.Instruction{OpCode: asm.Ja.Op(asm.ImmSource), Offset: 1}, asm.LoadImm(asm.R0, 1, asm.DWord), ret,
		}, "jump into the middle of ldimm64 insn 2"},
		{"call of nothing", asm.Instructions{asm.Call.Label("nothing"), ret}, "call of undefined function nothing"},
		{"call into a function", asm.Instructions{
			asm.Instruction{OpCode: asm.OpCode(asm.JumpClass).SetJumpOp(asm.Call), Src: asm.PseudoCall, Constant: 0}, ret,
		}, "call into the middle of function p"},
		{"unknown map", asm.Instructions{asm.LoadMapPtr(asm.R1, 0).WithReference("m"), ret}, `no map "m"`},
		{"map by descriptor", asm.Instructions{asm.LoadMapPtr(asm.R1, 3), ret}, "fd 3 is not pointing to valid bpf_map"},
		{"kfunc by a wrong ID", asm.Instructions{
			asm.Instruction{OpCode: asm.OpCode(asm.JumpClass).SetJumpOp(asm.Call), Src: asm.PseudoKfuncCall, Constant: 1}, ret,
		}, "BTF ID 1 is not in 6.18"},
		{"nothing at all", nil, "has no instructions"},
	} {
		obj, err := Link(program(c.insns), prof, Options{})
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.want != "" && (err == nil || obj != nil):
			t.Errorf("%s links", c.name)
		case c.want != "" && !strings.Contains(err.Error(), c.want):
			t.Errorf("%s: %q does not say %q", c.name, err, c.want)
		}
	}
	obj, err := Link(program(asm.Instructions{asm.BuiltinFunc(999).Call(), ret}), prof, Options{KeepFaulty: true})
	if err != nil || !strings.Contains(obj.Programs["p"].Insns[0].Poison, "unknown#999") {
		t.Errorf("unknown helper is not kept: %v", err)
	}
}

func TestEssentialName(t *testing.T) {
	for in, want := range map[string]string{"task___old": "task", "task": "task", "a___b___c": "a___b", "___x": "___x", "a____b": "a____b", "x___": "x___", "": ""} {
		if got := essentialName(in); got != want {
			t.Errorf("%q is %q, want %q", in, got, want)
		}
	}
}

func TestPrivateSections(t *testing.T) {
	obj := linked(t, "list.bpf.o", "6.18", Options{})
	for _, name := range []string{".bss.A", ".bss.B"} {
		m := obj.Maps[name]
		if m == nil || m.Name != name {
			t.Fatalf("map %s is %v", name, m)
		}
		if ds, ok := m.Value.(*btf.Datasec); !ok || ds.Name != name {
			t.Errorf("value of map %s is %v", name, m.Value)
		}
	}
	if v := obj.Variables["other"]; v == nil || v.SectionName != ".bss.B" {
		t.Errorf("variable other is %v", v)
	}
	refs := make(map[string]bool)
	for _, ins := range obj.Programs["push"].Insns {
		if ins.Ref != nil {
			refs[ins.Ref.Name] = true
		}
	}
	if !refs[".bss.A"] || !refs[".bss.B"] || len(refs) != 2 {
		t.Errorf("program refers to %v", refs)
	}
	// bpf_obj_new finds its type by the ID in R1.
	for i, ins := range obj.Programs["push"].Insns {
		if c := ins.Call; c != nil && c.Name == "bpf_obj_new_impl" {
			for j := i - 1; j >= 0; j-- {
				if prev := obj.Programs["push"].Insns[j]; prev.Dst == asm.R1 {
					if typ, err := obj.Types.TypeByID(btf.TypeID(prev.Constant)); err != nil || typ.TypeName() != "elem" {
						t.Errorf("local type ID %d is %v, %v", prev.Constant, typ, err)
					}
					return
				}
			}
		}
	}
	t.Error("no call of bpf_obj_new_impl with a constant")
}
