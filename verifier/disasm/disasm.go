// Package disasm is an instruction as the kernel's verifier prints it. It knows how
// instructions are encoded and nothing of programs: start at Text.
package disasm

import (
	"strconv"

	"github.com/bpfct/bpfct/link"
)

// Parts of an opcode.
const (
	classMask = 0x07
	sizeMask  = 0x18
	modeMask  = 0xe0
	opMask    = 0xf0
	sourceX   = 0x08 // the second operand is a register; of a byte swap: to big endian
)

// Instruction classes.
const (
	classLD    = 0x00
	classLDX   = 0x01
	classST    = 0x02
	classSTX   = 0x03
	classALU   = 0x04
	classJMP   = 0x05
	classJMP32 = 0x06
	classALU64 = 0x07
)

// Modes of loads and stores.
const (
	modeIMM    = 0x00
	modeABS    = 0x20
	modeIND    = 0x40
	modeMEM    = 0x60
	modeMEMSX  = 0x80
	modeAtomic = 0xc0 // of STX; of ST it is the barrier that the kernel adds
)

// Operations that print in a way of their own.
const (
	aluDiv = 0x30
	aluNeg = 0x80
	aluMod = 0x90
	aluMov = 0xb0
	aluEnd = 0xd0

	jmpJA   = 0x00
	jmpCall = 0x80
	jmpExit = 0x90
	jmpCond = 0xe0 // may_goto
)

// What the immediate of an atomic operation says.
const (
	atomicFetch      = 0x01
	atomicXchg       = 0xe0 | atomicFetch
	atomicCmpxchg    = 0xf0 | atomicFetch
	atomicLoadAcq    = 0x100
	atomicStoreRel   = 0x110
	pseudoCall       = 1
	addrSpaceCast    = 1  // offset of a MOV
	movPercpu        = -1 // offset of a MOV
	doubleWord       = 0x18
	doubleWordSuffix = "64"
)

var (
	aluOps = [16]string{
		"+=", "-=", "*=", "/=", "|=", "&=", "<<=", ">>=", "neg", "%=", "^=", "=", "s>>=", "endian", "", "",
	}
	signedOps = [16]string{aluDiv >> 4: "s/=", aluMod >> 4: "s%="}
	atomicOps = [16]string{0x0: "add", 0x4: "or", 0x5: "and", 0xa: "xor"}
	jumpOps   = [16]string{
		"jmp", "==", ">", ">=", "&", "!=", "s>", "s>=", "call", "exit", "<", "<=", "s<", "s<=", "", "",
	}
	sizes       = [4]string{"u32", "u16", "u8", "u64"}
	signedSizes = [4]string{"s32", "s16", "s8", "s64"}
	classes     = [8]string{"ld", "ldx", "st", "stx", "alu", "jmp", "jmp32", "alu64"}
)

// Text is the instruction as the kernel's log shows it: "(bf) r6 = r1". imm64 is the
// immediate of a 64-bit load, call the name of the helper or kfunc that is called.
func Text(raw link.Raw, imm64 uint64, call string) string {
	return string(Append(nil, raw, imm64, call))
}

// Append is Text at the end of b.
func Append(b []byte, raw link.Raw, imm64 uint64, call string) []byte {
	p := printer{b: b, r: raw}
	switch raw.Op & classMask {
	case classALU, classALU64:
		p.alu()
	case classSTX:
		p.storeX()
	case classST:
		p.store()
	case classLDX:
		p.loadX()
	case classLD:
		p.load(imm64)
	default:
		p.jump(call)
	}
	return p.b
}

// printer collects the text of one instruction.
type printer struct {
	b []byte
	r link.Raw
}

func (p *printer) str(s string)  { p.b = append(p.b, s...) }
func (p *printer) num(n int64)   { p.b = strconv.AppendInt(p.b, n, 10) }
func (p *printer) hex(n uint64)  { p.b = strconv.AppendUint(p.b, n, 16) }
func (p *printer) bug(at string) { p.str("BUG_" + at); p.hexByte() }

// signed is a number with its sign, as an offset is written.
func (p *printer) signed(n int64) {
	if n >= 0 {
		p.b = append(p.b, '+')
	}
	p.num(n)
}

// hexByte is the opcode in two digits.
func (p *printer) hexByte() {
	const digits = "0123456789abcdef"
	p.b = append(p.b, digits[p.r.Op>>4], digits[p.r.Op&15])
}

// op is "(bf) ".
func (p *printer) op() {
	p.b = append(p.b, '(')
	p.hexByte()
	p.str(") ")
}

// reg is a register of the given width: 'r' or 'w'.
func (p *printer) reg(letter byte, n uint8) {
	p.b = append(p.b, letter)
	p.num(int64(n))
}

// letter is the width of the registers of an arithmetic instruction or a jump.
func (p *printer) letter(narrow uint8) byte {
	if p.r.Op&classMask == narrow {
		return 'w'
	}
	return 'r'
}

func (p *printer) alu() {
	wide := p.r.Op&classMask == classALU64
	letter := p.letter(classALU)
	kind := p.r.Op & opMask
	register := p.r.Op&sourceX != 0
	p.op()
	switch {
	case kind == aluEnd:
		p.swap(wide)
		return
	case kind == aluNeg:
		p.reg(letter, p.r.Dst)
		p.str(" = -")
		p.reg(letter, p.r.Dst)
		return
	case wide && kind == aluMov && register && p.r.Off == addrSpaceCast:
		p.reg('r', p.r.Dst)
		p.str(" = addr_space_cast(")
		p.reg('r', p.r.Src)
		p.str(", ")
		p.num(int64(uint32(p.r.Imm) >> 16))
		p.str(", ")
		p.num(int64(uint16(p.r.Imm)))
		p.str(")")
		return
	case wide && kind == aluMov && register && p.r.Off == movPercpu:
		p.reg('r', p.r.Dst)
		p.str(" = &(void __percpu *)(")
		p.reg('r', p.r.Src)
		p.str(")")
		return
	}
	p.reg(letter, p.r.Dst)
	p.b = append(p.b, ' ')
	if (kind == aluDiv || kind == aluMod) && p.r.Off == 1 {
		p.str(signedOps[kind>>4])
	} else {
		p.str(aluOps[kind>>4])
	}
	p.b = append(p.b, ' ')
	if !register {
		p.num(int64(p.r.Imm))
		return
	}
	if kind == aluMov && (p.r.Off == 8 || p.r.Off == 16 || p.r.Off == 32) {
		p.str("(s")
		p.num(int64(p.r.Off))
		p.str(")")
	}
	p.reg(letter, p.r.Src)
}

// swap is a byte swap: unconditional, or to an order of bytes.
func (p *printer) swap(wide bool) {
	p.reg('r', p.r.Dst)
	switch {
	case wide:
		p.str(" = bswap")
	case p.r.Op&sourceX != 0:
		p.str(" = be")
	default:
		p.str(" = le")
	}
	p.num(int64(p.r.Imm))
	p.b = append(p.b, ' ')
	p.reg('r', p.r.Dst)
}

// size is the name of the type that is accessed.
func (p *printer) size() string { return sizes[p.r.Op&sizeMask>>3] }

// place is "*(u32 *)(r10 -4)", without the star in the arguments of an atomic.
func (p *printer) place(star, size string, reg uint8) {
	p.str(star)
	p.b = append(p.b, '(')
	p.str(size)
	p.str(" *)(")
	p.reg('r', reg)
	p.b = append(p.b, ' ')
	p.signed(int64(p.r.Off))
	p.b = append(p.b, ')')
}

func (p *printer) storeX() {
	switch p.r.Op & modeMask {
	case modeMEM:
		p.op()
		p.place("*", p.size(), p.r.Dst)
		p.str(" = ")
		p.reg('r', p.r.Src)
	case modeAtomic:
		p.atomic()
	default:
		p.bug("")
	}
}

func (p *printer) atomic() {
	name := atomicOps[uint32(p.r.Imm)&opMask>>4]
	// result is what an operation that returns something begins with.
	result := func(reg uint8, name string) {
		p.op()
		p.reg('r', reg)
		p.str(" = atomic")
		if p.r.Op&sizeMask == doubleWord {
			p.str(doubleWordSuffix)
		}
		p.str("_" + name + "(")
		p.place("", p.size(), p.r.Dst)
		p.str(", ")
	}
	switch imm := p.r.Imm; {
	case imm == imm&opMask && name != "":
		p.op()
		p.str("lock ")
		p.place("*", p.size(), p.r.Dst)
		p.str(" " + aluOps[imm>>4] + " ")
		p.reg('r', p.r.Src)
		return
	case imm&^atomicFetch == imm&opMask && name != "":
		result(p.r.Src, "fetch_"+name)
	case imm == atomicXchg:
		result(p.r.Src, "xchg")
	case imm == atomicCmpxchg:
		result(0, "cmpxchg")
		p.str("r0, ")
	case imm == atomicLoadAcq:
		p.op()
		p.reg('r', p.r.Dst)
		p.str(" = load_acquire(")
		p.place("", p.size(), p.r.Src)
		p.b = append(p.b, ')')
		return
	case imm == atomicStoreRel:
		p.op()
		p.str("store_release(")
		p.place("", p.size(), p.r.Dst)
		p.str(", ")
	default:
		p.bug("")
		return
	}
	p.reg('r', p.r.Src)
	p.b = append(p.b, ')')
}

func (p *printer) store() {
	switch p.r.Op & modeMask {
	case modeMEM:
		p.op()
		p.place("*", p.size(), p.r.Dst)
		p.str(" = ")
		p.num(int64(p.r.Imm))
	case modeAtomic:
		p.op()
		p.str("nospec")
	default:
		p.bug("st_")
	}
}

func (p *printer) loadX() {
	size := p.size()
	switch p.r.Op & modeMask {
	case modeMEM:
	case modeMEMSX:
		size = signedSizes[p.r.Op&sizeMask>>3]
	default:
		p.bug("ldx_")
		return
	}
	p.op()
	p.reg('r', p.r.Dst)
	p.str(" = ")
	p.place("*", size, p.r.Src)
}

func (p *printer) load(imm64 uint64) {
	switch mode := p.r.Op & modeMask; {
	case mode == modeABS:
		p.op()
		p.str("r0 = *(" + p.size() + " *)skb[")
		p.num(int64(p.r.Imm))
		p.b = append(p.b, ']')
	case mode == modeIND:
		p.op()
		p.str("r0 = *(" + p.size() + " *)skb[")
		p.reg('r', p.r.Src)
		p.str(" + ")
		p.num(int64(p.r.Imm))
		p.b = append(p.b, ']')
	case mode == modeIMM && p.r.Op&sizeMask == doubleWord:
		p.op()
		p.reg('r', p.r.Dst)
		p.str(" = 0x")
		p.hex(imm64)
	default:
		p.bug("ld_")
	}
}

func (p *printer) jump(call string) {
	wide := p.r.Op&classMask == classJMP
	kind := p.r.Op & opMask
	switch {
	case kind == jmpCall:
		p.call(call)
	case p.r.Op == classJMP|jmpJA:
		p.op()
		p.to("goto pc", int64(p.r.Off))
	case p.r.Op == classJMP|jmpCond && p.r.Src == 0:
		p.op()
		p.to("may_goto pc", int64(p.r.Off))
	case p.r.Op == classJMP32|jmpJA:
		p.op()
		p.to("gotol pc", int64(p.r.Imm))
	case wide && p.r.Op == classJMP|jmpExit:
		p.op()
		p.str("exit")
	case kind > 0xd0:
		p.op()
		p.str(classes[p.r.Op&classMask])
	default:
		letter := p.letter(classJMP32)
		p.op()
		p.str("if ")
		p.reg(letter, p.r.Dst)
		p.str(" " + jumpOps[kind>>4] + " ")
		if p.r.Op&sourceX != 0 {
			p.reg(letter, p.r.Src)
		} else {
			p.str("0x")
			p.hex(uint64(uint32(p.r.Imm)))
		}
		p.to(" goto pc", int64(p.r.Off))
	}
}

func (p *printer) to(what string, off int64) {
	p.str(what)
	p.signed(off)
}

func (p *printer) call(name string) {
	p.op()
	if p.r.Src == pseudoCall {
		p.to("call pc", int64(p.r.Imm))
		return
	}
	if name == "" {
		name = "unknown"
	}
	p.str("call " + name + "#")
	p.num(int64(p.r.Imm))
}
