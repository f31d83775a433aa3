package cfg

// sort lists the instructions of each function in postorder: what follows an
// instruction comes before it, but for loops.
func (g *Graph) sort() {
	state := make([]uint8, len(g.insns))
	for i := range g.subs {
		var order []int32
		stack := []int{g.subs[i].Start}
		for len(stack) > 0 {
			top := stack[len(stack)-1]
			state[top] |= discovered
			if state[top]&explored != 0 {
				order = append(order, int32(top))
				stack = stack[:len(stack)-1]
				continue
			}
			next, n := successors(g.insns, top)
			for _, w := range next[:n] {
				if state[w] == 0 {
					stack = append(stack, w)
					state[w] |= discovered
				}
			}
			state[top] |= explored
		}
		g.order = append(g.order, order)
	}
}

// findLoops numbers the strongly connected components of each function (Tarjan). An
// instruction alone has none, unless it jumps to itself.
func (g *Graph) findLoops() {
	const offStack = -1
	n := len(g.insns)
	g.scc = make([]int32, n)
	pre, low := make([]int, n), make([]int, n)
	var stack, dfs []int
	nextPre, nextSCC := 1, int32(1)
	visit := func(root int) {
		dfs = append(dfs[:0], root)
	search:
		for len(dfs) > 0 {
			w := dfs[len(dfs)-1]
			if pre[w] == 0 {
				low[w], pre[w] = nextPre, nextPre
				nextPre++
				stack = append(stack, w)
			}
			next, cnt := successors(g.insns, w)
			for _, t := range next[:cnt] {
				if pre[t] == 0 {
					dfs = append(dfs, t)
					continue search
				}
				if low[t] != offStack && low[t] < low[w] {
					low[w] = low[t]
				}
			}
			dfs = dfs[:len(dfs)-1]
			if low[w] < pre[w] {
				continue
			}
			loops := stack[len(stack)-1] != w
			for _, t := range next[:cnt] {
				loops = loops || t == w
			}
			for {
				t := stack[len(stack)-1]
				stack = stack[:len(stack)-1]
				low[t] = offStack
				if loops {
					g.scc[t] = nextSCC
				}
				if t == w {
					break
				}
			}
			if loops {
				nextSCC++
			}
		}
	}
	// Functions in their order: the roots decide the numbers.
	for i := range g.insns {
		if !g.insns[i].Second && pre[i] == 0 {
			visit(i)
		}
	}
}

// findLiveRegs is the classic backward analysis: a register lives from its
// definition to its last use.
func (g *Graph) findLiveRegs() {
	g.live = make([]uint16, len(g.insns))
	type effect struct{ use, def uint16 }
	effects := make([]effect, len(g.insns))
	for i := range g.insns {
		if !g.insns[i].Second {
			effects[i].use, effects[i].def = g.insns[i].registers()
		}
	}
	for changed := true; changed; {
		changed = false
		for _, order := range g.order {
			for _, i := range order {
				next, n := successors(g.insns, int(i))
				out := uint16(0)
				for _, w := range next[:n] {
					out |= g.live[w]
				}
				in := out&^effects[i].def | effects[i].use
				if in != g.live[i] {
					g.live[i], changed = in, true
				}
			}
		}
	}
}

// Sets of registers.
const (
	everyReg  = 0xffff
	callerReg = 0x3f // r0 to r5: a call changes them
	argRegs   = callerReg &^ 1
)

// registers are those that an instruction reads, and those that it sets without
// regard to what they were.
func (in *Insn) registers() (use, def uint16) {
	src, dst := uint16(1)<<in.Src, uint16(1)<<in.Dst
	reads := dst // the operands
	if in.Op&sourceX != 0 {
		reads |= src
	}
	switch mode := in.Op & modeMask; in.class() {
	case classLD:
		if in.Op == opLoadImm64 {
			return 0, dst
		}
	case classLDX:
		if mode == modeMEM || mode == modeMEMSX {
			return src, dst
		}
	case classST:
		if mode == modeMEM {
			return dst, 0
		}
	case classSTX:
		switch mode {
		case modeMEM:
			return dst | src, 0
		case modeAtomic:
			return in.atomicRegisters(src, dst)
		}
	case classALU, classALU64:
		switch in.Op & opMask {
		case aluEnd:
			return dst, dst
		case aluMov:
			if in.Op&sourceX == 0 {
				return 0, dst
			}
			return src, dst
		}
		return reads, dst
	case classJMP, classJMP32:
		switch in.Op & opMask {
		case jmpJA, jmpMayGo:
			return 0, 0
		case jmpExit:
			return 1, 0
		case jmpCall:
			if in.Src != pseudoCall && in.Call != nil && in.Allowed {
				return (1<<len(in.Call.Args) - 1) << 1, callerReg
			}
			return argRegs, callerReg
		}
		return reads, 0
	}
	return everyReg, 0
}

// atomicRegisters is registers of an atomic operation.
func (in *Insn) atomicRegisters(src, dst uint16) (use, def uint16) {
	const fetch, cmpxchg, loadAcquire, storeRelease = 0x01, 0xf1, 0x100, 0x110
	switch {
	case in.Imm == cmpxchg:
		return 1 | src | dst, 1
	case in.Imm == loadAcquire:
		return src, dst
	case in.Imm == storeRelease:
		return dst | src, 0
	case in.Imm&fetch != 0:
		return dst | src, src
	}
	return dst | src, 0
}
