package enginetest

import (
	"fmt"
	"testing"

	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"

	"github.com/bpfct/bpfct/clock"
	"github.com/bpfct/bpfct/kernel"
	"github.com/bpfct/bpfct/vm"
)

// Env is a machine and what programs on it may refer to.
type Env struct {
	M *vm.Machine
	// Objects are what loads with a reference resolve to, by that name.
	Objects map[string]*vm.Object
	// Funcs are what calls resolve to, by the name of the reference.
	Funcs map[string]vm.Func
}

// New returns an Env whose machine has the engine. Fields of cfg that must be set
// and are not get plain values.
func New(tb testing.TB, engine vm.Engine, cfg vm.Config) *Env {
	tb.Helper()
	cfg.Engine = engine
	if cfg.Profile == nil {
		cfg.Profile = &kernel.Profile{Name: "none"}
	}
	if cfg.Clock == nil {
		cfg.Clock = new(clock.Clock)
	}
	if cfg.Registry == nil {
		cfg.Registry = new(vm.Registry)
	}
	return &Env{M: vm.New(cfg), Objects: make(map[string]*vm.Object), Funcs: make(map[string]vm.Func)}
}

// Object makes an object that programs know by spec's name.
func (e *Env) Object(tb testing.TB, spec vm.ObjectSpec) *vm.Object {
	tb.Helper()
	o, err := e.M.Mem.Alloc(spec)
	if err != nil {
		tb.Fatal(err)
	}
	e.Objects[spec.Name] = o
	return o
}

// Program assembles and compiles a program.
func (e *Env) Program(tb testing.TB, name string, insns asm.Instructions) *vm.Program {
	tb.Helper()
	p, err := e.Compile(name, insns)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// Compile is Program for what may be refused.
func (e *Env) Compile(name string, insns asm.Instructions) (*vm.Program, error) {
	p := &vm.Program{Name: name}
	if err := p.Assemble(insns, resolver{e, p}); err != nil {
		return nil, err
	}
	return p, e.M.Compile(p)
}

// Run runs p on the first CPU without a context.
func (e *Env) Run(p *vm.Program) (vm.Result, error) {
	return e.M.Run(p, vm.RunOptions{})
}

// CallFunc is the instruction that calls the function of that name in Env.Funcs.
func CallFunc(name string) asm.Instruction {
	return asm.Instruction{OpCode: asm.OpCode(asm.JumpClass).SetJumpOp(asm.Call), Src: asm.PseudoKfuncCall,
		Constant: -1}.WithReference(name)
}

// LoadObject is the instruction that loads the address of an object.
func LoadObject(dst asm.Register, name string) asm.Instruction {
	return asm.LoadMapPtr(dst, 0).WithReference(name)
}

// LoadValue is the instruction that loads the address of the byte at off of the
// object, as programs refer to the value of an array map with one element.
func LoadValue(dst asm.Register, name string, off uint32) asm.Instruction {
	return asm.LoadMapValue(dst, 0, off).WithReference(name)
}

// LoadFunc is the instruction that loads the address of a function of the program.
func LoadFunc(dst asm.Register, name string) asm.Instruction {
	return asm.Instruction{OpCode: asm.LoadImmOp(asm.DWord), Dst: dst, Src: asm.PseudoFunc,
		Constant: -1}.WithReference(name)
}

type resolver struct {
	e *Env
	p *vm.Program
}

func (r resolver) Call(ins *asm.Instruction) (*vm.Call, error) {
	name := ins.Reference()
	if ins.IsBuiltinCall() {
		if name = builtinNames[asm.BuiltinFunc(ins.Constant)]; name == "" {
			return nil, fmt.Errorf("no test calls %v", asm.BuiltinFunc(ins.Constant))
		}
	}
	f := r.e.Funcs[name]
	if f == nil && name != "bpf_tail_call" {
		return nil, fmt.Errorf("no function %q", name)
	}
	return &vm.Call{Name: name, Func: f, Kfunc: ins.IsKfuncCall()}, nil
}

var builtinNames = map[asm.BuiltinFunc]string{
	asm.FnTailCall:          "bpf_tail_call",
	asm.FnLoop:              "bpf_loop",
	asm.FnMapLookupElem:     "bpf_map_lookup_elem",
	asm.FnKtimeGetNs:        "bpf_ktime_get_ns",
	asm.FnGetPrandomU32:     "bpf_get_prandom_u32",
	asm.FnSkbLoadBytes:      "bpf_skb_load_bytes",
	asm.FnSpinLock:          "bpf_spin_lock",
	asm.FnGetSmpProcessorId: "bpf_get_smp_processor_id",
}

func (r resolver) Load(ins *asm.Instruction) (uint64, error) {
	name := ins.Reference()
	if name == "" {
		return uint64(ins.Constant), nil
	}
	o := r.e.Objects[name]
	if o == nil {
		return 0, fmt.Errorf("no object %q", name)
	}
	if ins.Src == asm.PseudoMapValue {
		return o.Addr() + uint64(ins.Constant)>>32, nil
	}
	return o.Addr(), nil
}

func (r resolver) Func(slot int) (uint64, error) { return r.e.M.FuncAddr(r.p, slot), nil }

// Func makes body a function: its first instruction carries the name and a type,
// which the kernel wants of functions that make tail calls.
func Func(name string, body asm.Instructions) asm.Instructions {
	out := append(asm.Instructions(nil), body...)
	u64 := &btf.Int{Name: "unsigned long long", Size: 8}
	out[0] = btf.WithFuncMetadata(out[0].WithSymbol(name), &btf.Func{Name: name, Linkage: btf.StaticFunc,
		Type: &btf.FuncProto{Return: u64, Params: []btf.FuncParam{{Name: "ctx", Type: u64}}}})
	return out
}
