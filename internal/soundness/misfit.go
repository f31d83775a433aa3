package soundness

import (
	"encoding/binary"
	"fmt"

	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct/verifier"
	"github.com/bpfct/bpfct/verifier/state"
	"github.com/bpfct/bpfct/vm"
)

// misfit says which register is not as it should be on the path that s is from, ""
// for none. Only explain is for a reader.
func misfit(c *vm.CPU, s *verifier.Seen, regs []uint64, explain bool) string {
	for i, v := range regs {
		if s.Live&(1<<i) == 0 {
			continue
		}
		r := &s.Regs[i]
		if why := wrong(c, r, v); why != "" {
			if explain {
				why = fmt.Sprintf("r%d = %#x: %s: %+v", i, v, why, r.Scalar)
			}
			return why
		}
		if first := int(r.ID&^state.AddConst) - 1; first >= 0 && first != i && !related(&s.Regs[first], r, regs[first], v) {
			return fmt.Sprintf("r%d = %#x and r%d = %#x should be related", first, regs[first], i, v)
		}
	}
	return ""
}

// related reports whether a and b, which share an ID, have the values that they must
// have then.
func related(a, b *state.Reg, x, y uint64) bool {
	switch {
	case a.Type == state.ScalarValue && b.Type == state.ScalarValue:
		if (a.ID|b.ID)&state.AddConst32 != 0 {
			return uint32(x)-uint32(constant(a)) == uint32(y)-uint32(constant(b))
		}
		return x-uint64(constant(a)) == y-uint64(constant(b))
	case a.MayBeNull() && b.MayBeNull():
		return (x == 0) == (y == 0)
	}
	return true
}

func constant(r *state.Reg) int64 {
	if r.ID&state.AddConst == 0 {
		return 0
	}
	return int64(r.Off)
}

// wrong says why a register cannot hold v, "" where it can.
func wrong(c *vm.CPU, r *state.Reg, v uint64) string {
	switch {
	case r.Type == state.NotInit:
		return ""
	case r.Type == state.ScalarValue:
		if !r.Contains(v) {
			return "outside its bounds"
		}
		return ""
	case v == 0 && (r.MayBeNull() || r.Type.Base() == state.PtrToBTFID && r.RefObjID == 0):
		return "" // a kernel object that is only looked at may be gone
	case v == 0:
		return "NULL, but a " + r.Type.String()
	}
	p := pointer{c: c, r: r, v: v}
	switch r.Type.Base() {
	case state.PtrToStack:
		return p.stack()
	case state.PtrToPacket, state.PtrToPacketMeta, state.PtrToPacketEnd:
		return p.packet()
	case state.PtrToCtx:
		if c.Ctx != nil && !r.Contains(v-c.Ctx.Addr()-uint64(int64(r.Off))) {
			return "not at its offset in the context"
		}
	case state.ConstPtrToMap:
		return p.object(vm.KindMap)
	case state.PtrToMapValue:
		if r.MayBeNull() && r.Map.Inner != nil {
			return p.object(vm.KindMap) // until it is known not to be NULL
		}
		return p.value()
	case state.PtrToMem:
		return p.memory()
	case state.PtrToBTFID, state.PtrToSocket, state.PtrToSockCommon, state.PtrToTCPSock:
		if r.RefObjID != 0 {
			return p.held()
		}
	}
	return ""
}

// pointer is a register that holds one.
type pointer struct {
	c *vm.CPU
	r *state.Reg
	v uint64
}

// from reports whether the pointer may point into what starts at base.
func (p *pointer) from(base uint64) bool { return p.r.Contains(p.v - base - uint64(int64(p.r.Off))) }

// stack: a function that is verified on its own, or called back, numbers frames from
// its own on, so that any frame will do.
func (p *pointer) stack() string {
	for n := range p.c.Depth() {
		if p.from(p.c.Frame(n).Addr() + vm.StackSize) {
			return ""
		}
	}
	return fmt.Sprintf("not at fp%+d%+v of a frame", p.r.Off, p.r.Scalar)
}

// packet checks against the context's own fields.
func (p *pointer) packet() string {
	offs := map[state.Type]uint64{state.PtrToPacket: 76, state.PtrToPacketEnd: 80, state.PtrToPacketMeta: 140}
	if p.c.Prog.Type == ebpf.XDP {
		offs = map[state.Type]uint64{state.PtrToPacket: 0, state.PtrToPacketEnd: 4, state.PtrToPacketMeta: 8}
	}
	if p.c.Ctx == nil {
		return ""
	}
	field := func(t state.Type) uint64 {
		b, fault := p.c.M.Mem.Load(p.c.Ctx.Addr()+offs[t], 4)
		if fault != nil {
			return 0
		}
		return uint64(binary.LittleEndian.Uint32(b))
	}
	base := field(p.r.Type.Base())
	if !p.from(base) {
		return fmt.Sprintf("not at %+d%+v of the packet at %#x", p.r.Off, p.r.Scalar, base)
	}
	end := state.PtrToPacketEnd
	if p.r.Type.Base() == state.PtrToPacketMeta {
		end = state.PtrToPacket
	}
	// What was checked is counted from where the variable part left the pointer.
	if p.r.Range > 0 && p.v-uint64(int64(p.r.Off))+uint64(p.r.Range) > field(end) {
		return fmt.Sprintf("%d bytes from %+d on reach beyond %#x", p.r.Range, -p.r.Off, field(end))
	}
	return ""
}

// object: the start of one of a kind.
func (p *pointer) object(kind vm.Kind) string {
	if o := p.c.M.Mem.Find(p.v); o == nil || o.Kind != kind || !o.Live() || !p.from(o.Addr()) {
		return fmt.Sprintf("%v, not the %v", o, kind)
	}
	return ""
}

// value: where the bounds keep the pointer within the value it must be at its offset in
// one.
func (p *pointer) value() string {
	size := int64(p.r.Map.Spec.ValueSize)
	lo, hi := p.r.SMin, p.r.SMax
	if lo < -size || hi > size || lo+int64(p.r.Off) < 0 || hi+int64(p.r.Off) >= size {
		return ""
	}
	o := p.c.M.Mem.Find(p.v)
	if o == nil || o.Kind != vm.KindMapValue || !o.Live() {
		return fmt.Sprintf("%v, not a value of map %s", o, p.r.Map.Name)
	}
	off := p.v - o.Addr()
	if o.Stride != 0 {
		off %= uint64(o.Stride)
	}
	if !p.r.Contains(off - uint64(int64(p.r.Off))) {
		return fmt.Sprintf("at offset %d of the value, not %+d%+v", off, p.r.Off, p.r.Scalar)
	}
	return ""
}

// memory: as many bytes as were promised.
func (p *pointer) memory() string {
	if !p.r.Var.IsConst() || p.r.MemSize == 0 || p.r.Type.Has(state.Percpu) {
		return ""
	}
	start := p.v - uint64(int64(p.r.Off)) - p.r.Var.Value
	if _, fault := p.c.M.Mem.Load(start, p.r.MemSize); fault != nil {
		return fmt.Sprintf("%d bytes at %#x: %v", p.r.MemSize, start, fault)
	}
	return ""
}

// held: what the program owes lives.
func (p *pointer) held() string {
	o := p.c.M.Mem.Find(p.v)
	if o == nil || !o.Live() {
		return fmt.Sprintf("%v, but held as %v", o, p.r.Type)
	}
	return ""
}
