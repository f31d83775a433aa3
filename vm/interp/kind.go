package interp

// kind is what a decoded instruction does. The suffixes say the width and whether
// the second operand is an immediate (K) or a register (X).
type kind uint8

// ALU kinds come first, in the order of the encoding's operation field, each in
// four forms; conditional jumps follow in the same way. decode.go computes kinds
// from these orders.
const (
	add64K kind = iota
	add64X
	add32K
	add32X
	sub64K
	sub64X
	sub32K
	sub32X
	mul64K
	mul64X
	mul32K
	mul32X
	div64K
	div64X
	div32K
	div32X
	or64K
	or64X
	or32K
	or32X
	and64K
	and64X
	and32K
	and32X
	lsh64K
	lsh64X
	lsh32K
	lsh32X
	rsh64K
	rsh64X
	rsh32K
	rsh32X
	neg64
	_
	neg32
	_
	mod64K
	mod64X
	mod32K
	mod32X
	xor64K
	xor64X
	xor32K
	xor32X
	mov64K
	mov64X
	mov32K
	mov32X
	arsh64K
	arsh64X
	arsh32K
	arsh32X
	sdiv64K
	sdiv64X
	sdiv32K
	sdiv32X
	smod64K
	smod64X
	smod32K
	smod32X

	jeq64K
	jeq64X
	jeq32K
	jeq32X
	jgt64K
	jgt64X
	jgt32K
	jgt32X
	jge64K
	jge64X
	jge32K
	jge32X
	jset64K
	jset64X
	jset32K
	jset32X
	jne64K
	jne64X
	jne32K
	jne32X
	jsgt64K
	jsgt64X
	jsgt32K
	jsgt32X
	jsge64K
	jsge64X
	jsge32K
	jsge32X
	jlt64K
	jlt64X
	jlt32K
	jlt32X
	jle64K
	jle64X
	jle32K
	jle32X
	jslt64K
	jslt64X
	jslt32K
	jslt32X
	jsle64K
	jsle64X
	jsle32K
	jsle32X

	movsx8to64
	movsx16to64
	movsx32to64
	movsx8to32
	movsx16to32

	swap16 // reverses the bytes of the low 16 bits and clears the others
	swap32
	swap64
	low16 // clears all but the low 16 bits
	low32
	nop

	load64 // a 64-bit immediate

	load8
	load16
	load32
	load64m
	loadS8
	loadS16
	loadS32

	store8K
	store16K
	store32K
	store64K
	store8X
	store16X
	store32X
	store64X

	atomicRMW    // read, modify and write; imm is the operation, aux the size
	loadAcquire  // aux is the size
	storeRelease // aux is the size

	packetAbs // aux is the size
	packetInd

	jump
	mayGoto
	observed // not an instruction: the next one is shown to the engine's observer
	callFunc // helper or kfunc
	callProg // function of the program
	tailCall
	exit

	// illegal is an encoding that the kernel refuses only where a path leads to it;
	// target is its place in code.illegal.
	illegal
)

// op is a decoded instruction.
type op struct {
	kind     kind
	dst, src uint8
	aux      uint8
	// slot is the instruction's place in the program.
	slot int32
	// imm is the immediate as its user needs it: sign-extended for 64-bit
	// operations, zero-extended from 32 bits for 32-bit ones.
	imm uint64
	// off is the sign-extended offset of a memory access.
	off uint64
	// target is the index that a jump or call leads to, or that of a callee in calls
	// or of a reason in illegal.
	target int32
}
