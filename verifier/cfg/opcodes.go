package cfg

import "github.com/bpfct/bpfct/internal/errno"

// known has the opcodes that a program may use.
var known = knownOpcodes()

func knownOpcodes() (table [256]bool) {
	add := func(ops ...int) {
		for _, op := range ops {
			table[op] = true
		}
	}
	for op := 0; op <= aluEnd; op += 0x10 {
		switch op {
		case aluNeg:
			add(classALU|op, classALU64|op)
		case aluEnd:
			add(classALU|op, classALU|op|sourceX, classALU64|op)
		default:
			add(classALU|op, classALU|op|sourceX, classALU64|op, classALU64|op|sourceX)
		}
	}
	for op := 0x10; op <= 0xd0; op += 0x10 {
		if op != jmpCall && op != jmpExit {
			add(classJMP|op, classJMP|op|sourceX, classJMP32|op, classJMP32|op|sourceX)
		}
	}
	add(opJA, opJAL, opCall, opExit, opMayGoto, opLoadImm64)
	for size := 0; size <= sizeMask; size += 0x08 {
		add(classSTX|modeMEM|size, classST|modeMEM|size, classLDX|modeMEM|size, classSTX|modeAtomic|size)
		if size != sizeMask {
			add(classLDX|modeMEMSX|size, classLD|modeABS|size, classLD|modeIND|size)
		}
	}
	return table
}

// CheckOpcodes refuses instructions that do not exist, in the order of the program.
func CheckOpcodes(insns []Insn) error {
	for i := 0; i < len(insns); i++ {
		in := &insns[i]
		mode := in.Op & modeMask
		if in.class() == classLDX && (mode != modeMEM && mode != modeMEMSX || in.Imm != 0) {
			return fault(errno.EINVAL, i, "BPF_LDX uses reserved fields")
		}
		if in.Op == opLoadImm64 {
			if i == len(insns)-1 || insns[i+1].Op != 0 || insns[i+1].Dst != 0 || insns[i+1].Src != 0 || insns[i+1].Off != 0 {
				return fault(errno.EINVAL, i, "invalid bpf_ld_imm64 insn")
			}
			i++
			continue
		}
		if !known[in.Op] {
			return fault(errno.EINVAL, i, "unknown opcode %02x", in.Op)
		}
	}
	return nil
}
