package verifier

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/cilium/ebpf/btf"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/kernel"
	"github.com/bpfct/bpfct/link"
	"github.com/bpfct/bpfct/record"
	"github.com/bpfct/bpfct/verifier/cfg"
	"github.com/bpfct/bpfct/verifier/state"
)

// Limits of the walk that the profile does not list.
const (
	maxJumpSequence = 8192 // BPF_COMPLEXITY_LIMIT_JMP_SEQ
	maxStack        = 512  // MAX_BPF_STACK
)

// env is the verification of one program.
type env struct {
	obj   *link.Object
	prog  *link.Program
	prof  *kernel.Profile
	opts  Options
	slots []slot
	graph *cfg.Graph
	maps  map[string]*state.Map
	log   log

	// The walk.
	cur       *state.State
	stack     []pending // states to be walked
	insn      int       // the instruction that is looked at
	prevInsn  int       // the one before
	touched   state.Touched
	fresh     bool       // the state is another one than the last instruction left: show it
	lastLine  *link.Line // that the log has last
	histOpen  bool       // the newest entry of the history belongs to this instruction
	nextID    uint32
	processed int
	jumps     int // jump instructions processed

	// Pruning.
	explored             [][]*explored // by a hash of instruction and call site
	scc                  map[sccChain]*sccVisit
	backedges            int
	ids                  *state.IDs
	live                 *cfg.LiveStack
	bt                   backtrack
	prevJumps, prevInsns int // their counts when a state was last kept
	states, peakStates   int
	maxStates            int // kept at one place
	liveStates           int
	stateBytes           int64

	// Before the walk.
	flow        []cfg.Insn
	subs        []cfg.Subprog
	exceptionAt int // where the exception callback begins, 0 for none
	kfuncs      map[btf.TypeID]bool
	kdecls      map[*btf.Func]*kdecl // declarations of the kfuncs that are called

	aux      []aux
	subprogs []subprogInfo
	sections map[string][]byte           // contents of data sections, by map
	records  map[btf.Type]*record.Record // special fields of the program's types
	gpl      bool                        // the licence is compatible
	// seenDirectWrite says that the program may write to the packet.
	seenDirectWrite bool
	seen            [][]Seen // by slot, with Options.Record
}

// aux is what the verifier finds out about an instruction, over all paths.
type aux struct {
	seen bool
	// ptr is the type of pointer that the instruction accesses memory through: all
	// paths must agree.
	ptr state.Type
	// alloc is the type that bpf_obj_new and its kin make.
	alloc any
	// loopInlined says whether a bpf_loop, once loopSeen, can be compiled as a loop that
	// calls function loopSubprog.
	loopSeen, loopInlined bool
	loopSubprog           int
}

// subprogInfo is what is known of a function of the program.
type subprogInfo struct {
	cfg.Subprog
	stackDepth   int
	hasTailCall  bool
	global       bool // verified on its own
	called       bool
	verified     bool
	isCallback   bool
	isAsync      bool
	isException  bool
	changesPkt   bool
	mightSleep   bool
	argsPrepared bool
	unreliable   bool      // a call did not fit its prototype, of a static function
	args         []argInfo // of a global function
}

// pending is a state that waits to be walked.
type pending struct {
	st       *state.State
	insn     int
	prevInsn int
	logPos   int
}

// A refusal ends a verification: the program is refused.
type refusal struct {
	errno   errno.Errno
	insn    int
	message string
}

func (r *refusal) Error() string { return r.message }

// reject logs a line and refuses the program with it.
func (e *env) reject(no errno.Errno, format string, args ...any) error {
	msg := fmt.Sprintf(format, args...)
	e.log.decisive(msg)
	return &refusal{errno: no, insn: e.insn, message: msg}
}

// explainMore logs a further line that the kernel writes about the refusal err.
func (e *env) explainMore(err error, format string, args ...any) error {
	if err != nil {
		e.log.decisive(fmt.Sprintf(format, args...))
	}
	return err
}

// newEnv lays the program out.
func newEnv(obj *link.Object, p *link.Program, opts Options) (*env, error) {
	slots, err := newSlots(p)
	if err != nil {
		return nil, err
	}
	if opts.CPUs == 0 {
		opts.CPUs = 2
	}
	if opts.MaxStateBytes == 0 {
		opts.MaxStateBytes = DefaultMaxStateBytes
	}
	var seen [][]Seen
	if opts.Record {
		seen = make([][]Seen, len(slots))
	}
	return &env{
		seen: seen,
		obj:  obj, prog: p, prof: obj.Profile, opts: opts, slots: slots, maps: make(map[string]*state.Map),
		log: log{level: opts.Log}, explored: make([][]*explored, len(slots)), sections: make(map[string][]byte),
		records: make(map[btf.Type]*record.Record), gpl: gplCompatible(p.License), aux: make([]aux, len(slots)),
	}, nil
}

// verify is the whole: the checks before the walk, the walk of global functions and
// of the program, the checks after it.
func (e *env) verify() (*Result, error) {
	err := e.run()
	var refused *refusal
	if err != nil && !errors.As(err, &refused) {
		return nil, err
	}
	depths := e.depths(refused)
	e.summary(depths)
	res := &Result{Insns: e.processed, States: e.states, PeakStates: e.peakStates, Stack: depths, Log: e.log.text(), seen: e.seen}
	res.reached, res.probes = make([]bool, len(e.aux)), make([]bool, len(e.aux))
	for i := range e.aux {
		t := e.aux[i].ptr
		res.reached[i] = e.aux[i].seen
		res.probes[i] = t.Base() == state.PtrToBTFID && t&(state.Trusted|state.RCU) == 0 || t.Has(state.ReadOnly|state.Untrusted)
	}
	if refused != nil {
		res.Err = &Error{
			Program: e.prog.Name, Errno: refused.errno, Insn: refused.insn, Message: e.log.first(refused.message),
			Lines: e.log.lines, Log: res.Log,
		}
		if refused.insn >= 0 && refused.insn < len(e.slots) && e.slots[refused.insn].insn != nil {
			res.Err.Line = e.slots[refused.insn].insn.Line
		}
	}
	return res, nil
}

// run does the steps of a verification in the kernel's order.
func (e *env) run() error {
	for _, step := range []func() error{
		e.admit,             // flags, attach type
		e.checkSubprogs,     // functions, calls, BTF function info
		e.resolveImmediates, // opcodes, reserved fields, maps
		e.checkFlow,         // control flow, prune points, liveness
		e.checkAttach,       // program and attach type
		e.logLiveRegs,
		e.walkMain,
		e.walkGlobals,
		e.checkStackDepth,
	} {
		e.insn = -1
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// summary writes the lines of counts.
func (e *env) summary(depths []int) {
	if e.opts.Log&LogStats != 0 {
		e.log.stats("stack depth %s", joinDepths(depths))
	}
	if e.opts.Log != LogError {
		e.log.stats("processed %d insns (limit %d) max_states_per_insn %d total_states %d peak_states %d mark_read %d",
			e.processed, e.prof.Limits.Processed, e.maxStates, e.states, e.peakStates, 0)
	}
}

// depths are the stack depths of the functions, as far as the verification came.
func (e *env) depths(refused *refusal) []int {
	if refused == nil {
		return e.finalDepths()
	}
	out := make([]int, len(e.subprogs))
	for i := range e.subprogs {
		out[i] = e.subprogs[i].stackDepth
	}
	return out
}

// joinDepths is "16+0+8".
func joinDepths(depths []int) string {
	var b strings.Builder
	for i, d := range depths {
		if i > 0 {
			b.WriteByte('+')
		}
		b.WriteString(strconv.Itoa(d))
	}
	return b.String()
}

// newID returns an ID that nothing has.
func (e *env) newID() uint32 {
	e.nextID++
	return e.nextID
}

// reg is one of them.
func (e *env) reg(n uint8) *state.Reg { return &e.cur.Regs()[n] }

// gplCompatible reports whether a licence lets a program call what the kernel offers
// to the GPL only (license_is_gpl_compatible).
func gplCompatible(licence string) bool {
	switch licence {
	case "GPL", "GPL v2", "GPL and additional rights", "Dual BSD/GPL", "Dual MIT/GPL", "Dual MPL/GPL":
		return true
	}
	return false
}
