package link

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"

	"github.com/bpfct/bpfct/kernel"
)

// kfuncPoison is the helper number that takes the place of a missing weak
// kfunc, as cilium/ebpf has it.
const kfuncPoison = 0xdedc0de

// references resolves what instructions refer to outside the program: helpers,
// kfuncs, maps, kernel symbols.
func (l *linker) references() error {
	for i := range l.prog.Insns {
		ins := &l.prog.Insns[i]
		if ins.Poison != "" {
			if ins.IsBuiltinCall() {
				ins.Call = &Call{Name: "unknown"}
			}
			continue
		}
		var err error
		switch {
		case ins.IsKfuncCall():
			err = l.kfuncCall(ins)
		case ins.IsBuiltinCall():
			err = l.helperCall(ins)
		case ins.IsLoadFromMap():
			err = l.mapLoad(ins)
		case ins.OpCode.IsDWordLoad():
			err = l.symbolLoad(ins)
		}
		if err != nil {
			return l.fail(i, err)
		}
	}
	return nil
}

func (l *linker) helperCall(ins *Insn) error {
	if ref := ins.Reference(); ref != "" {
		return fmt.Errorf("call of undefined function %s", ref)
	}
	proto, ok := l.prof.Helper(int32(ins.Constant))
	if !ok || ins.Constant != int64(int32(ins.Constant)) {
		text := fmt.Sprintf("invalid func unknown#%d", ins.Constant)
		if l.opts.KeepFaulty {
			ins.Poison, ins.Call = text, &Call{Name: "unknown"}
			return nil
		}
		return errors.New(text)
	}
	ins.Call = &Call{Name: proto.Name}
	ins.Call.bind(proto, l.prog)
	return nil
}

// bind chooses the form of the prototype that the program's type sees.
func (c *Call) bind(proto *kernel.Prototype, p *Program) {
	c.Proto = proto.For(p.Type)
	c.Allowed = c.Proto != nil
	if c.Proto == nil {
		c.Proto = proto
	}
}

func (l *linker) kfuncCall(ins *Insn) error {
	name := ins.Reference()
	if name == "" {
		// Written with package asm: by BTF ID.
		proto, ok := l.prof.KfuncByID(btf.TypeID(ins.Constant))
		if !ok {
			return fmt.Errorf("kernel function with BTF ID %d is not in %s", ins.Constant, l.prof.Name)
		}
		name = proto.Name
	}
	weak := readSymbolMeta(&ins.Instruction).weak
	ins.Call = &Call{Name: name, Weak: weak}
	proto, fn, id, mod, err := l.findKfunc(name, weak)
	switch {
	case err == nil:
	case !errors.Is(err, btf.ErrNotFound):
		return err
	case !weak:
		return fmt.Errorf("unknown kfunc %s: not in kernel profile %s", name, l.prof.Name)
	default:
		meta := ins.Metadata
		ins.Instruction = asm.BuiltinFunc(kfuncPoison).Call()
		ins.Metadata = meta
		ins.Poison = fmt.Sprintf("weak kfunc %s is not in kernel profile %s", name, l.prof.Name)
		return nil
	}
	ins.Constant, ins.Offset = int64(id), int16(mod)
	ins.Call.Func, ins.Call.ID = fn, id
	ins.Call.bind(proto, l.prog)
	return nil
}

// findKfunc looks a kfunc up by its name, then by its name without a flavour.
// One that the program declares otherwise than the kernel is an error, or not
// there if it is weak.
func (l *linker) findKfunc(name string, weak bool) (*kernel.Prototype, *btf.Func, btf.TypeID, int, error) {
	notFound := fmt.Errorf("kfunc %s: %w", name, btf.ErrNotFound)
	for _, n := range []string{name, essentialName(name)} {
		proto, ok := l.prof.Kfunc(n)
		if !ok {
			continue
		}
		fn, id, mod, err := l.prof.KfuncType(n)
		if err != nil {
			return nil, nil, 0, 0, err
		}
		if local := l.declaration(name); local != nil {
			if err := btf.CheckTypeCompatibility(local.Type, fn.Type); err != nil {
				if weak {
					return nil, nil, 0, 0, notFound
				}
				return nil, nil, 0, 0, fmt.Errorf("kfunc %s: declared otherwise than in kernel profile %s: %w", name, l.prof.Name, err)
			}
		}
		return proto, fn, id, mod, nil
	}
	return nil, nil, 0, 0, notFound
}

// declaration is the program's own declaration of an external function.
func (l *linker) declaration(name string) *btf.Func {
	fn, _ := l.extern(name).(*btf.Func)
	return fn
}

// extern finds a declaration in the virtual section .ksyms.
func (l *linker) extern(name string) btf.Type {
	if l.obj.Types == nil {
		return nil
	}
	var ds *btf.Datasec
	if err := l.obj.Types.TypeByName(".ksyms", &ds); err != nil {
		return nil
	}
	for _, v := range ds.Vars {
		if v.Type != nil && v.Type.TypeName() == name {
			return v.Type
		}
	}
	return nil
}

func (l *linker) mapLoad(ins *Insn) error {
	value := ins.Src == asm.PseudoMapValue
	if m := readSymbolMeta(&ins.Instruction); m.kconfig {
		if weak, ok := ins.Metadata.Get(weakKconfigKey{}).(*map[string]bool); ok {
			l.weakKconfig = *weak
		}
		if err := l.kconfig(); err != nil {
			return err
		}
		ins.Ref = &MapRef{Name: kconfigMap, Value: true, Offset: m.offset}
		ins.Constant = int64(uint64(m.offset) << 32)
		return nil
	}
	name := ins.Reference()
	if name == "" {
		text := fmt.Sprintf("fd %d is not pointing to valid bpf_map", int32(ins.Constant))
		if l.opts.KeepFaulty {
			ins.Poison = text
			return nil
		}
		return errors.New(text)
	}
	spec := l.obj.Maps[name]
	if spec == nil {
		return fmt.Errorf("no map %q in the object", name)
	}
	ins.Ref = &MapRef{Name: name, Value: value}
	if value {
		ins.Ref.Offset = uint32(uint64(ins.Constant) >> 32)
		if ins.Ref.Offset >= spec.ValueSize {
			return fmt.Errorf("loads the address of byte %d of map %s, whose value has %d", ins.Ref.Offset, name, spec.ValueSize)
		}
	}
	return nil
}

// symbolLoad resolves the address of a kernel symbol.
func (l *linker) symbolLoad(ins *Insn) error {
	m := readSymbolMeta(&ins.Instruction)
	name := ins.Reference()
	switch {
	case m.kfunc:
		ins.Ksym = &Ksym{Name: name, Weak: m.weak}
		_, fn, id, _, err := l.findKfunc(name, m.weak)
		switch {
		case err == nil:
			ins.Ksym.Func, ins.Ksym.ID, ins.Ksym.Present = fn, id, true
			ins.Constant = int64(id)
		case !errors.Is(err, btf.ErrNotFound):
			return err
		case !m.weak:
			return fmt.Errorf("unknown kfunc %s: not in kernel profile %s", name, l.prof.Name)
		default:
			ins.Constant, ins.Src = 0, 0
		}
	case m.ksym:
		return l.ksymLoad(ins, name, m.weak)
	case ins.Src == 0 && name != "":
		return fmt.Errorf("undefined symbol %s", name)
	}
	return nil
}

func (l *linker) ksymLoad(ins *Insn, name string, weak bool) error {
	k := &Ksym{Name: name, Weak: weak}
	ins.Ksym, ins.Constant = k, 0
	k.Typed, _ = ins.Metadata.Get(typedKsymKey{}).(bool)
	specs, err := l.prof.AllTypes()
	if err != nil {
		return err
	}
	for _, spec := range specs {
		if err := spec.TypeByName(name, &k.Var); err != nil {
			continue
		}
		k.Present = true
		if k.ID, err = spec.TypeID(k.Var); err != nil {
			return err
		}
		break
	}
	if k.Typed && k.Var == nil && !weak {
		return fmt.Errorf("kernel variable %s is not in kernel profile %s", name, l.prof.Name)
	}
	return nil
}

// essentialName is a name without its flavour: "task_struct" of
// "task_struct___old".
func essentialName(name string) string {
	for i := len(name) - 4; i > 0; i-- {
		if name[i] != '_' && name[i+1] == '_' && name[i+2] == '_' && name[i+3] == '_' && i+4 < len(name) && name[i+4] != '_' {
			return name[:i+1]
		}
	}
	return name
}
