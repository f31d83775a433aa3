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
// program's entry, where exceptions end. It is one large loop so that registers and
// counters stay where the compiler can reach them at once; whatever is not on the
// way of every instruction is a function elsewhere.
//
// Instructions are counted when control leaves a straight line: from start to pc.
//
//go:norace
func (x *run) exec(c *vm.CPU, k *code, pc int, args [5]uint64, main bool) (uint64, error) {
	fo, err := c.PushFrame()
	if err != nil {
		return 0, err
	}
	var (
		r      [16]uint64 // 16 for the mask that saves a bounds check
		m      = c.M.Mem
		ops    = k.ops
		stk    = (*stack)(fo.Bytes())
		lo     = fo.Addr()
		depth  = c.Depth() // without the frames of calls
		base   = c.Base()
		loops  = uint64(maxMayGoto)
		start  = pc
		budget = c.Budget
		in     *op
		n      uint64
		next   *code
		thrown *vm.Exception
		ok     bool
	)
	copy(r[1:], args[:])
	r[10] = lo + vm.StackSize
	for {
		in = &ops[pc]
		switch in.kind {
		case add64K:
			r[in.dst&15] += in.imm
		case add64X:
			r[in.dst&15] += r[in.src&15]
		case add32K:
			r[in.dst&15] = uint64(uint32(r[in.dst&15]) + uint32(in.imm))
		case add32X:
			r[in.dst&15] = uint64(uint32(r[in.dst&15]) + uint32(r[in.src&15]))
		case sub64K:
			r[in.dst&15] -= in.imm
		case sub64X:
			r[in.dst&15] -= r[in.src&15]
		case sub32K:
			r[in.dst&15] = uint64(uint32(r[in.dst&15]) - uint32(in.imm))
		case sub32X:
			r[in.dst&15] = uint64(uint32(r[in.dst&15]) - uint32(r[in.src&15]))
		case mul64K:
			r[in.dst&15] *= in.imm
		case mul64X:
			r[in.dst&15] *= r[in.src&15]
		case mul32K:
			r[in.dst&15] = uint64(uint32(r[in.dst&15]) * uint32(in.imm))
		case mul32X:
			r[in.dst&15] = uint64(uint32(r[in.dst&15]) * uint32(r[in.src&15]))
		case div64K:
			r[in.dst&15] = div64(r[in.dst&15], in.imm)
		case div64X:
			r[in.dst&15] = div64(r[in.dst&15], r[in.src&15])
		case div32K:
			r[in.dst&15] = uint64(div32(uint32(r[in.dst&15]), uint32(in.imm)))
		case div32X:
			r[in.dst&15] = uint64(div32(uint32(r[in.dst&15]), uint32(r[in.src&15])))
		case or64K:
			r[in.dst&15] |= in.imm
		case or64X:
			r[in.dst&15] |= r[in.src&15]
		case or32K:
			r[in.dst&15] = uint64(uint32(r[in.dst&15]) | uint32(in.imm))
		case or32X:
			r[in.dst&15] = uint64(uint32(r[in.dst&15]) | uint32(r[in.src&15]))
		case and64K:
			r[in.dst&15] &= in.imm
		case and64X:
			r[in.dst&15] &= r[in.src&15]
		case and32K:
			r[in.dst&15] = uint64(uint32(r[in.dst&15]) & uint32(in.imm))
		case and32X:
			r[in.dst&15] = uint64(uint32(r[in.dst&15]) & uint32(r[in.src&15]))
		case lsh64K:
			r[in.dst&15] <<= in.imm & 63
		case lsh64X:
			r[in.dst&15] <<= r[in.src&15] & 63
		case lsh32K:
			r[in.dst&15] = uint64(uint32(r[in.dst&15]) << (in.imm & 31))
		case lsh32X:
			r[in.dst&15] = uint64(uint32(r[in.dst&15]) << (r[in.src&15] & 31))
		case rsh64K:
			r[in.dst&15] >>= in.imm & 63
		case rsh64X:
			r[in.dst&15] >>= r[in.src&15] & 63
		case rsh32K:
			r[in.dst&15] = uint64(uint32(r[in.dst&15]) >> (in.imm & 31))
		case rsh32X:
			r[in.dst&15] = uint64(uint32(r[in.dst&15]) >> (r[in.src&15] & 31))
		case neg64:
			r[in.dst&15] = -r[in.dst&15]
		case neg32:
			r[in.dst&15] = uint64(-uint32(r[in.dst&15]))
		case mod64K:
			r[in.dst&15] = mod64(r[in.dst&15], in.imm)
		case mod64X:
			r[in.dst&15] = mod64(r[in.dst&15], r[in.src&15])
		case mod32K:
			r[in.dst&15] = uint64(mod32(uint32(r[in.dst&15]), uint32(in.imm)))
		case mod32X:
			r[in.dst&15] = uint64(mod32(uint32(r[in.dst&15]), uint32(r[in.src&15])))
		case xor64K:
			r[in.dst&15] ^= in.imm
		case xor64X:
			r[in.dst&15] ^= r[in.src&15]
		case xor32K:
			r[in.dst&15] = uint64(uint32(r[in.dst&15]) ^ uint32(in.imm))
		case xor32X:
			r[in.dst&15] = uint64(uint32(r[in.dst&15]) ^ uint32(r[in.src&15]))
		case mov64K:
			r[in.dst&15] = in.imm
		case mov64X:
			r[in.dst&15] = r[in.src&15]
		case mov32K:
			r[in.dst&15] = uint64(uint32(in.imm))
		case mov32X:
			r[in.dst&15] = uint64(uint32(r[in.src&15]))
		case arsh64K:
			r[in.dst&15] = uint64(int64(r[in.dst&15]) >> (in.imm & 63))
		case arsh64X:
			r[in.dst&15] = uint64(int64(r[in.dst&15]) >> (r[in.src&15] & 63))
		case arsh32K:
			r[in.dst&15] = uint64(uint32(int32(r[in.dst&15]) >> (in.imm & 31)))
		case arsh32X:
			r[in.dst&15] = uint64(uint32(int32(r[in.dst&15]) >> (r[in.src&15] & 31)))
		case sdiv64K:
			r[in.dst&15] = sdiv64(r[in.dst&15], in.imm)
		case sdiv64X:
			r[in.dst&15] = sdiv64(r[in.dst&15], r[in.src&15])
		case sdiv32K:
			r[in.dst&15] = uint64(sdiv32(uint32(r[in.dst&15]), uint32(in.imm)))
		case sdiv32X:
			r[in.dst&15] = uint64(sdiv32(uint32(r[in.dst&15]), uint32(r[in.src&15])))
		case smod64K:
			r[in.dst&15] = smod64(r[in.dst&15], in.imm)
		case smod64X:
			r[in.dst&15] = smod64(r[in.dst&15], r[in.src&15])
		case smod32K:
			r[in.dst&15] = uint64(smod32(uint32(r[in.dst&15]), uint32(in.imm)))
		case smod32X:
			r[in.dst&15] = uint64(smod32(uint32(r[in.dst&15]), uint32(r[in.src&15])))

		case jeq64K:
			if r[in.dst&15] == in.imm {
				goto taken
			}
		case jeq64X:
			if r[in.dst&15] == r[in.src&15] {
				goto taken
			}
		case jeq32K:
			if uint32(r[in.dst&15]) == uint32(in.imm) {
				goto taken
			}
		case jeq32X:
			if uint32(r[in.dst&15]) == uint32(r[in.src&15]) {
				goto taken
			}
		case jgt64K:
			if r[in.dst&15] > in.imm {
				goto taken
			}
		case jgt64X:
			if r[in.dst&15] > r[in.src&15] {
				goto taken
			}
		case jgt32K:
			if uint32(r[in.dst&15]) > uint32(in.imm) {
				goto taken
			}
		case jgt32X:
			if uint32(r[in.dst&15]) > uint32(r[in.src&15]) {
				goto taken
			}
		case jge64K:
			if r[in.dst&15] >= in.imm {
				goto taken
			}
		case jge64X:
			if r[in.dst&15] >= r[in.src&15] {
				goto taken
			}
		case jge32K:
			if uint32(r[in.dst&15]) >= uint32(in.imm) {
				goto taken
			}
		case jge32X:
			if uint32(r[in.dst&15]) >= uint32(r[in.src&15]) {
				goto taken
			}
		case jset64K:
			if r[in.dst&15]&in.imm != 0 {
				goto taken
			}
		case jset64X:
			if r[in.dst&15]&r[in.src&15] != 0 {
				goto taken
			}
		case jset32K:
			if uint32(r[in.dst&15])&uint32(in.imm) != 0 {
				goto taken
			}
		case jset32X:
			if uint32(r[in.dst&15])&uint32(r[in.src&15]) != 0 {
				goto taken
			}
		case jne64K:
			if r[in.dst&15] != in.imm {
				goto taken
			}
		case jne64X:
			if r[in.dst&15] != r[in.src&15] {
				goto taken
			}
		case jne32K:
			if uint32(r[in.dst&15]) != uint32(in.imm) {
				goto taken
			}
		case jne32X:
			if uint32(r[in.dst&15]) != uint32(r[in.src&15]) {
				goto taken
			}
		case jsgt64K:
			if int64(r[in.dst&15]) > int64(in.imm) {
				goto taken
			}
		case jsgt64X:
			if int64(r[in.dst&15]) > int64(r[in.src&15]) {
				goto taken
			}
		case jsgt32K:
			if int32(r[in.dst&15]) > int32(in.imm) {
				goto taken
			}
		case jsgt32X:
			if int32(r[in.dst&15]) > int32(r[in.src&15]) {
				goto taken
			}
		case jsge64K:
			if int64(r[in.dst&15]) >= int64(in.imm) {
				goto taken
			}
		case jsge64X:
			if int64(r[in.dst&15]) >= int64(r[in.src&15]) {
				goto taken
			}
		case jsge32K:
			if int32(r[in.dst&15]) >= int32(in.imm) {
				goto taken
			}
		case jsge32X:
			if int32(r[in.dst&15]) >= int32(r[in.src&15]) {
				goto taken
			}
		case jlt64K:
			if r[in.dst&15] < in.imm {
				goto taken
			}
		case jlt64X:
			if r[in.dst&15] < r[in.src&15] {
				goto taken
			}
		case jlt32K:
			if uint32(r[in.dst&15]) < uint32(in.imm) {
				goto taken
			}
		case jlt32X:
			if uint32(r[in.dst&15]) < uint32(r[in.src&15]) {
				goto taken
			}
		case jle64K:
			if r[in.dst&15] <= in.imm {
				goto taken
			}
		case jle64X:
			if r[in.dst&15] <= r[in.src&15] {
				goto taken
			}
		case jle32K:
			if uint32(r[in.dst&15]) <= uint32(in.imm) {
				goto taken
			}
		case jle32X:
			if uint32(r[in.dst&15]) <= uint32(r[in.src&15]) {
				goto taken
			}
		case jslt64K:
			if int64(r[in.dst&15]) < int64(in.imm) {
				goto taken
			}
		case jslt64X:
			if int64(r[in.dst&15]) < int64(r[in.src&15]) {
				goto taken
			}
		case jslt32K:
			if int32(r[in.dst&15]) < int32(in.imm) {
				goto taken
			}
		case jslt32X:
			if int32(r[in.dst&15]) < int32(r[in.src&15]) {
				goto taken
			}
		case jsle64K:
			if int64(r[in.dst&15]) <= int64(in.imm) {
				goto taken
			}
		case jsle64X:
			if int64(r[in.dst&15]) <= int64(r[in.src&15]) {
				goto taken
			}
		case jsle32K:
			if int32(r[in.dst&15]) <= int32(in.imm) {
				goto taken
			}
		case jsle32X:
			if int32(r[in.dst&15]) <= int32(r[in.src&15]) {
				goto taken
			}

		case movsx8to64:
			r[in.dst&15] = uint64(int64(int8(r[in.src&15])))
		case movsx16to64:
			r[in.dst&15] = uint64(int64(int16(r[in.src&15])))
		case movsx32to64:
			r[in.dst&15] = uint64(int64(int32(r[in.src&15])))
		case movsx8to32:
			r[in.dst&15] = uint64(uint32(int8(r[in.src&15])))
		case movsx16to32:
			r[in.dst&15] = uint64(uint32(int16(r[in.src&15])))

		case swap16:
			r[in.dst&15] = uint64(bits.ReverseBytes16(uint16(r[in.dst&15])))
		case swap32:
			r[in.dst&15] = uint64(bits.ReverseBytes32(uint32(r[in.dst&15])))
		case swap64:
			r[in.dst&15] = bits.ReverseBytes64(r[in.dst&15])
		case low16:
			r[in.dst&15] = uint64(uint16(r[in.dst&15]))
		case low32:
			r[in.dst&15] = uint64(uint32(r[in.dst&15]))
		case nop:
		case load64:
			r[in.dst&15] = in.imm

		case load8:
			addr := r[in.src&15] + in.off
			if at := addr - lo; at <= vm.StackSize-1 {
				r[in.dst&15] = uint64(stk[at])
			} else if n, ok = x.load(m, addr, 1); ok {
				r[in.dst&15] = n
			} else {
				goto fault
			}
		case load16:
			addr := r[in.src&15] + in.off
			if at := addr - lo; at <= vm.StackSize-2 {
				r[in.dst&15] = uint64(binary.LittleEndian.Uint16(stk[at:]))
			} else if n, ok = x.load(m, addr, 2); ok {
				r[in.dst&15] = n
			} else {
				goto fault
			}
		case load32:
			addr := r[in.src&15] + in.off
			if at := addr - lo; at <= vm.StackSize-4 {
				r[in.dst&15] = uint64(binary.LittleEndian.Uint32(stk[at:]))
			} else if n, ok = x.load(m, addr, 4); ok {
				r[in.dst&15] = n
			} else {
				goto fault
			}
		case load64m:
			addr := r[in.src&15] + in.off
			if at := addr - lo; at <= vm.StackSize-8 {
				r[in.dst&15] = binary.LittleEndian.Uint64(stk[at:])
			} else if n, ok = x.load(m, addr, 8); ok {
				r[in.dst&15] = n
			} else {
				goto fault
			}
		case loadS8:
			addr := r[in.src&15] + in.off
			if at := addr - lo; at <= vm.StackSize-1 {
				r[in.dst&15] = uint64(int64(int8(stk[at])))
			} else if n, ok = x.load(m, addr, 1); ok {
				r[in.dst&15] = uint64(int64(int8(n)))
			} else {
				goto fault
			}
		case loadS16:
			addr := r[in.src&15] + in.off
			if at := addr - lo; at <= vm.StackSize-2 {
				r[in.dst&15] = uint64(int64(int16(binary.LittleEndian.Uint16(stk[at:]))))
			} else if n, ok = x.load(m, addr, 2); ok {
				r[in.dst&15] = uint64(int64(int16(n)))
			} else {
				goto fault
			}
		case loadS32:
			addr := r[in.src&15] + in.off
			if at := addr - lo; at <= vm.StackSize-4 {
				r[in.dst&15] = uint64(int64(int32(binary.LittleEndian.Uint32(stk[at:]))))
			} else if n, ok = x.load(m, addr, 4); ok {
				r[in.dst&15] = uint64(int64(int32(n)))
			} else {
				goto fault
			}
		case store8K:
			addr := r[in.dst&15] + in.off
			if at := addr - lo; at <= vm.StackSize-1 {
				stk[at] = byte(in.imm)
			} else if !x.store(m, addr, 1, in.imm) {
				goto fault
			}
		case store16K:
			addr := r[in.dst&15] + in.off
			if at := addr - lo; at <= vm.StackSize-2 {
				binary.LittleEndian.PutUint16(stk[at:], uint16(in.imm))
			} else if !x.store(m, addr, 2, in.imm) {
				goto fault
			}
		case store32K:
			addr := r[in.dst&15] + in.off
			if at := addr - lo; at <= vm.StackSize-4 {
				binary.LittleEndian.PutUint32(stk[at:], uint32(in.imm))
			} else if !x.store(m, addr, 4, in.imm) {
				goto fault
			}
		case store64K:
			addr := r[in.dst&15] + in.off
			if at := addr - lo; at <= vm.StackSize-8 {
				binary.LittleEndian.PutUint64(stk[at:], in.imm)
			} else if !x.store(m, addr, 8, in.imm) {
				goto fault
			}
		case store8X:
			addr := r[in.dst&15] + in.off
			if at := addr - lo; at <= vm.StackSize-1 {
				stk[at] = byte(r[in.src&15])
			} else if !x.store(m, addr, 1, r[in.src&15]) {
				goto fault
			}
		case store16X:
			addr := r[in.dst&15] + in.off
			if at := addr - lo; at <= vm.StackSize-2 {
				binary.LittleEndian.PutUint16(stk[at:], uint16(r[in.src&15]))
			} else if !x.store(m, addr, 2, r[in.src&15]) {
				goto fault
			}
		case store32X:
			addr := r[in.dst&15] + in.off
			if at := addr - lo; at <= vm.StackSize-4 {
				binary.LittleEndian.PutUint32(stk[at:], uint32(r[in.src&15]))
			} else if !x.store(m, addr, 4, r[in.src&15]) {
				goto fault
			}
		case store64X:
			addr := r[in.dst&15] + in.off
			if at := addr - lo; at <= vm.StackSize-8 {
				binary.LittleEndian.PutUint64(stk[at:], r[in.src&15])
			} else if !x.store(m, addr, 8, r[in.src&15]) {
				goto fault
			}

		case atomicRMW:
			if n, ok = x.rmw(m, r[in.dst&15]+in.off, uint32(in.aux), in.imm, r[in.src&15], r[0]); !ok {
				goto fault
			}
			if in.imm == rmwCmpXchg {
				r[0] = n
			} else if in.imm&rmwFetch != 0 {
				r[in.src&15] = n
			}
		case loadAcquire:
			if n, ok = x.loadAcquire(m, r[in.src&15]+in.off, uint32(in.aux)); !ok {
				goto fault
			}
			r[in.dst&15] = n
		case storeRelease:
			if !x.storeRelease(m, r[in.dst&15]+in.off, uint32(in.aux), r[in.src&15]) {
				goto fault
			}

		case packetAbs, packetInd:
			n = in.imm
			if in.kind == packetInd {
				n += r[in.src&15]
			}
			c.Insn = int(in.slot)
			if r[0], ok, err = loadPacket(c, uint32(n), in.aux); err != nil {
				goto stopped
			}
			if !ok {
				goto returned
			}

		case jump:
			goto taken
		case mayGoto:
			if loops == 0 {
				goto taken
			}
			loops--

		case callFunc:
			n = uint64(pc-start) + 1
			if n > budget {
				goto limit
			}
			x.args = [5]uint64(r[1:6])
			c.Insn, c.Budget = int(in.slot), budget-n
			r[0], err = k.calls[in.target].Func(c, &x.args)
			budget, start = c.Budget, pc+1
			if err != nil {
				if thrown = exception(err); thrown != nil {
					goto unwind
				}
				return 0, err
			}

		case callProg:
			n = uint64(pc-start) + 1
			if n > budget {
				goto limit
			}
			c.Insn = int(in.slot)
			if fo, err = c.PushFrame(); err != nil {
				goto stopped
			}
			budget -= n
			x.frames = append(x.frames, frame{k: k, pc: pc, saved: [4]uint64(r[6:10]), fp: r[10], stk: stk,
				loops: loops, base: base, main: main})
			main, stk, lo, loops = false, (*stack)(fo.Bytes()), fo.Addr(), maxMayGoto
			r[10] = lo + vm.StackSize
			pc = int(in.target)
			start = pc
			continue

		case tailCall:
			n = uint64(pc-start) + 1
			if n > budget {
				goto limit
			}
			c.Insn = int(in.slot)
			if next, err = tailCallee(c, r[2], uint32(r[3])); err != nil {
				goto stopped
			}
			if next == nil {
				break
			}
			budget -= n
			base = c.Depth() - 1
			c.Rebase(base)
			c.Prog, c.Insn = next.prog, 0
			k, ops, main, loops = next, next.ops, true, maxMayGoto
			clear(stk[:])
			pc, start = 0, 0
			continue

		case exit:
			goto returned
		default:
			err = c.Fault(vm.IllegalInsn, "", "kind %d", in.kind)
			goto stopped
		}
		pc++
		continue

	taken:
		n = uint64(pc-start) + 1
		if n > budget {
			goto limit
		}
		budget -= n
		pc = int(in.target)
		start = pc
		continue

	returned:
		n = uint64(pc-start) + 1
		if n > budget {
			goto limit
		}
		budget -= n
		c.PopFrame()
		if len(x.frames) == 0 {
			c.Insn, c.Budget = int(in.slot), budget
			return r[0], nil
		}
		k, pc, base, main, loops, stk = x.caller(&r)
		ops, lo = k.ops, r[10]-vm.StackSize
		c.Prog = k.prog
		c.Rebase(base)
		pc++
		start = pc
		continue

	unwind: // to the entry of the program that runs, and call its exception callback
		for !main && len(x.frames) > 0 {
			k, pc, base, main, loops, stk = x.caller(&r)
		}
		c.SetDepth(depth + len(x.frames))
		c.Rebase(base)
		if !main {
			c.PopFrame()
			return 0, err
		}
		c.Prog, c.Insn = k.prog, int(k.ops[pc].slot)
		ops, lo = k.ops, r[10]-vm.StackSize
		in = &ops[pc]
		start = pc + 1 // the call is counted
		if k.exception < 0 {
			r[0] = thrown.Cookie
			goto returned
		}
		main = false // it cannot catch what it throws
		clear(stk[:])
		r[1], loops = thrown.Cookie, maxMayGoto
		pc = k.exception
		start = pc
		continue

	fault:
		c.Insn = int(in.slot)
		x.fault.Site, x.fault.Register = c.Site(), addressRegister(in)
		err = x.fault

	stopped:
		c.Budget = budget - min(budget, uint64(pc-start)+1)
		return 0, err

	limit:
		c.Insn, c.Budget = int(in.slot), 0
		return 0, c.Fault(vm.LimitExceeded, "", "more than %d instructions", c.M.MaxInsns)
	}
}

// caller takes the newest caller off the frames and restores its registers.
func (x *run) caller(r *[16]uint64) (k *code, pc, base int, main bool, loops uint64, stk *stack) {
	f := &x.frames[len(x.frames)-1]
	x.frames = x.frames[:len(x.frames)-1]
	copy(r[6:10], f.saved[:])
	r[10] = f.fp
	return f.k, f.pc, f.base, f.main, f.loops, f.stk
}
