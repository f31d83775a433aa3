package cfg_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/kernel"
	"github.com/bpfct/bpfct/link"
	"github.com/bpfct/bpfct/verifier/cfg"
	"github.com/bpfct/bpfct/verifier/state"
)

// Instructions of the programs below.
var (
	exit     = cfg.Insn{Raw: link.Raw{Op: 0x95}}
	zero     = mov(0)
	second   = cfg.Insn{Second: true}
	throwing = &kernel.Prototype{Name: "bpf_loop", Args: make([]kernel.Arg, 4), Callback: &kernel.Callback{Arg: 1}}
	next     = &kernel.Prototype{Name: "bpf_iter_num_next", Args: make([]kernel.Arg, 1), Flags: kernel.IterNext}
	resizing = &kernel.Prototype{Name: "bpf_skb_change_tail", Args: make([]kernel.Arg, 3), Flags: kernel.ChangesPacket}
)

func mov(dst uint8) cfg.Insn { return cfg.Insn{Raw: link.Raw{Op: 0xb7, Dst: dst}} }
func ja(off int16) cfg.Insn  { return cfg.Insn{Raw: link.Raw{Op: 0x05, Off: off}} }
func jeq(dst uint8, off int16) cfg.Insn {
	return cfg.Insn{Raw: link.Raw{Op: 0x15, Dst: dst, Off: off}}
}
func call(distance int32) cfg.Insn { return cfg.Insn{Raw: link.Raw{Op: 0x85, Src: 1, Imm: distance}} }
func funcAddr(distance int32) cfg.Insn {
	return cfg.Insn{Raw: link.Raw{Op: 0x18, Dst: 2, Src: 4, Imm: distance}}
}
func outside(p *kernel.Prototype) cfg.Insn {
	return cfg.Insn{Raw: link.Raw{Op: 0x85, Imm: 1}, Call: p, Allowed: true}
}

// build does all steps in their order.
func build(insns []cfg.Insn) (*cfg.Graph, error) {
	subs, err := cfg.Split(insns, 0, func(int) error { return nil })
	if err == nil {
		err = cfg.CheckJumps(insns, subs)
	}
	if err == nil {
		err = cfg.CheckOpcodes(insns)
	}
	if err != nil {
		return nil, err
	}
	return cfg.Build(insns, subs, 0)
}

func TestFaults(t *testing.T) {
	for name, tt := range map[string]struct {
		insns []cfg.Insn
		text  string
		no    errno.Errno
	}{
		"call before the program":   {[]cfg.Insn{call(-2), exit}, "call to invalid destination", errno.EINVAL},
		"call behind the program":   {[]cfg.Insn{call(1), exit}, "call to invalid destination", errno.EINVAL},
		"jump behind the program":   {[]cfg.Insn{ja(1), exit}, "jump out of range from insn 0 to 2", errno.EINVAL},
		"jump into a function":      {[]cfg.Insn{call(2), ja(1), exit, zero, exit}, "jump out of range from insn 1 to 3", errno.EINVAL},
		"no end":                    {[]cfg.Insn{zero}, "last insn is not an exit or jmp", errno.EINVAL},
		"function runs into other":  {[]cfg.Insn{call(1), zero, zero, exit}, "last insn is not an exit or jmp", errno.EINVAL},
		"unreachable":               {[]cfg.Insn{ja(1), zero, zero, exit}, "unreachable insn 1", errno.EINVAL},
		"jump into a load":          {[]cfg.Insn{jeq(0, 1), {Raw: link.Raw{Op: 0x18}}, second, exit}, "jump into the middle of ldimm64 insn 1", errno.EINVAL},
		"load without second half":  {[]cfg.Insn{exit, {Raw: link.Raw{Op: 0x18}}, exit}, "invalid bpf_ld_imm64 insn", errno.EINVAL},
		"unknown opcode":            {[]cfg.Insn{{Raw: link.Raw{Op: 0xff}}, exit}, "unknown opcode ff", errno.EINVAL},
		"load with an immediate":    {[]cfg.Insn{{Raw: link.Raw{Op: 0x61, Imm: 1}}, exit}, "BPF_LDX uses reserved fields", errno.EINVAL},
		"opcode after reserved use": {[]cfg.Insn{{Raw: link.Raw{Op: 0x61, Imm: 1}}, {Raw: link.Raw{Op: 0xff}}, exit}, "BPF_LDX uses reserved fields", errno.EINVAL},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := build(tt.insns)
			var f *cfg.Fault
			if !errors.As(err, &f) {
				t.Fatalf("no fault: %v", err)
			}
			if f.Text != tt.text || f.Errno != tt.no {
				t.Errorf("%v %q, want %v %q", f.Errno, f.Text, tt.no, tt.text)
			}
		})
	}
}

func TestTooManyFunctions(t *testing.T) {
	var insns []cfg.Insn
	const n = cfg.MaxSubprogs
	for i := range n {
		insns = append(insns, call(int32(n-i+i))) // to slot n+1+i
	}
	insns = append(insns, exit)
	for range n {
		insns = append(insns, exit)
	}
	_, err := build(insns)
	var f *cfg.Fault
	if !errors.As(err, &f) || f.Text != "too many subprograms" || f.Errno != errno.E2BIG {
		t.Errorf("%v", err)
	}
}

func TestSubprogs(t *testing.T) {
	// 0: call 5; 1: address of 6; 3: r0 = 0; 4: exit; 5: exit; 6: resizes; 7: exit
	insns := []cfg.Insn{call(4), funcAddr(4), second, zero, exit, exit, outside(resizing), exit}
	g, err := build(insns)
	if err != nil {
		t.Fatal(err)
	}
	subs := g.Subprogs()
	var starts []int
	for _, s := range subs {
		starts = append(starts, s.Start)
	}
	if !slices.Equal(starts, []int{0, 5, 6}) {
		t.Errorf("functions at %v", starts)
	}
	if !subs[2].ChangesPacket || !subs[0].ChangesPacket || subs[1].ChangesPacket {
		t.Errorf("who changes the packet: %+v", subs)
	}
	if cfg.Find(subs, 5) != 1 || cfg.Find(subs, 4) != -1 || cfg.Containing(subs, 4) != 0 || cfg.Containing(subs, 7) != 2 {
		t.Error("functions are not found")
	}
}

func TestMarks(t *testing.T) {
	insns := []cfg.Insn{
		jeq(1, 3),                          // 0
		zero,                               // 1
		outside(throwing),                  // 2
		outside(next),                      // 3
		zero,                               // 4
		{Raw: link.Raw{Op: 0xe5, Off: -2}}, // 5: may_goto
		exit,                               // 6
	}
	g, err := build(insns)
	if err != nil {
		t.Fatal(err)
	}
	type marks struct{ prune, jump, force, iter, mayGoto, callback bool }
	for i, want := range []marks{
		0: {prune: true},
		1: {},
		2: {prune: true, jump: true, force: true, callback: true},
		3: {prune: true, jump: true, force: true, iter: true},
		4: {prune: true, jump: true},
		5: {prune: true, force: true, mayGoto: true},
		6: {},
	} {
		got := marks{g.PrunePoint(i), g.JumpPoint(i), g.ForceCheckpoint(i), g.IterNext(i), g.MayGoto(i), g.CallsCallback(i)}
		if got != want {
			t.Errorf("instruction %d: %+v, want %+v", i, got, want)
		}
	}
	for i, want := range []int{0, 0, 0, 0, 1, 1, 0} {
		if got := g.SCC(i); got != want {
			t.Errorf("instruction %d is in loop %d, want %d", i, got, want)
		}
	}
}

func TestLiveRegs(t *testing.T) {
	insns := []cfg.Insn{
		{Raw: link.Raw{Op: 0xbf, Dst: 6, Src: 1}}, // 0: r6 = r1
		jeq(2, 2), // 1: if r2 == 0 goto 4
		{Raw: link.Raw{Op: 0x61, Dst: 3, Src: 6}},           // 2: r3 = *(u32 *)r6
		{Raw: link.Raw{Op: 0x63, Dst: 10, Src: 3, Off: -4}}, // 3: *(u32 *)(r10 - 4) = r3
		outside(resizing), // 4
		{Raw: link.Raw{Op: 0xdb, Dst: 6, Src: 0, Imm: 0xf1}}, // 5: cmpxchg
		exit, // 6
	}
	g, err := build(insns)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range [][]int{{1, 2, 3, 10}, {1, 2, 3, 6, 10}, {1, 2, 6, 10}, {1, 2, 3, 6, 10}, {1, 2, 3, 6}, {0, 6}, {0}} {
		var mask uint16
		for _, r := range want {
			mask |= 1 << r
		}
		if got := g.LiveRegs(i); got != mask {
			t.Errorf("before %d: %011b, want %011b", i, got, mask)
		}
	}
}

// A slot lives from what reads it back to what overwrites it wholly, in callers too.
func TestLiveStack(t *testing.T) {
	insns := []cfg.Insn{
		zero,    // 0: writes slot 0
		zero,    // 1: writes slot 1
		call(2), // 2: reads the caller's slot 0
		zero,    // 3: reads slot 1
		exit,    // 4
		zero,    // 5: reads slot 0 of frame 0
		exit,    // 6
	}
	g, err := build(insns)
	if err != nil {
		t.Fatal(err)
	}
	l := cfg.NewLiveStack(g)
	main := &state.Frame{Callsite: state.MainFunc}
	callee := &state.Frame{Callsite: 2, No: 1, Subprog: 1}
	outer := &state.State{Frames: []*state.Frame{main}}
	inner := &state.State{Frames: []*state.Frame{main, callee}}
	at := func(s *state.State, insn int, f func()) {
		l.Begin(insn)
		f()
		l.Commit(s)
	}
	at(outer, 0, func() { l.Write(0, cfg.SlotMask(0)) })
	at(outer, 1, func() { l.Write(0, cfg.SlotMask(1)) })
	at(outer, 2, func() {})
	l.Forget()
	at(inner, 5, func() { l.Read(inner, 0, 5, cfg.SlotMask(0)) })
	l.Update(inner)
	at(outer, 3, func() { l.Read(outer, 0, 3, cfg.SlotMask(1)) })
	l.Update(outer)
	live := func(s *state.State, insn, slot int) bool {
		s.Insn = insn
		q := l.Query(s)
		return q.Live(0, slot)
	}
	for _, tt := range []struct {
		s          *state.State
		insn, slot int
		want       bool
	}{
		{outer, 0, 0, false}, {outer, 1, 0, true}, {outer, 2, 0, true}, {outer, 3, 0, false},
		{outer, 1, 1, false}, {outer, 2, 1, true}, {outer, 3, 1, true}, {outer, 4, 1, false},
		{inner, 5, 0, true}, {inner, 6, 0, false}, {inner, 6, 1, true},
	} {
		if got := live(tt.s, tt.insn, tt.slot); got != tt.want {
			t.Errorf("slot %d before %d with %d frames is live: %v", tt.slot, tt.insn, len(tt.s.Frames), got)
		}
	}
	if got := cfg.MaskText(cfg.SlotMask(0) | cfg.SlotMask(2)); got != "-8,-24" {
		t.Errorf("slots 0 and 2 are %s", got)
	}
	// Written otherwise on a later visit: then it is not sure to be written.
	at(outer, 0, func() {})
	l.Update(outer)
	if !live(outer, 0, 0) {
		t.Error("a slot that is not always written is not live before")
	}
}

// No instructions, however wrong, do more than fail.
func FuzzBuild(f *testing.F) {
	f.Add([]byte{0x15, 0, 1, 0, 0x05, 0, 0xfe, 0, 0x95, 0, 0, 0})
	f.Add([]byte{0x85, 0x10, 0, 1, 0x95, 0, 0, 0, 0x95, 0, 0, 0})
	f.Fuzz(func(t *testing.T, raw []byte) {
		var insns []cfg.Insn
		for len(raw) >= 4 && len(insns) < 1000 {
			in := cfg.Insn{Raw: link.Raw{Op: raw[0], Dst: raw[1] & 15, Src: raw[1] >> 4, Off: int16(int8(raw[2])), Imm: int32(int8(raw[3]))}}
			insns = append(insns, in)
			if raw = raw[4:]; in.Op == 0x18 {
				insns = append(insns, second)
			}
		}
		if len(insns) == 0 {
			return
		}
		g, err := build(insns)
		var fault *cfg.Fault
		if err != nil && !errors.As(err, &fault) {
			t.Fatalf("not a fault: %v", err)
		}
		if (g == nil) != (err != nil) {
			t.Fatal("both a graph and a fault, or neither")
		}
		if err == nil && (len(g.Live()) != len(insns) || g.LiveRegs(0)&(1<<15) != 0 && insns[0].Op == 0x95) {
			t.Fatal("the graph does not fit the program")
		}
	})
}
