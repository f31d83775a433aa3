package interp

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cilium/ebpf/asm"

	"github.com/bpfct/bpfct/vm"
)

// errUnknown is the error of an opcode that Linux does not have: it refuses a
// program that has one anywhere.
var errUnknown = errors.New("unknown opcode")

// errIllegal is matched by the errors of what Linux refuses only where a path leads
// to it: dead code may have such instructions.
var errIllegal = errors.New("illegal instruction")

// illegalError is an error that matches errIllegal.
type illegalError string

func (e illegalError) Error() string      { return string(e) }
func (illegalError) Is(target error) bool { return target == errIllegal }

const (
	errReserved     = illegalError("reserved fields are not zero")
	errFramePointer = illegalError("frame pointer is read only")
)

func illegalf(format string, args ...any) error { return illegalError(fmt.Sprintf(format, args...)) }

// decode translates one instruction; targets stay slots.
func decode(in vm.Insn) (op, error) {
	class := asm.Class(in.Op & 7)
	o := op{dst: in.Dst, src: in.Src, target: in.Target, imm: uint64(int64(in.Imm)), off: uint64(int64(in.Off))}
	var err error
	switch class {
	case asm.ALUClass, asm.ALU64Class:
		err = o.decodeALU(in, class == asm.ALU64Class)
	case asm.JumpClass, asm.Jump32Class:
		err = o.decodeJump(in, class == asm.JumpClass)
	case asm.LdClass:
		err = o.decodeLoad(in)
	default:
		err = o.decodeMemory(in, class)
	}
	if err == nil {
		err = o.checkRegisters()
	}
	return o, err
}

// checkRegisters holds that the registers of a decoded instruction exist, and that
// those it writes may be written.
func (o *op) checkRegisters() error {
	src := o.src
	switch o.kind {
	case load64, callFunc, callProg, tailCall, mayGoto:
		src = 0 // says what the immediate is
	}
	if r := max(o.dst, src); r > 10 {
		return illegalf("no register r%d", r)
	}
	written := o.dst
	switch k := o.kind; {
	case k == atomicRMW:
		if o.imm&rmwFetch == 0 || o.imm == rmwCmpXchg {
			return nil
		}
		written = o.src
	case k >= jeq64K && k <= jsle32X, k >= store8K && k <= store64X, k == storeRelease, k >= packetAbs:
		return nil
	}
	if written == 10 {
		return errFramePointer
	}
	return nil
}

// width and operand of the four forms of ALU and jump kinds.
func form(in vm.Insn, wide bool) kind {
	var f kind
	if !wide {
		f = 2
	}
	if in.Op&8 != 0 {
		f++
	}
	return f
}

func (o *op) decodeALU(in vm.Insn, wide bool) error {
	alu := asm.ALUOp(in.Op & 0xf0)
	if alu == asm.Swap {
		return o.decodeSwap(in, wide)
	}
	reg := in.Op&8 != 0
	if alu > asm.ArSh || alu == asm.Neg && reg {
		return errUnknown
	}
	width := int32(64)
	if !wide {
		width, o.imm = 32, uint64(uint32(in.Imm))
	}
	if reg && in.Imm != 0 || !reg && in.Src != 0 {
		return errReserved
	}
	f := form(in, wide)
	switch {
	case alu == asm.Neg:
		if in.Imm != 0 || in.Off != 0 {
			return errReserved
		}
	case !reg && in.Imm == 0 && (alu == asm.Div || alu == asm.Mod):
		return illegalf("division by 0")
	case !reg && (in.Imm < 0 || in.Imm >= width) && (alu == asm.LSh || alu == asm.RSh || alu == asm.ArSh):
		return illegalf("invalid shift %d", in.Imm)
	case (alu == asm.Div || alu == asm.Mod) && in.Off == 1:
		o.kind = sdiv64K + f
		if alu == asm.Mod {
			o.kind = smod64K + f
		}
		return nil
	case alu == asm.Mov && reg && in.Off != 0:
		return o.decodeMovSX(in, wide)
	}
	if in.Off != 0 {
		return errReserved
	}
	o.kind = kind(alu>>4)*4 + f
	return nil
}

func (o *op) decodeMovSX(in vm.Insn, wide bool) error {
	switch {
	case in.Off == 8 && wide:
		o.kind = movsx8to64
	case in.Off == 16 && wide:
		o.kind = movsx16to64
	case in.Off == 32 && wide:
		o.kind = movsx32to64
	case in.Off == 8:
		o.kind = movsx8to32
	case in.Off == 16:
		o.kind = movsx16to32
	default:
		return errReserved
	}
	return nil
}

// decodeSwap decodes the byte order operations. The machine is little-endian.
func (o *op) decodeSwap(in vm.Insn, wide bool) error {
	toBE := in.Op&8 != 0
	if wide && toBE {
		return errUnknown
	}
	if in.Src != 0 || in.Off != 0 {
		return errReserved
	}
	swap := toBE || wide
	switch in.Imm {
	case 16:
		o.kind = low16
		if swap {
			o.kind = swap16
		}
	case 32:
		o.kind = low32
		if swap {
			o.kind = swap32
		}
	case 64:
		o.kind = nop
		if swap {
			o.kind = swap64
		}
	default:
		return errReserved
	}
	return nil
}

// condJumps are the conditional jumps in the order of their kinds.
var condJumps = [...]asm.JumpOp{asm.JEq, asm.JGT, asm.JGE, asm.JSet, asm.JNE, asm.JSGT, asm.JSGE,
	asm.JLT, asm.JLE, asm.JSLT, asm.JSLE}

func (o *op) decodeJump(in vm.Insn, wide bool) error {
	jop, reg := asm.JumpOp(in.Op&0xf0), in.Op&8 != 0
	switch jop {
	case asm.Ja:
		if reg {
			return errUnknown
		}
		if in.Src != 0 || in.Dst != 0 || wide && in.Imm != 0 || !wide && in.Off != 0 {
			return errReserved
		}
		o.kind = jump
		return nil
	case asm.Call, asm.Exit, asm.JCOND:
		if !wide || reg {
			return errUnknown
		}
		if in.Dst != 0 && in.Call == nil {
			return errReserved
		}
	}
	switch jop {
	case asm.Call:
		switch {
		case in.Call != nil && in.Call.Name == tailCallName:
			o.kind = tailCall
		case in.Call != nil:
			if in.Call.Func == nil {
				return fmt.Errorf("%s cannot be called on this machine", in.Call.Name)
			}
			o.kind = callFunc
		case in.Src == uint8(asm.PseudoCall):
			o.kind = callProg
		default:
			return fmt.Errorf("call of unknown function %d", in.Imm)
		}
		return nil
	case asm.Exit:
		if in.Src != 0 || in.Off != 0 || in.Imm != 0 {
			return errReserved
		}
		o.kind = exit
		return nil
	case asm.JCOND:
		if in.Src != uint8(asm.PseudoMayGoto) || in.Imm != 0 {
			return errReserved
		}
		o.kind = mayGoto
		return nil
	}
	i := slices.Index(condJumps[:], jop)
	if i < 0 {
		return errUnknown
	}
	if reg && in.Imm != 0 || !reg && in.Src != 0 {
		return errReserved
	}
	if !wide {
		o.imm = uint64(uint32(in.Imm))
	}
	o.kind = jeq64K + kind(i)*4 + form(in, wide)
	return nil
}

// tailCallName is the helper that the engine performs itself.
const tailCallName = vm.TailCall

func sizeOf(opcode uint8) uint8 {
	switch asm.Size(opcode & 0x18) {
	case asm.Byte:
		return 1
	case asm.Half:
		return 2
	case asm.Word:
		return 4
	}
	return 8
}

// log2 is the exponent of a size.
func log2(size uint8) kind {
	switch size {
	case 1:
		return 0
	case 2:
		return 1
	case 4:
		return 2
	}
	return 3
}

func (o *op) decodeLoad(in vm.Insn) error {
	size := sizeOf(in.Op)
	switch mode := asm.Mode(in.Op & 0xe0); {
	case mode == asm.ImmMode && size == 8:
		o.kind, o.imm = load64, in.Value
	case (mode == asm.AbsMode || mode == asm.IndMode) && size != 8:
		if in.Dst != 0 || in.Off != 0 || mode == asm.AbsMode && in.Src != 0 {
			return errReserved
		}
		o.kind, o.aux = packetAbs, size
		if mode == asm.IndMode {
			o.kind = packetInd
		}
	default:
		return errUnknown
	}
	return nil
}

func (o *op) decodeMemory(in vm.Insn, class asm.Class) error {
	size, mode := sizeOf(in.Op), asm.Mode(in.Op&0xe0)
	n := log2(size)
	switch {
	case class == asm.StXClass && mode == asm.AtomicMode:
		return o.decodeAtomic(in, size)
	case class == asm.LdXClass && mode == asm.MemMode:
		o.kind = load8 + n
		o.probe(in)
	case class == asm.LdXClass && mode == asm.MemSXMode && size != 8:
		o.kind = loadS8 + n
		o.probe(in)
	case class == asm.StClass && mode == asm.MemMode:
		if in.Src != 0 {
			return errReserved
		}
		o.kind = store8K + n
		return nil
	case class == asm.StXClass && mode == asm.MemMode:
		o.kind = store8X + n
	default:
		return errUnknown
	}
	if in.Imm != 0 {
		if class == asm.LdXClass {
			return errors.New(errReserved.Error()) // Linux looks at these also in dead code
		}
		return errReserved
	}
	return nil
}

func (o *op) decodeAtomic(in vm.Insn, size uint8) error {
	o.aux = size
	switch in.Imm {
	case int32(loadAcq):
		o.kind = loadAcquire
		return nil
	case int32(storeRel):
		o.kind = storeRelease
		return nil
	case int32(rmwAdd), int32(rmwOr), int32(rmwAnd), int32(rmwXor):
	case int32(rmwAdd | rmwFetch), int32(rmwOr | rmwFetch), int32(rmwAnd | rmwFetch), int32(rmwXor | rmwFetch),
		int32(rmwXchg):
	case int32(rmwCmpXchg):
	default:
		return illegalf("unknown atomic operation %#x", in.Imm)
	}
	if size < 4 {
		return illegalf("atomic operation on %d bytes", size)
	}
	o.kind = atomicRMW
	return nil
}

// probe marks a load that gives 0 where it cannot be made.
func (o *op) probe(in vm.Insn) {
	if in.Probe {
		o.aux = 1
	}
}
