package vm

import (
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/bpfct/bpfct/netns"
)

const (
	// StackSize is the bytes of a frame's stack (MAX_BPF_STACK).
	StackSize = 512
	// MaxFrames is how deep bpf-to-bpf calls may nest (MAX_CALL_FRAMES), the
	// program's own frame included. Callbacks of helpers count like calls.
	MaxFrames = 8
	// MaxTailCalls is how many tail calls a run may make (MAX_TAIL_CALL_CNT).
	MaxTailCalls = 33
)

// Context is what a program runs on: a packet in one of its forms.
type Context interface {
	// Addr is the guest address that r1 holds at the start.
	Addr() uint64
	// Netns is the namespace that the packet is in.
	Netns() *netns.Netns
}

// PacketLoader is implemented by a Context whose packet the legacy load
// instructions (BPF_ABS, BPF_IND) may read.
type PacketLoader interface {
	// LoadBytes fills dst from the packet at off and reports whether it could.
	// Offsets from SKF_LL_OFF and SKF_NET_OFF on come in two's complement.
	LoadBytes(off uint32, dst []byte) bool
}

// ProgArray is what a tail call asks of a map; a prog array implements it as the
// Owner of its handle object.
type ProgArray interface {
	// Program is the program at index, nil for an empty slot or one out of range.
	Program(index uint32) *Program
}

// CPU is a virtual CPU while it runs a program: what a helper or kfunc is given.
// It belongs to one goroutine at a time.
type CPU struct {
	// ID is the CPU's number, from 0.
	ID int
	M  *Machine
	// Rand is the CPU's own random source, seeded from the machine's seed and ID.
	Rand *rand.Rand
	// Prog is the program that runs now; a tail call changes it.
	Prog *Program
	// Insn is the slot of the instruction that runs now. The engine sets it before
	// each call and before it reports a fault.
	Insn int
	// Ctx is what the program runs on; nil in a timer callback.
	Ctx Context
	// Trace has what bpf_trace_printk and its like printed in this run.
	Trace []string
	// Budget is how many instructions the run may still execute.
	Budget uint64
	// TailCalls counts the tail calls of this run.
	TailCalls int
	// RCU, Preempt and IRQ count the sections that the program is in.
	RCU, Preempt, IRQ int
	// EngineState is for the engine alone: what it keeps between runs.
	EngineState any

	locks  []HeldLock
	refs   []*Object
	frames []*Object // stack frames, made when first needed
	depth  int       // frames in use
	base   int       // frames below those of the running program
}

// HeldLock is a spin lock that the program holds.
type HeldLock struct {
	// Addr is the guest address of the lock.
	Addr uint64
	// Object is what the lock lies in.
	Object *Object
	// Site is where it was taken.
	Site Site
}

// RunOptions say what a run starts from.
type RunOptions struct {
	// CPU is the CPU to run on; AnyCPU takes an idle one.
	CPU int
	// Ctx is the packet.
	Ctx Context
	// Setup, where set, is called with the CPU before the program runs.
	Setup func(c *CPU)
}

// Result is what a run ended with.
type Result struct {
	// R0 is the program's return value.
	R0 uint64
	// Insns is how many instructions were executed.
	Insns uint64
	// CPU is the CPU that ran it.
	CPU int
	// Trace has the lines that the program printed.
	Trace []string
}

// Run executes p. The error is a *Fault when the sanitizer stopped the program;
// the Result has what had happened until then.
func (m *Machine) Run(p *Program, opts RunOptions) (Result, error) {
	if p.code == nil {
		return Result{}, fmt.Errorf("program %s is not compiled", p.Name)
	}
	c, err := m.acquireCPU(opts.CPU)
	if err != nil {
		return Result{}, err
	}
	defer m.releaseCPU(c)
	c.reset(p, opts.Ctx)
	if opts.Setup != nil {
		opts.Setup(c)
	}
	var ctx uint64
	if opts.Ctx != nil {
		ctx = opts.Ctx.Addr()
	}
	r0, err := p.code.Run(c, ctx)
	err = c.finish(err)
	if err != nil {
		c.abandon()
	}
	return Result{R0: r0, Insns: m.MaxInsns - c.Budget, CPU: c.ID, Trace: c.Trace}, err
}

// RunCallback executes the function at addr on the given CPU, or AnyCPU, outside
// of any program's run, as the kernel does for a timer.
func (m *Machine) RunCallback(cpu int, addr uint64, args ...uint64) (Result, error) {
	ref, ok := m.funcAt(addr)
	if !ok {
		return Result{}, fmt.Errorf("no function at %#x", addr)
	}
	c, err := m.acquireCPU(cpu)
	if err != nil {
		return Result{}, err
	}
	defer m.releaseCPU(c)
	c.reset(ref.prog, nil)
	r0, err := c.Call(addr, args...)
	err = c.finish(err)
	if err != nil {
		c.abandon()
	}
	return Result{R0: r0, Insns: m.MaxInsns - c.Budget, CPU: c.ID, Trace: c.Trace}, err
}

// finish is the error that a run ends with, err having come from the engine.
func (c *CPU) finish(err error) error {
	if err == nil {
		return c.checkExit("exit")
	}
	if e := (*Exception)(nil); errors.As(err, &e) {
		return c.Fault(UncaughtException, "", "cookie %#x", e.Cookie)
	}
	return err
}

func (c *CPU) reset(p *Program, ctx Context) {
	c.Prog, c.Insn, c.Ctx, c.Trace = p, 0, ctx, nil
	c.Budget, c.TailCalls = c.M.MaxInsns, 0
	c.RCU, c.Preempt, c.IRQ = 0, 0, 0
	c.locks, c.refs = c.locks[:0], c.refs[:0]
	c.SetDepth(0)
	c.base = 0
}

// abandon frees what a stopped program still holds, so that the next run is not
// its victim.
func (c *CPU) abandon() {
	for _, l := range c.locks {
		if b := l.Object.Bytes(); l.Addr-l.Object.Addr()+4 <= uint64(len(b)) {
			unlockWord(b[l.Addr-l.Object.Addr():])
		}
	}
	for _, o := range c.refs {
		if r, ok := o.Owner.(Releaser); ok {
			r.ReleaseReference()
			continue
		}
		c.M.Mem.Free(o, Site{}) // the program did not
	}
	c.locks, c.refs = c.locks[:0], c.refs[:0]
}

// Releaser is implemented by owners of objects that stand for a counted
// reference: for what a faulting program or a map leaves behind. ReleaseReference
// gives one reference back, and with the last one frees the object.
type Releaser interface {
	ReleaseReference()
}

// Site is where the program is now.
func (c *CPU) Site() Site { return Site{c.Prog, c.Insn} }

// Fault returns a fault at the current site; reg may be "".
func (c *CPU) Fault(kind FaultKind, reg, format string, args ...any) *Fault {
	return &Fault{Kind: kind, Site: c.Site(), Register: reg, Detail: fmt.Sprintf(format, args...)}
}

// Read returns the n bytes at addr, which the program gave in register reg
// ("R1"). The slice aliases guest memory. n may be 0.
func (c *CPU) Read(reg string, addr uint64, n uint32) ([]byte, error) {
	if n == 0 {
		return nil, nil
	}
	b, f := c.M.Mem.Load(addr, n)
	if f != nil {
		f.Site, f.Register = c.Site(), reg
		return nil, f
	}
	return b, nil
}

// Write returns the n bytes at addr for writing, as Read does. Objects with
// OnWrite do not occur among what helpers write to and are refused.
func (c *CPU) Write(reg string, addr uint64, n uint32) ([]byte, error) {
	if n == 0 {
		return nil, nil
	}
	b, o, f := c.M.Mem.Store(addr, n)
	if f != nil {
		f.Site, f.Register = c.Site(), reg
		return nil, f
	}
	if o.OnWrite != nil {
		return nil, &Fault{Kind: WriteProtected, Site: c.Site(), Register: reg, Addr: addr, Size: n, Write: true, Object: o}
	}
	return b, nil
}

// ObjectAt returns the live object that addr points into and the offset.
func (c *CPU) ObjectAt(reg string, addr uint64) (*Object, uint32, error) {
	o := c.M.Mem.Find(addr)
	if o == nil {
		f := c.M.Mem.refuse(nil, addr, 1, false)
		f.Site, f.Register = c.Site(), reg
		return nil, 0, f
	}
	if !o.Live() {
		return nil, 0, &Fault{Kind: UseAfterRelease, Site: c.Site(), Register: reg, Addr: addr, Size: 1, Object: o}
	}
	return o, uint32(addr) - o.Base, nil
}

// OwnerAt returns the Go value behind the object that starts at addr, as the
// type T; the fault says what was there instead.
func OwnerAt[T any](c *CPU, reg string, addr uint64) (T, *Object, error) {
	var zero T
	o, off, err := c.ObjectAt(reg, addr)
	if err != nil {
		return zero, nil, err
	}
	v, ok := o.Owner.(T)
	if !ok || off != 0 {
		f := c.Fault(BadArgument, reg, "points to offset %d of %v", off, o)
		f.Object = o
		return zero, nil, f
	}
	return v, o, nil
}

// Call runs the function at addr, which the program gave to a helper, with the
// given arguments.
func (c *CPU) Call(addr uint64, args ...uint64) (uint64, error) {
	ref, ok := c.M.funcAt(addr)
	if !ok {
		return 0, c.Fault(BadArgument, "", "%#x is not the address of a function", addr)
	}
	var a [5]uint64
	copy(a[:], args)
	prog, insn := c.Prog, c.Insn
	c.Prog = ref.prog
	r0, err := ref.prog.code.Call(c, ref.slot, a)
	if err == nil {
		c.Prog, c.Insn = prog, insn
	}
	return r0, err
}

// PushFrame gives the engine the zeroed stack of a new frame.
func (c *CPU) PushFrame() (*Object, error) {
	if c.depth-c.base >= MaxFrames {
		return nil, c.Fault(LimitExceeded, "", "the call stack is deeper than %d frames", MaxFrames)
	}
	if c.depth == len(c.frames) {
		o, err := c.M.Mem.Alloc(ObjectSpec{Kind: KindStack, Size: StackSize})
		if err != nil {
			return nil, err
		}
		c.frames = append(c.frames, o)
	}
	o := c.frames[c.depth]
	clear(o.data)
	o.hi = StackSize
	c.depth++
	return o, nil
}

// PopFrame takes back the newest frame; pointers to it are dead.
func (c *CPU) PopFrame() {
	c.depth--
	c.frames[c.depth].hi = 0
}

// Frame is the stack of frame n, nil for one that is not in use.
func (c *CPU) Frame(n int) *Object {
	if n < 0 || n >= c.depth {
		return nil
	}
	return c.frames[n]
}

// Depth is the number of frames in use.
func (c *CPU) Depth() int { return c.depth }

// SetDepth drops the frames above depth n, for an engine that unwinds.
func (c *CPU) SetDepth(n int) {
	for c.depth > n {
		c.PopFrame()
	}
}

// Base is the number of frames below those of the running program. It is not 0
// when a function tail-called the program: the callers of that function stay.
func (c *CPU) Base() int { return c.base }

// Rebase makes MaxFrames count from depth n.
func (c *CPU) Rebase(n int) { c.base = n }
