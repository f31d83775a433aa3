package cfg

import (
	"fmt"
	"math"
	"strings"

	"github.com/bpfct/bpfct/verifier/state"
)

// LiveStack finds out which stack slots are read later, from the reads and writes
// that the walk sees. What it knows is complete for the instructions of a state once
// all paths from it were walked.
//
// A function has an instance for each chain of calls that leads to it. An instruction
// that reads or writes the stack of a caller is noted in the callee's instance; when
// the callee returns, the sum of it is noted at the call.
type LiveStack struct {
	g *Graph
	// Log, if not nil, gets the kernel's lines about changes.
	Log func(format string, args ...any)

	instances map[chain]*instance
	cur       *instance
	// written are the slots that the instruction at hand writes, per frame.
	written   [state.MaxFrames]uint64
	writeInsn int
}

// chain is the calls that lead to an instance: the start of each function and the
// call in it.
type chain struct {
	depth  int
	starts [state.MaxFrames]int32
	calls  [state.MaxFrames]int32
}

// masks are the slots of one frame at one instruction.
type masks struct {
	read, write uint64
	writeAcc    uint64 // written on each way from here
	live        uint64 // may be read from here on
}

type instance struct {
	chain
	end     int // of the function
	updated bool
	dropped bool // a write turned out not to be on every path
	frames  [state.MaxFrames][]masks
	written []bool // instructions whose writes are known
}

// NewLiveStack returns one that knows nothing.
func NewLiveStack(g *Graph) *LiveStack {
	return &LiveStack{g: g, instances: make(map[chain]*instance)}
}

// SlotMask is the bit of a slot; slots beyond the stack have none.
func SlotMask(slot int) uint64 {
	if slot < 0 || slot > 63 {
		return 0
	}
	return 1 << slot
}

func chainOf(g *Graph, s *state.State, depth int) chain {
	c := chain{depth: depth}
	for i := 0; i <= depth; i++ {
		c.starts[i] = int32(g.subs[s.Frames[i].Subprog].Start)
		if i < depth {
			c.calls[i] = int32(s.Frames[i+1].Callsite)
		}
	}
	return c
}

func (l *LiveStack) find(c chain) *instance {
	in := l.instances[c]
	if in == nil {
		sub := &l.g.subs[Find(l.g.subs, int(c.starts[c.depth]))]
		in = &instance{chain: c, end: sub.End, written: make([]bool, sub.End-sub.Start)}
		l.instances[c] = in
	}
	return in
}

func (in *instance) start() int { return int(in.starts[in.depth]) }

// at are the masks of a frame at an instruction, nil where nothing is known.
func (in *instance) at(frame, insn int) *masks {
	if in.frames[frame] == nil {
		return nil
	}
	return &in.frames[frame][insn-in.start()]
}

func (in *instance) make(frame, insn int) *masks {
	if in.frames[frame] == nil {
		in.frames[frame] = make([]masks, in.end-in.start())
	}
	return in.at(frame, insn)
}

// Forget is to be called when the frames of the current state change.
func (l *LiveStack) Forget() { l.cur = nil }

// Begin starts an instruction.
func (l *LiveStack) Begin(insn int) {
	l.writeInsn = insn
	l.written = [state.MaxFrames]uint64{}
}

// Read notes that the instruction reads slots of a frame.
func (l *LiveStack) Read(s *state.State, frame, insn int, slots uint64) {
	if l.cur == nil {
		l.cur = l.find(chainOf(l.g, s, len(s.Frames)-1))
	}
	l.cur.read(frame, insn, slots)
}

func (in *instance) read(frame, insn int, slots uint64) {
	m := in.make(frame, insn)
	if slots&^m.read != 0 && slots&^m.live != 0 {
		in.updated = true
	}
	m.read |= slots
}

// Write notes that the instruction overwrites slots of a frame wholly.
func (l *LiveStack) Write(frame int, slots uint64) { l.written[frame] |= slots }

// Commit ends the instruction: only what it writes on each visit counts.
func (l *LiveStack) Commit(s *state.State) {
	if l.cur == nil {
		l.cur = l.find(chainOf(l.g, s, len(s.Frames)-1))
	}
	l.commit(l.cur)
}

func (l *LiveStack) commit(in *instance) {
	at := l.writeInsn - in.start()
	if at < 0 || at >= len(in.written) {
		return
	}
	for frame := 0; frame <= in.depth; frame++ {
		w := l.written[frame]
		if w == 0 && in.frames[frame] == nil {
			continue
		}
		m := in.make(frame, l.writeInsn)
		old := m.write
		if in.written[at] {
			w &= old
		}
		if old != w {
			m.write = w
			in.updated = true
		}
		if old&^w != 0 {
			in.dropped = true
		}
	}
	in.written[at] = true
}

// Update works out what is live in the instances of a state's frames. It is to be
// called at the end of a path and of a function.
func (l *LiveStack) Update(s *state.State) {
	l.Forget()
	for depth := len(s.Frames) - 1; depth >= 0; depth-- {
		if in := l.find(chainOf(l.g, s, depth)); in.updated {
			l.update(in)
		}
	}
}

func (l *LiveStack) update(in *instance) {
	if in.dropped {
		for frame := 0; frame <= in.depth; frame++ {
			for i := range in.frames[frame] {
				in.frames[frame][i].writeAcc = 0
			}
		}
	}
	order := l.g.order[Find(l.g.subs, in.start())]
	rounds := 0
	for changed := true; changed; rounds++ {
		changed = false
		for frame := 0; frame <= in.depth; frame++ {
			if in.frames[frame] == nil {
				continue
			}
			for _, i := range order {
				if l.updateInsn(in, frame, int(i)) {
					changed = true
				}
			}
		}
	}
	if l.Log != nil {
		l.Log("%s live stack update done in %d iterations\n", in.text(), rounds)
	}
	if in.depth > 0 {
		l.tellCaller(in)
	}
	in.updated, in.dropped = false, false
}

func (l *LiveStack) updateInsn(in *instance, frame, i int) bool {
	next, n := successors(l.g.insns, i)
	if n == 0 {
		return false
	}
	m := in.at(frame, i)
	after, acc := uint64(0), uint64(math.MaxUint64)
	for _, w := range next[:n] {
		succ := in.at(frame, w)
		after |= succ.live
		acc &= succ.writeAcc
	}
	acc |= m.write
	before := after&^m.write | m.read
	changed := before != m.live || acc != m.writeAcc
	if changed && l.Log != nil && (m.read != 0 || m.write != 0 || i == in.start() || l.g.PrunePoint(i)) {
		l.logChange(in, "live", frame, i, m.live, before)
		l.logChange(in, "written", frame, i, m.writeAcc, acc)
	}
	m.live, m.writeAcc = before, acc
	return changed
}

// tellCaller notes what a function does to its callers' stacks at the call.
func (l *LiveStack) tellCaller(in *instance) {
	c := in.chain
	call := int(c.calls[c.depth-1])
	c.starts[c.depth], c.calls[c.depth-1] = 0, 0
	c.depth--
	outer := l.find(c)
	l.Begin(call)
	for frame := 0; frame < in.depth; frame++ {
		m := in.at(frame, in.start())
		if m == nil {
			continue
		}
		l.Write(frame, m.writeAcc)
		outer.read(frame, call, m.live)
	}
	l.commit(outer)
}

// Query answers which slots of a state are live.
type Query struct {
	l    *LiveStack
	s    *state.State
	inst [state.MaxFrames]*instance
}

// Query prepares for questions about a state that stands at s.Insn.
func (l *LiveStack) Query(s *state.State) Query {
	q := Query{l: l, s: s}
	for i := range s.Frames {
		q.inst[i] = l.find(chainOf(l.g, s, i))
	}
	return q
}

// Live reports whether a slot of a frame may be read later: in the function that
// executes, or in a caller after the call. A call that calls back may come again.
func (q *Query) Live(frame, slot int) bool {
	bit := SlotMask(slot)
	top := len(q.s.Frames) - 1
	if q.inst[top].liveAt(frame, q.s.Insn)&bit != 0 {
		return true
	}
	for i := frame; i < top; i++ {
		call := q.s.Frames[i+1].Callsite
		if call < 0 {
			return true
		}
		at := call + 1
		if q.l.g.CallsCallback(call) {
			at = call
		}
		if q.inst[i].liveAt(frame, at)&bit != 0 {
			return true
		}
	}
	return false
}

func (in *instance) liveAt(frame, insn int) uint64 {
	if insn < in.start() || insn >= in.end {
		return math.MaxUint64
	}
	if m := in.at(frame, insn); m != nil {
		return m.live
	}
	return 0
}

// text is the chain as the kernel's log shows it: the calls, and where the function
// begins.
func (in *instance) text() string {
	var b strings.Builder
	b.WriteByte('(')
	for _, call := range in.calls[:in.depth] {
		fmt.Fprintf(&b, "%d,", call)
	}
	fmt.Fprintf(&b, "%d)", in.start())
	return b.String()
}

func (l *LiveStack) logChange(in *instance, what string, frame, insn int, old, now uint64) {
	if old == now {
		return
	}
	l.Log("%s frame %d insn %d ", in.text(), frame, insn)
	if ones := now &^ old; ones != 0 {
		l.Log("+%s %s ", what, MaskText(ones))
	}
	if zeros := old &^ now; zeros != 0 {
		l.Log("-%s %s", what, MaskText(zeros))
	}
	l.Log("\n")
}

// MaskText lists slots as the kernel does: "-8,-16".
func MaskText(slots uint64) string {
	var b []byte
	for i := range 64 {
		if slots&(1<<i) == 0 {
			continue
		}
		if len(b) > 0 {
			b = append(b, ',')
		}
		b = fmt.Append(b, -(i+1)*state.RegSize)
	}
	return string(b)
}
