package state

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/cilium/ebpf/btf"
)

// signed and unsigned print numbers as the kernel's log does: small ones decimal.
func signed(n int64) string {
	if n >= -1<<15 && n < 1<<15 {
		return strconv.FormatInt(n, 10)
	}
	return fmt.Sprintf("%#x", uint64(n))
}

func unsigned(n uint64) string {
	if n < 1<<16 {
		return strconv.FormatUint(n, 10)
	}
	return fmt.Sprintf("%#x", n)
}

// half is a bound of the lower half: the same number as that of the whole where it is
// printed in decimal, the bits of the half alone where it is in hexadecimal.
func half(n int32) uint64 {
	if n >= -1<<15 && n < 1<<15 {
		return uint64(int64(n))
	}
	return uint64(uint32(n))
}

// attrs collects "a,b,c".
type attrs struct {
	b   *strings.Builder
	any bool
}

func (a *attrs) add(format string, args ...any) {
	if a.any {
		a.b.WriteByte(',')
	}
	a.any = true
	fmt.Fprintf(a.b, format, args...)
}

// Text is the register as the kernel's log shows it, in a state whose executing
// frame is frame.
func (r *Reg) Text(frame int32) string {
	var b strings.Builder
	r.appendText(&b, frame)
	return b.String()
}

func (r *Reg) appendText(b *strings.Builder, frame int32) {
	if r.Type == ScalarValue && r.Precise {
		b.WriteByte('P')
	}
	if r.Type == ScalarValue && r.Var.IsConst() {
		b.WriteString(signed(int64(r.Var.Value)))
		return
	}
	b.WriteString(r.Type.String())
	if r.Type == PtrToStack {
		if r.Frame != frame {
			fmt.Fprintf(b, "[%d]", r.Frame)
		}
		if r.Var.IsConst() {
			b.WriteString(signed(int64(r.Var.Value) + int64(r.Off)))
			return
		}
	}
	if r.Type.Base() == PtrToBTFID && r.BTF != nil {
		b.WriteString(r.BTF.TypeName())
	}
	b.WriteByte('(')
	a := &attrs{b: b}
	if r.ID != 0 {
		a.add("id=%d", r.ID&^AddConst)
		if r.ID&AddConst != 0 {
			fmt.Fprintf(b, "%+d", r.Off)
		}
	}
	if r.RefObjID != 0 {
		a.add("ref_obj_id=%d", r.RefObjID)
	}
	if r.Type.Has(NonOwnRef) {
		a.add("non_own_ref")
	}
	if m := r.Map; m != nil && r.Type.isOfMap() {
		if m.Name != "" {
			a.add("map=%s", m.Name)
		}
		a.add("ks=%d,vs=%d", m.Spec.KeySize, m.Spec.ValueSize)
	}
	if r.Type != ScalarValue && r.Off != 0 {
		a.add("off=%s", signed(int64(r.Off)))
	}
	if r.Type.IsPacket() {
		a.add("r=%s", unsigned(uint64(int64(r.Range))))
	}
	if r.Type.Base() == PtrToMem {
		a.add("sz=%s", unsigned(uint64(r.MemSize)))
	}
	if r.Type == ConstPtrToDynptr {
		a.add("type=%s", r.Dynptr)
	}
	if r.Var.IsConst() {
		if r.Var.Value != 0 {
			a.add("imm=%s", signed(int64(r.Var.Value)))
		}
	} else {
		r.appendRanges(a)
		if !r.Var.IsUnknown() {
			a.add("var_off=%s", r.Var)
		}
	}
	b.WriteByte(')')
}

// appendRanges lists the bounds that say something; a minimum is joined with the
// other minima of the same value, and likewise the maxima.
func (r *Reg) appendRanges(a *attrs) {
	type bound struct {
		name   string
		value  uint64
		signed bool
		omit   bool
	}
	list := []bound{
		{"smin", uint64(r.SMin), true, r.SMin == -1<<63},
		{"smax", uint64(r.SMax), true, r.SMax == 1<<63-1},
		{"umin", r.UMin, false, r.UMin == 0},
		{"umax", r.UMax, false, r.UMax == 1<<64-1},
		{"smin32", half(r.S32Min), true, r.S32Min == -1<<31},
		{"smax32", half(r.S32Max), true, r.S32Max == 1<<31-1},
		{"umin32", uint64(r.U32Min), false, r.U32Min == 0},
		{"umax32", uint64(r.U32Max), false, r.U32Max == 1<<32-1},
	}
	negative := func(x *bound) bool { return x.signed && int64(x.value) < 0 }
	for i := range list {
		x := &list[i]
		if x.omit {
			continue
		}
		names := x.name
		for j := i + 2; j < len(list); j += 2 {
			y := &list[j]
			if y.omit || y.value != x.value || negative(y) != negative(x) {
				continue
			}
			y.omit = true
			names += "=" + y.name
		}
		if x.signed {
			a.add("%s=%s", names, signed(int64(x.value)))
		} else {
			a.add("%s=%s", names, unsigned(x.value))
		}
	}
}

// Touched says which registers and slots of a frame an instruction changed.
type Touched struct {
	Regs  uint32
	Slots uint64
}

// Reg marks register n.
func (t *Touched) Reg(n uint8) { t.Regs |= 1 << n }

// Slot marks stack slot n.
func (t *Touched) Slot(n int) { t.Slots |= 1 << n }

// Any reports whether something is marked.
func (t *Touched) Any() bool { return t.Regs != 0 || t.Slots != 0 }

// All marks everything.
var All = Touched{Regs: ^uint32(0), Slots: ^uint64(0)}

// Text is frame number n of the state as the kernel's log shows it, as far as it is
// touched: " R0=1 R10=fp0 fp-8=0 refs=2".
func (s *State) Text(n int, touched Touched) string {
	var b strings.Builder
	f := s.Frames[n]
	if f.No != 0 {
		fmt.Fprintf(&b, " frame%d:", f.No)
	}
	for i := range f.Regs {
		if f.Regs[i].Type == NotInit || touched.Regs&(1<<i) == 0 {
			continue
		}
		fmt.Fprintf(&b, " R%d=", i)
		f.Regs[i].appendText(&b, f.No)
	}
	for i := 0; i < len(f.Stack); i++ {
		i = f.appendSlot(&b, i, touched)
	}
	if len(s.Refs) > 0 && s.Refs[0].ID != 0 {
		sep := " refs="
		for _, r := range s.Refs {
			if r.ID != 0 {
				b.WriteString(sep)
				b.WriteString(strconv.FormatUint(uint64(r.ID), 10))
				sep = ","
			}
		}
	}
	if f.InCallback {
		b.WriteString(" cb")
	}
	if f.InAsyncCallback {
		b.WriteString(" async_cb")
	}
	return b.String()
}

// appendSlot adds slot i, and returns the last slot that it covers.
func (f *Frame) appendSlot(b *strings.Builder, i int, touched Touched) int {
	sl := &f.Stack[i]
	var chars [RegSize]byte
	valid := false
	for j, t := range sl.Bytes {
		valid = valid || t != SlotInvalid
		chars[j] = slotChars[t]
	}
	if !valid || touched.Slots&(1<<min(i, 63)) == 0 {
		return i
	}
	at := -(i + 1) * RegSize
	switch sl.Bytes[RegSize-1] {
	case SlotSpill:
		// Bytes that are no part of the register come first.
		n := 0
		for n < RegSize && sl.Bytes[n] != SlotSpill {
			n++
		}
		fmt.Fprintf(b, " fp%d=%s", at, chars[:n])
		sl.Spilled.appendText(b, f.No)
	case SlotDynptr:
		r := &sl.Spilled
		if i+1 < len(f.Stack) {
			i++
			r, at = &f.Stack[i].Spilled, -(i+1)*RegSize
		}
		fmt.Fprintf(b, " fp%d=dynptr_%s(", at, r.Dynptr)
		a := &attrs{b: b}
		if r.ID != 0 {
			a.add("id=%d", r.ID)
		}
		if r.RefObjID != 0 {
			a.add("ref_id=%d", r.RefObjID)
		}
		if r.First {
			// The kernel shows a member that shares its place with this one.
			a.add("dynptr_id=1")
		}
		b.WriteByte(')')
	case SlotIter:
		r := &sl.Spilled
		if r.RefObjID == 0 {
			return i // only the first slot tells
		}
		fmt.Fprintf(b, " fp%d=iter_%s(ref_id=%d,state=%s,depth=%d)", at, iterName(r.BTF), r.RefObjID, r.Iter, r.IterDepth)
	default:
		fmt.Fprintf(b, " fp%d=%s", at, chars[:])
	}
	return i
}

// iterName is the part of an iterator's struct name that tells iterators apart:
// "num" of struct bpf_iter_num.
func iterName(t btf.Type) string {
	if t == nil {
		return "<invalid>"
	}
	return strings.TrimPrefix(t.TypeName(), "bpf_iter_")
}
