package interp

import (
	"encoding/binary"
	"math/bits"

	"github.com/bpfct/bpfct/vm"
)

// maxMayGoto is how often one activation of a function may pass its may_goto
// instructions (BPF_MAX_LOOPS).
const maxMayGoto = 8 << 20

// stack is the memory of a frame.
type stack = [vm.StackSize]byte

// frame is what a call saves of its caller.
type frame struct {
	k     *code
	pc    int // of the call
	saved [4]uint64
	fp    uint64
	stk   *stack
	loops uint64
	base  int
	main  bool
}

// exec runs the function at pc until it returns. main says that it is a
// program's entry, where exceptions end. It is one large loop with few variables of
// its own, which the compiler can keep in registers; the rest is in x.
//
// Instructions are counted when control leaves a straight line: from x.start to pc.
//
//go:norace
func (x *run) exec(c *vm.CPU, k *code, pc int, args [5]uint64, main bool) (uint64, error) {
	fo, err := c.PushFrame()
	if err != nil {
		return 0, err
	}
	x.c, x.m, x.k, x.main = c, c.M.Mem, k, main
	x.depth, x.base = c.Depth(), c.Base()
	x.loops, x.start, x.budget = maxMayGoto, pc, c.Budget
	x.r = [16]uint64{1: args[0], 2: args[1], 3: args[2], 4: args[3], 5: args[4]}
	x.enter(fo)
	ops := k.ops
	var (
		in     *op
		n      uint64
		next   *code
		thrown *vm.Exception
		ok     bool
	)
	for {
		in = &ops[pc]
		switch in.kind {
		case add64K:
			x.r[in.dst&15] += in.imm
		case add64X:
			x.r[in.dst&15] += x.r[in.src&15]
		case add32K:
			x.r[in.dst&15] = uint64(uint32(x.r[in.dst&15]) + uint32(in.imm))
		case add32X:
			x.r[in.dst&15] = uint64(uint32(x.r[in.dst&15]) + uint32(x.r[in.src&15]))
		case sub64K:
			x.r[in.dst&15] -= in.imm
		case sub64X:
			x.r[in.dst&15] -= x.r[in.src&15]
		case sub32K:
			x.r[in.dst&15] = uint64(uint32(x.r[in.dst&15]) - uint32(in.imm))
		case sub32X:
			x.r[in.dst&15] = uint64(uint32(x.r[in.dst&15]) - uint32(x.r[in.src&15]))
		case mul64K:
			x.r[in.dst&15] *= in.imm
		case mul64X:
			x.r[in.dst&15] *= x.r[in.src&15]
		case mul32K:
			x.r[in.dst&15] = uint64(uint32(x.r[in.dst&15]) * uint32(in.imm))
		case mul32X:
			x.r[in.dst&15] = uint64(uint32(x.r[in.dst&15]) * uint32(x.r[in.src&15]))
		case div64K:
			x.r[in.dst&15] = div64(x.r[in.dst&15], in.imm)
		case div64X:
			x.r[in.dst&15] = div64(x.r[in.dst&15], x.r[in.src&15])
		case div32K:
			x.r[in.dst&15] = uint64(div32(uint32(x.r[in.dst&15]), uint32(in.imm)))
		case div32X:
			x.r[in.dst&15] = uint64(div32(uint32(x.r[in.dst&15]), uint32(x.r[in.src&15])))
		case or64K:
			x.r[in.dst&15] |= in.imm
		case or64X:
			x.r[in.dst&15] |= x.r[in.src&15]
		case or32K:
			x.r[in.dst&15] = uint64(uint32(x.r[in.dst&15]) | uint32(in.imm))
		case or32X:
			x.r[in.dst&15] = uint64(uint32(x.r[in.dst&15]) | uint32(x.r[in.src&15]))
		case and64K:
			x.r[in.dst&15] &= in.imm
		case and64X:
			x.r[in.dst&15] &= x.r[in.src&15]
		case and32K:
			x.r[in.dst&15] = uint64(uint32(x.r[in.dst&15]) & uint32(in.imm))
		case and32X:
			x.r[in.dst&15] = uint64(uint32(x.r[in.dst&15]) & uint32(x.r[in.src&15]))
		case lsh64K:
			x.r[in.dst&15] <<= in.imm & 63
		case lsh64X:
			x.r[in.dst&15] <<= x.r[in.src&15] & 63
		case lsh32K:
			x.r[in.dst&15] = uint64(uint32(x.r[in.dst&15]) << (in.imm & 31))
		case lsh32X:
			x.r[in.dst&15] = uint64(uint32(x.r[in.dst&15]) << (x.r[in.src&15] & 31))
		case rsh64K:
			x.r[in.dst&15] >>= in.imm & 63
		case rsh64X:
			x.r[in.dst&15] >>= x.r[in.src&15] & 63
		case rsh32K:
			x.r[in.dst&15] = uint64(uint32(x.r[in.dst&15]) >> (in.imm & 31))
		case rsh32X:
			x.r[in.dst&15] = uint64(uint32(x.r[in.dst&15]) >> (x.r[in.src&15] & 31))
		case neg64:
			x.r[in.dst&15] = -x.r[in.dst&15]
		case neg32:
			x.r[in.dst&15] = uint64(-uint32(x.r[in.dst&15]))
		case mod64K:
			x.r[in.dst&15] = mod64(x.r[in.dst&15], in.imm)
		case mod64X:
			x.r[in.dst&15] = mod64(x.r[in.dst&15], x.r[in.src&15])
		case mod32K:
			x.r[in.dst&15] = uint64(mod32(uint32(x.r[in.dst&15]), uint32(in.imm)))
		case mod32X:
			x.r[in.dst&15] = uint64(mod32(uint32(x.r[in.dst&15]), uint32(x.r[in.src&15])))
		case xor64K:
			x.r[in.dst&15] ^= in.imm
		case xor64X:
			x.r[in.dst&15] ^= x.r[in.src&15]
		case xor32K:
			x.r[in.dst&15] = uint64(uint32(x.r[in.dst&15]) ^ uint32(in.imm))
		case xor32X:
			x.r[in.dst&15] = uint64(uint32(x.r[in.dst&15]) ^ uint32(x.r[in.src&15]))
		case mov64K:
			x.r[in.dst&15] = in.imm
		case mov64X:
			x.r[in.dst&15] = x.r[in.src&15]
		case mov32K:
			x.r[in.dst&15] = uint64(uint32(in.imm))
		case mov32X:
			x.r[in.dst&15] = uint64(uint32(x.r[in.src&15]))
		case arsh64K:
			x.r[in.dst&15] = uint64(int64(x.r[in.dst&15]) >> (in.imm & 63))
		case arsh64X:
			x.r[in.dst&15] = uint64(int64(x.r[in.dst&15]) >> (x.r[in.src&15] & 63))
		case arsh32K:
			x.r[in.dst&15] = uint64(uint32(int32(x.r[in.dst&15]) >> (in.imm & 31)))
		case arsh32X:
			x.r[in.dst&15] = uint64(uint32(int32(x.r[in.dst&15]) >> (x.r[in.src&15] & 31)))
		case sdiv64K:
			x.r[in.dst&15] = sdiv64(x.r[in.dst&15], in.imm)
		case sdiv64X:
			x.r[in.dst&15] = sdiv64(x.r[in.dst&15], x.r[in.src&15])
		case sdiv32K:
			x.r[in.dst&15] = uint64(sdiv32(uint32(x.r[in.dst&15]), uint32(in.imm)))
		case sdiv32X:
			x.r[in.dst&15] = uint64(sdiv32(uint32(x.r[in.dst&15]), uint32(x.r[in.src&15])))
		case smod64K:
			x.r[in.dst&15] = smod64(x.r[in.dst&15], in.imm)
		case smod64X:
			x.r[in.dst&15] = smod64(x.r[in.dst&15], x.r[in.src&15])
		case smod32K:
			x.r[in.dst&15] = uint64(smod32(uint32(x.r[in.dst&15]), uint32(in.imm)))
		case smod32X:
			x.r[in.dst&15] = uint64(smod32(uint32(x.r[in.dst&15]), uint32(x.r[in.src&15])))

		case jeq64K:
			if x.r[in.dst&15] == in.imm {
				goto taken
			}
		case jeq64X:
			if x.r[in.dst&15] == x.r[in.src&15] {
				goto taken
			}
		case jeq32K:
			if uint32(x.r[in.dst&15]) == uint32(in.imm) {
				goto taken
			}
		case jeq32X:
			if uint32(x.r[in.dst&15]) == uint32(x.r[in.src&15]) {
				goto taken
			}
		case jgt64K:
			if x.r[in.dst&15] > in.imm {
				goto taken
			}
		case jgt64X:
			if x.r[in.dst&15] > x.r[in.src&15] {
				goto taken
			}
		case jgt32K:
			if uint32(x.r[in.dst&15]) > uint32(in.imm) {
				goto taken
			}
		case jgt32X:
			if uint32(x.r[in.dst&15]) > uint32(x.r[in.src&15]) {
				goto taken
			}
		case jge64K:
			if x.r[in.dst&15] >= in.imm {
				goto taken
			}
		case jge64X:
			if x.r[in.dst&15] >= x.r[in.src&15] {
				goto taken
			}
		case jge32K:
			if uint32(x.r[in.dst&15]) >= uint32(in.imm) {
				goto taken
			}
		case jge32X:
			if uint32(x.r[in.dst&15]) >= uint32(x.r[in.src&15]) {
				goto taken
			}
		case jset64K:
			if x.r[in.dst&15]&in.imm != 0 {
				goto taken
			}
		case jset64X:
			if x.r[in.dst&15]&x.r[in.src&15] != 0 {
				goto taken
			}
		case jset32K:
			if uint32(x.r[in.dst&15])&uint32(in.imm) != 0 {
				goto taken
			}
		case jset32X:
			if uint32(x.r[in.dst&15])&uint32(x.r[in.src&15]) != 0 {
				goto taken
			}
		case jne64K:
			if x.r[in.dst&15] != in.imm {
				goto taken
			}
		case jne64X:
			if x.r[in.dst&15] != x.r[in.src&15] {
				goto taken
			}
		case jne32K:
			if uint32(x.r[in.dst&15]) != uint32(in.imm) {
				goto taken
			}
		case jne32X:
			if uint32(x.r[in.dst&15]) != uint32(x.r[in.src&15]) {
				goto taken
			}
		case jsgt64K:
			if int64(x.r[in.dst&15]) > int64(in.imm) {
				goto taken
			}
		case jsgt64X:
			if int64(x.r[in.dst&15]) > int64(x.r[in.src&15]) {
				goto taken
			}
		case jsgt32K:
			if int32(x.r[in.dst&15]) > int32(in.imm) {
				goto taken
			}
		case jsgt32X:
			if int32(x.r[in.dst&15]) > int32(x.r[in.src&15]) {
				goto taken
			}
		case jsge64K:
			if int64(x.r[in.dst&15]) >= int64(in.imm) {
				goto taken
			}
		case jsge64X:
			if int64(x.r[in.dst&15]) >= int64(x.r[in.src&15]) {
				goto taken
			}
		case jsge32K:
			if int32(x.r[in.dst&15]) >= int32(in.imm) {
				goto taken
			}
		case jsge32X:
			if int32(x.r[in.dst&15]) >= int32(x.r[in.src&15]) {
				goto taken
			}
		case jlt64K:
			if x.r[in.dst&15] < in.imm {
				goto taken
			}
		case jlt64X:
			if x.r[in.dst&15] < x.r[in.src&15] {
				goto taken
			}
		case jlt32K:
			if uint32(x.r[in.dst&15]) < uint32(in.imm) {
				goto taken
			}
		case jlt32X:
			if uint32(x.r[in.dst&15]) < uint32(x.r[in.src&15]) {
				goto taken
			}
		case jle64K:
			if x.r[in.dst&15] <= in.imm {
				goto taken
			}
		case jle64X:
			if x.r[in.dst&15] <= x.r[in.src&15] {
				goto taken
			}
		case jle32K:
			if uint32(x.r[in.dst&15]) <= uint32(in.imm) {
				goto taken
			}
		case jle32X:
			if uint32(x.r[in.dst&15]) <= uint32(x.r[in.src&15]) {
				goto taken
			}
		case jslt64K:
			if int64(x.r[in.dst&15]) < int64(in.imm) {
				goto taken
			}
		case jslt64X:
			if int64(x.r[in.dst&15]) < int64(x.r[in.src&15]) {
				goto taken
			}
		case jslt32K:
			if int32(x.r[in.dst&15]) < int32(in.imm) {
				goto taken
			}
		case jslt32X:
			if int32(x.r[in.dst&15]) < int32(x.r[in.src&15]) {
				goto taken
			}
		case jsle64K:
			if int64(x.r[in.dst&15]) <= int64(in.imm) {
				goto taken
			}
		case jsle64X:
			if int64(x.r[in.dst&15]) <= int64(x.r[in.src&15]) {
				goto taken
			}
		case jsle32K:
			if int32(x.r[in.dst&15]) <= int32(in.imm) {
				goto taken
			}
		case jsle32X:
			if int32(x.r[in.dst&15]) <= int32(x.r[in.src&15]) {
				goto taken
			}

		case movsx8to64:
			x.r[in.dst&15] = uint64(int64(int8(x.r[in.src&15])))
		case movsx16to64:
			x.r[in.dst&15] = uint64(int64(int16(x.r[in.src&15])))
		case movsx32to64:
			x.r[in.dst&15] = uint64(int64(int32(x.r[in.src&15])))
		case movsx8to32:
			x.r[in.dst&15] = uint64(uint32(int8(x.r[in.src&15])))
		case movsx16to32:
			x.r[in.dst&15] = uint64(uint32(int16(x.r[in.src&15])))

		case swap16:
			x.r[in.dst&15] = uint64(bits.ReverseBytes16(uint16(x.r[in.dst&15])))
		case swap32:
			x.r[in.dst&15] = uint64(bits.ReverseBytes32(uint32(x.r[in.dst&15])))
		case swap64:
			x.r[in.dst&15] = bits.ReverseBytes64(x.r[in.dst&15])
		case low16:
			x.r[in.dst&15] = uint64(uint16(x.r[in.dst&15]))
		case low32:
			x.r[in.dst&15] = uint64(uint32(x.r[in.dst&15]))
		case nop:
		case load64:
			x.r[in.dst&15] = in.imm

		case load8:
			addr := x.r[in.src&15] + in.off
			if at := addr - x.lo; at <= vm.StackSize-1 {
				x.r[in.dst&15] = uint64(x.stk[at])
			} else if n, ok = x.load(addr, 1); ok {
				x.r[in.dst&15] = n
			} else {
				goto fault
			}
		case load16:
			addr := x.r[in.src&15] + in.off
			if at := addr - x.lo; at <= vm.StackSize-2 {
				x.r[in.dst&15] = uint64(binary.LittleEndian.Uint16(x.stk[at:]))
			} else if n, ok = x.load(addr, 2); ok {
				x.r[in.dst&15] = n
			} else {
				goto fault
			}
		case load32:
			addr := x.r[in.src&15] + in.off
			if at := addr - x.lo; at <= vm.StackSize-4 {
				x.r[in.dst&15] = uint64(binary.LittleEndian.Uint32(x.stk[at:]))
			} else if n, ok = x.load(addr, 4); ok {
				x.r[in.dst&15] = n
			} else {
				goto fault
			}
		case load64m:
			addr := x.r[in.src&15] + in.off
			if at := addr - x.lo; at <= vm.StackSize-8 {
				x.r[in.dst&15] = binary.LittleEndian.Uint64(x.stk[at:])
			} else if n, ok = x.load(addr, 8); ok {
				x.r[in.dst&15] = n
			} else {
				goto fault
			}
		case loadS8:
			addr := x.r[in.src&15] + in.off
			if at := addr - x.lo; at <= vm.StackSize-1 {
				x.r[in.dst&15] = uint64(int64(int8(x.stk[at])))
			} else if n, ok = x.load(addr, 1); ok {
				x.r[in.dst&15] = uint64(int64(int8(n)))
			} else {
				goto fault
			}
		case loadS16:
			addr := x.r[in.src&15] + in.off
			if at := addr - x.lo; at <= vm.StackSize-2 {
				x.r[in.dst&15] = uint64(int64(int16(binary.LittleEndian.Uint16(x.stk[at:]))))
			} else if n, ok = x.load(addr, 2); ok {
				x.r[in.dst&15] = uint64(int64(int16(n)))
			} else {
				goto fault
			}
		case loadS32:
			addr := x.r[in.src&15] + in.off
			if at := addr - x.lo; at <= vm.StackSize-4 {
				x.r[in.dst&15] = uint64(int64(int32(binary.LittleEndian.Uint32(x.stk[at:]))))
			} else if n, ok = x.load(addr, 4); ok {
				x.r[in.dst&15] = uint64(int64(int32(n)))
			} else {
				goto fault
			}
		case store8K:
			addr := x.r[in.dst&15] + in.off
			if at := addr - x.lo; at <= vm.StackSize-1 {
				x.stk[at] = byte(in.imm)
			} else if !x.store(addr, 1, in.imm) {
				goto fault
			}
		case store16K:
			addr := x.r[in.dst&15] + in.off
			if at := addr - x.lo; at <= vm.StackSize-2 {
				binary.LittleEndian.PutUint16(x.stk[at:], uint16(in.imm))
			} else if !x.store(addr, 2, in.imm) {
				goto fault
			}
		case store32K:
			addr := x.r[in.dst&15] + in.off
			if at := addr - x.lo; at <= vm.StackSize-4 {
				binary.LittleEndian.PutUint32(x.stk[at:], uint32(in.imm))
			} else if !x.store(addr, 4, in.imm) {
				goto fault
			}
		case store64K:
			addr := x.r[in.dst&15] + in.off
			if at := addr - x.lo; at <= vm.StackSize-8 {
				binary.LittleEndian.PutUint64(x.stk[at:], in.imm)
			} else if !x.store(addr, 8, in.imm) {
				goto fault
			}
		case store8X:
			addr := x.r[in.dst&15] + in.off
			if at := addr - x.lo; at <= vm.StackSize-1 {
				x.stk[at] = byte(x.r[in.src&15])
			} else if !x.store(addr, 1, x.r[in.src&15]) {
				goto fault
			}
		case store16X:
			addr := x.r[in.dst&15] + in.off
			if at := addr - x.lo; at <= vm.StackSize-2 {
				binary.LittleEndian.PutUint16(x.stk[at:], uint16(x.r[in.src&15]))
			} else if !x.store(addr, 2, x.r[in.src&15]) {
				goto fault
			}
		case store32X:
			addr := x.r[in.dst&15] + in.off
			if at := addr - x.lo; at <= vm.StackSize-4 {
				binary.LittleEndian.PutUint32(x.stk[at:], uint32(x.r[in.src&15]))
			} else if !x.store(addr, 4, x.r[in.src&15]) {
				goto fault
			}
		case store64X:
			addr := x.r[in.dst&15] + in.off
			if at := addr - x.lo; at <= vm.StackSize-8 {
				binary.LittleEndian.PutUint64(x.stk[at:], x.r[in.src&15])
			} else if !x.store(addr, 8, x.r[in.src&15]) {
				goto fault
			}

		case atomicRMW:
			if n, ok = x.rmw(x.r[in.dst&15]+in.off, uint32(in.aux), in.imm, x.r[in.src&15], x.r[0]); !ok {
				goto fault
			}
			if in.imm == rmwCmpXchg {
				x.r[0] = n
			} else if in.imm&rmwFetch != 0 {
				x.r[in.src&15] = n
			}
		case loadAcquire:
			if n, ok = x.loadAcquire(x.r[in.src&15]+in.off, uint32(in.aux)); !ok {
				goto fault
			}
			x.r[in.dst&15] = n
		case storeRelease:
			if !x.storeRelease(x.r[in.dst&15]+in.off, uint32(in.aux), x.r[in.src&15]) {
				goto fault
			}

		case packetAbs, packetInd:
			n = in.imm
			if in.kind == packetInd {
				n += x.r[in.src&15]
			}
			c.Insn = int(in.slot)
			if x.r[0], ok, err = loadPacket(c, uint32(n), in.aux); err != nil {
				goto stopped
			}
			if !ok {
				goto returned
			}

		case observed:
			x.k.observe(c, int(in.slot), x.r[:11])
			x.start++ // it does not count
		case jump:
			goto taken
		case mayGoto:
			if x.loops == 0 {
				goto taken
			}
			x.loops--

		case callFunc:
			if !x.spend(pc) {
				goto limit
			}
			x.args = [5]uint64(x.r[1:6])
			c.Insn, c.Budget = int(in.slot), x.budget
			x.r[0], err = x.k.calls[in.target].Func(c, &x.args)
			x.budget, x.start = c.Budget, pc+1
			if err != nil {
				if thrown = exception(err); thrown != nil {
					goto unwind
				}
				return 0, failed(c, x.k.calls[in.target], err)
			}

		case callProg:
			if !x.spend(pc) {
				goto limit
			}
			c.Insn = int(in.slot)
			if fo, err = c.PushFrame(); err != nil {
				goto stopped
			}
			x.frames = append(x.frames, frame{k: x.k, pc: pc, saved: [4]uint64(x.r[6:10]), fp: x.r[10], stk: x.stk,
				loops: x.loops, base: x.base, main: x.main})
			x.main, x.loops = false, maxMayGoto
			x.enter(fo)
			pc = int(in.target)
			x.start = pc
			continue

		case tailCall:
			if !x.spend(pc) {
				goto limit
			}
			x.start = pc + 1
			c.Insn = int(in.slot)
			if next, err = tailCallee(c, x.r[2], uint32(x.r[3])); err != nil {
				goto stopped
			}
			if next == nil {
				break
			}
			x.base = c.Depth() - 1
			c.Rebase(x.base)
			c.Prog, c.Insn = next.prog, 0
			x.k, x.main, x.loops = next, true, maxMayGoto
			clear(x.stk[:])
			ops, pc, x.start = next.ops, 0, 0
			continue

		case exit:
			goto returned
		case illegal:
			c.Insn = int(in.slot)
			err = c.Fault(vm.IllegalInsn, "", "%v", x.k.illegal[in.target])
			goto stopped
		default:
			err = c.Fault(vm.IllegalInsn, "", "kind %d", in.kind)
			goto stopped
		}
		pc++
		continue

	taken:
		n = uint64(pc-x.start) + 1
		if n > x.budget {
			goto limit
		}
		x.budget -= n
		pc = int(in.target)
		x.start = pc
		continue

	returned:
		if !x.spend(pc) {
			goto limit
		}
		c.PopFrame()
		if len(x.frames) == 0 {
			c.Insn, c.Budget = int(in.slot), x.budget
			return x.r[0], nil
		}
		pc = x.caller()
		ops = x.k.ops
		c.Prog = x.k.prog
		c.Rebase(x.base)
		pc++
		x.start = pc
		continue

	unwind: // to the entry of the program that runs, and call its exception callback
		for !x.main && len(x.frames) > 0 {
			pc = x.caller()
		}
		c.SetDepth(x.depth + len(x.frames))
		c.Rebase(x.base)
		if !x.main {
			c.PopFrame()
			return 0, err
		}
		ops = x.k.ops
		in = &ops[pc]
		c.Prog, c.Insn = x.k.prog, int(in.slot)
		x.start = pc + 1 // the call is counted
		if x.k.exception < 0 {
			x.r[0] = thrown.Cookie
			goto returned
		}
		x.main = false // it cannot catch what it throws
		clear(x.stk[:])
		x.r[1], x.loops = thrown.Cookie, maxMayGoto
		pc = x.k.exception
		x.start = pc
		continue

	fault:
		if in.kind >= load8 && in.kind <= loadS32 && in.aux != 0 && nothingThere(x.fault) {
			x.r[in.dst&15] = 0
			pc++
			continue
		}
		c.Insn = int(in.slot)
		x.fault.Site, x.fault.Register = c.Site(), addressRegister(in)
		err = x.fault

	stopped:
		c.Budget = x.budget - min(x.budget, uint64(pc-x.start)+1)
		return 0, err

	limit:
		c.Insn, c.Budget = int(in.slot), 0
		return 0, c.Fault(vm.LimitExceeded, "", "more than %d instructions", c.M.MaxInsns)
	}
}

// enter makes fo the frame of the running function.
func (x *run) enter(fo *vm.Object) {
	x.stk, x.lo = (*stack)(fo.Bytes()), fo.Addr()
	x.r[10] = x.lo + vm.StackSize
}

// spend counts the instructions of the straight line that ends at pc; false
// means that the run may not execute that many.
func (x *run) spend(pc int) bool {
	n := uint64(pc-x.start) + 1
	if n > x.budget {
		return false
	}
	x.budget -= n
	return true
}

// caller takes the newest caller off the frames, restores its registers and
// returns where it made the call.
func (x *run) caller() (pc int) {
	f := &x.frames[len(x.frames)-1]
	x.frames = x.frames[:len(x.frames)-1]
	copy(x.r[6:10], f.saved[:])
	x.k, x.base, x.main, x.loops, x.stk = f.k, f.base, f.main, f.loops, f.stk
	x.r[10], x.lo = f.fp, f.fp-vm.StackSize
	return f.pc
}
