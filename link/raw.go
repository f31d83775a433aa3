package link

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/cilium/ebpf/asm"
)

// Raw is one slot of 8 bytes as the kernel reads it:
//
//	  byte 0   byte 1      bytes 2-3   bytes 4-7
//	+--------+-----+-----+-----------+-----------+
//	|   op   | dst | src |    off    |    imm    |
//	+--------+-----+-----+-----------+-----------+
type Raw struct {
	Op       uint8
	Dst, Src uint8
	Off      int16
	Imm      int32
}

// opCall is the opcode of a call.
const opCall = uint8(asm.JumpClass) | uint8(asm.Call)

// Encode is the first slot of ins as it is encoded: cilium/ebpf keeps parts of
// offset and immediate of some instructions in its wider opcode.
func Encode(ins *asm.Instruction) (Raw, error) {
	if ins.Dst > asm.R10 || ins.Src > 15 {
		return Raw{}, fmt.Errorf("no register r%d", max(ins.Dst, ins.Src))
	}
	if ins.IsBuiltinCall() { // Marshal refuses Linux's helpers on other systems
		return Raw{Op: opCall, Off: ins.Offset, Imm: int32(ins.Constant)}, nil
	}
	var b bytes.Buffer
	if _, err := ins.Marshal(&b, binary.LittleEndian); err != nil {
		return Raw{}, err
	}
	raw := b.Bytes()
	r := Raw{
		Op:  raw[0],
		Dst: raw[1] & 15,
		Src: raw[1] >> 4,
		Off: int16(binary.LittleEndian.Uint16(raw[2:])),
		Imm: int32(binary.LittleEndian.Uint32(raw[4:])),
	}
	if atomic := ins.OpCode.AtomicOp(); atomic != asm.InvalidAtomic && r.Imm == 0 {
		// Marshal writes Constant, in which only decoded instructions have it.
		r.Imm = int32(atomic >> 8)
	}
	return r, nil
}
