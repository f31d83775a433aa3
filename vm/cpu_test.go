package vm

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// goEngine runs a Go function in place of instructions: the program's Owner.
type goEngine struct{}

type goCode func(c *CPU, args [5]uint64) (uint64, error)

func (goEngine) Name() string { return "go" }

func (goEngine) Compile(p *Program) (Code, error) {
	f, ok := p.Owner.(goCode)
	if !ok {
		return nil, errors.New("no function")
	}
	return f, nil
}

func (f goCode) Run(c *CPU, ctx uint64) (uint64, error) { return f(c, [5]uint64{ctx}) }

func (f goCode) Call(c *CPU, slot int, args [5]uint64) (uint64, error) {
	c.Insn = slot
	return f(c, args)
}

func goProgram(t testing.TB, m *Machine, name string, f goCode) *Program {
	t.Helper()
	p := &Program{Name: name, Owner: f}
	if err := m.Compile(p); err != nil {
		t.Fatal(err)
	}
	return p
}

func newMachine(cpus int) *Machine { return New(Config{Engine: goEngine{}, CPUs: cpus, Seed: 1}) }

func alloc(t testing.TB, m *Machine, spec ObjectSpec) *Object {
	t.Helper()
	o, err := m.Mem.Alloc(spec)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// wantFault reports whether err is a fault of that kind at the program's place,
// with text in it.
func wantFault(t *testing.T, err error, kind FaultKind, text string) {
	t.Helper()
	var f *Fault
	if !errors.As(err, &f) || f.Kind != kind || !strings.Contains(f.Error(), text) {
		t.Errorf("got error %v, want a fault of kind %v with %q", err, kind, text)
		return
	}
	if f.Site.Program == nil {
		t.Errorf("%v has no place", f)
	}
}

type released struct{ n atomic.Int32 }

func (r *released) ReleaseReference() { r.n.Add(1) }

func TestReadAndWrite(t *testing.T) {
	m := newMachine(1)
	plain := alloc(t, m, ObjectSpec{Kind: KindMapValue, Name: "plain", Size: 16})
	watched := alloc(t, m, ObjectSpec{Kind: KindView, Name: "watched", Size: 16, OnWrite: func(_, _ uint32) {}})
	p := goProgram(t, m, "p", func(c *CPU, _ [5]uint64) (uint64, error) {
		b, err := c.Write("R1", plain.Addr()+4, 4)
		if err != nil {
			return 0, err
		}
		copy(b, "abcd")
		if b, err = c.Read("R1", plain.Addr()+4, 4); err != nil || string(b) != "abcd" {
			t.Errorf("read %q, error %v", b, err)
		}
		if b, err = c.Read("R1", 0, 0); b != nil || err != nil {
			t.Errorf("reading nothing from nowhere: %v, %v", b, err)
		}
		_, err = c.Read("R2", plain.Addr()+14, 4)
		wantFault(t, err, OutOfBounds, "in p at insn 0: read of 4 bytes at 0x1002e (R2), map value of plain offset 14")
		_, err = c.Write("R3", watched.Addr(), 4)
		wantFault(t, err, WriteProtected, "(R3), kernel object watched offset 0")
		_, err = c.Read("R4", 8, 4)
		wantFault(t, err, NullDereference, "(R4)")
		_, _, err = c.ObjectAt("R5", 1<<40)
		wantFault(t, err, WildAddress, "R5")
		return 3, nil
	})
	res, err := m.Run(p, RunOptions{})
	if err != nil || res.R0 != 3 {
		t.Errorf("got %v, %v", res, err)
	}
}

func TestOwnerAt(t *testing.T) {
	m := newMachine(1)
	o := alloc(t, m, ObjectSpec{Kind: KindMap, Name: "m", Size: 16, Owner: new(released)})
	p := goProgram(t, m, "p", func(c *CPU, _ [5]uint64) (uint64, error) {
		if r, at, err := OwnerAt[*released](c, "R1", o.Addr()); err != nil || at != o || r != o.Owner {
			t.Errorf("got %v, %v, %v", r, at, err)
		}
		if _, _, err := OwnerAt[Releaser](c, "R1", o.Addr()); err != nil {
			t.Error(err)
		}
		_, _, err := OwnerAt[*released](c, "R1", o.Addr()+8)
		wantFault(t, err, BadArgument, "R1, map m: points to offset 8")
		_, _, err = OwnerAt[*strings.Builder](c, "R2", o.Addr())
		wantFault(t, err, BadArgument, "R2, map m")
		m.Mem.Free(o, c.Site())
		_, _, err = OwnerAt[*released](c, "R1", o.Addr())
		wantFault(t, err, UseAfterRelease, "")
		return 0, nil
	})
	if _, err := m.Run(p, RunOptions{}); err != nil {
		t.Error(err)
	}
}

// TestLedger runs what may go wrong with references and sections, and sees that
// nothing of it is left for the next run.
func TestLedger(t *testing.T) {
	m := newMachine(1)
	owner := new(released)
	lock := alloc(t, m, ObjectSpec{Kind: KindMapValue, Name: "locked", Size: 16})
	take := func(c *CPU) *Object {
		o := alloc(t, m, ObjectSpec{Kind: KindView, Name: "struct nf_conn", Size: 16, Owner: owner})
		c.Acquire(o)
		return o
	}
	var leaked *Object
	for name, tt := range map[string]struct {
		run  goCode
		kind FaultKind
		text string
	}{
		"nothing": {run: func(*CPU, [5]uint64) (uint64, error) { return 0, nil }},
		"released": {run: func(c *CPU, _ [5]uint64) (uint64, error) {
			o := take(c)
			if !c.Holds(o) {
				t.Error("the reference is not held")
			}
			return 0, c.Release("R1", o)
		}},
		"handed over": {run: func(c *CPU, _ [5]uint64) (uint64, error) {
			o := take(c)
			if err := c.Disown("R1", o); err != nil || !o.Live() || c.Holds(o) {
				t.Errorf("disown: %v", err)
			}
			return 0, nil
		}},
		"kept": {kind: ReferenceLeak, text: "acquired at insn 0", run: func(c *CPU, _ [5]uint64) (uint64, error) {
			take(c)
			return 0, nil
		}},
		"kept, without an owner": {kind: ReferenceLeak, text: "machine memory", run: func(c *CPU, _ [5]uint64) (uint64, error) {
			leaked = alloc(t, m, ObjectSpec{Kind: KindScratch, Size: 8})
			c.Acquire(leaked)
			return 0, nil
		}},
		"released twice": {kind: BadRelease, text: "R1, kernel object struct nf_conn", run: func(c *CPU, _ [5]uint64) (uint64, error) {
			o := take(c)
			if err := c.Release("R1", o); err != nil {
				return 0, err
			}
			return 0, c.Release("R1", o)
		}},
		"lock kept": {kind: LockViolation, text: "map value of locked: the lock is still held at exit", run: func(c *CPU, _ [5]uint64) (uint64, error) {
			if !LockWord(lock.Bytes()[4:], func() bool { return true }) {
				t.Error("the lock is not free")
			}
			c.PushLock(HeldLock{Addr: lock.Addr() + 4, Object: lock, Site: c.Site()})
			return 0, nil
		}},
		"lock given back": {run: func(c *CPU, _ [5]uint64) (uint64, error) {
			c.PushLock(HeldLock{Addr: lock.Addr(), Object: lock})
			if c.PopLock(lock.Addr()+4) || len(c.Locks()) != 1 || !c.PopLock(lock.Addr()) || len(c.Locks()) != 0 {
				t.Error("locks are mixed up")
			}
			return 0, nil
		}},
		"IRQs off": {kind: LockViolation, text: "IRQ-disabled section", run: func(c *CPU, _ [5]uint64) (uint64, error) { c.IRQ = 1; return 0, nil }},
		"preemption off at a tail call": {kind: LockViolation, text: "preempt-disabled section is still open at tail call",
			run: func(c *CPU, _ [5]uint64) (uint64, error) { c.Preempt = 1; return 0, c.CheckTailCall() }},
		"exception": {kind: UncaughtException, text: "cookie 0x7", run: func(*CPU, [5]uint64) (uint64, error) {
			return 0, fmt.Errorf("from below: %w", &Exception{Cookie: 7})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			p := goProgram(t, m, name, tt.run)
			for range 2 {
				_, err := m.Run(p, RunOptions{})
				if tt.kind == 0 && err != nil {
					t.Fatalf("%+v", err)
				}
				if tt.kind != 0 {
					wantFault(t, err, tt.kind, tt.text)
				}
			}
		})
	}
	if leaked.Live() || owner.n.Load() != 2 {
		t.Errorf("the leaked object lives: %v, and was released %d times, want 2", leaked.Live(), owner.n.Load())
	}
}

func TestCallbacks(t *testing.T) {
	m := newMachine(2)
	var got []uint64
	callee := goProgram(t, m, "callee", func(c *CPU, args [5]uint64) (uint64, error) {
		got = append(got, uint64(c.Insn), args[0], args[1])
		if c.Prog.Name != "callee" {
			t.Errorf("runs as %s", c.Prog.Name)
		}
		return 9, nil
	})
	a, b := m.FuncAddr(callee, 3), m.FuncAddr(callee, 8)
	if a == b || a != m.FuncAddr(callee, 3) {
		t.Fatalf("addresses %#x and %#x", a, b)
	}
	caller := goProgram(t, m, "caller", func(c *CPU, _ [5]uint64) (uint64, error) {
		c.Insn = 5
		r, err := c.Call(a, 1, 2)
		if c.Prog.Name != "caller" || c.Insn != 5 {
			t.Errorf("after the call at %v of %s", c.Site(), c.Prog.Name)
		}
		_, bad := c.Call(a+1, 1)
		wantFault(t, bad, BadArgument, "is not the address of a function")
		_, bad = c.Call(m.FuncAddr(callee, 8)+16, 1)
		wantFault(t, bad, BadArgument, "is not the address of a function")
		return r, err
	})
	if res, err := m.Run(caller, RunOptions{CPU: AnyCPU}); err != nil || res.R0 != 9 {
		t.Errorf("got %v, %v", res, err)
	}
	if res, err := m.RunCallback(AnyCPU, b, 4, 5); err != nil || res.R0 != 9 {
		t.Errorf("got %v, %v", res, err)
	}
	if _, err := m.RunCallback(AnyCPU, 7); err == nil {
		t.Error("ran no function")
	}
	if diff := cmp.Diff([]uint64{3, 1, 2, 8, 4, 5}, got); diff != "" {
		t.Error(diff)
	}
}

func TestFrames(t *testing.T) {
	m := newMachine(1)
	p := goProgram(t, m, "p", func(c *CPU, _ [5]uint64) (uint64, error) {
		first, err := c.PushFrame()
		if err != nil {
			return 0, err
		}
		first.Bytes()[0] = 1
		second, _ := c.PushFrame()
		if _, f := m.Mem.Load(second.Addr(), 8); f != nil {
			t.Error(f)
		}
		c.PopFrame()
		if _, f := m.Mem.Load(second.Addr(), 8); f == nil || f.Kind != UseAfterRelease {
			t.Errorf("a frame that was left: fault %v", f)
		}
		for c.Depth() < MaxFrames {
			if _, err := c.PushFrame(); err != nil {
				return 0, err
			}
		}
		_, err = c.PushFrame()
		wantFault(t, err, LimitExceeded, "deeper than 8 frames")
		c.Rebase(MaxFrames - 1)
		if _, err := c.PushFrame(); err != nil {
			t.Errorf("frames of a tail-called program: %v", err)
		}
		c.SetDepth(1)
		if _, f := m.Mem.Load(first.Addr(), 8); f != nil {
			t.Error(f)
		}
		return uint64(first.Bytes()[0]), nil
	})
	for range 2 {
		if res, err := m.Run(p, RunOptions{}); err != nil || res.R0 != 1 {
			t.Errorf("got %v, %v", res, err)
		}
	}
}

// TestCPUs runs more programs at once than there are CPUs: never two on one, and
// each CPU has its own random numbers, the same in every machine of a seed.
func TestCPUs(t *testing.T) {
	const cpus, runs = 3, 200
	random := func() [cpus]uint64 {
		m := newMachine(cpus)
		var busy [cpus]atomic.Int32
		p := goProgram(t, m, "p", func(c *CPU, _ [5]uint64) (uint64, error) {
			if busy[c.ID].Add(1) != 1 {
				t.Errorf("two programs run on CPU %d", c.ID)
			}
			defer busy[c.ID].Add(-1)
			c.Trace = append(c.Trace, fmt.Sprint(c.ID))
			return 0, nil
		})
		var wg sync.WaitGroup
		for i := range runs {
			wg.Go(func() {
				cpu := AnyCPU
				if i%2 == 0 {
					cpu = i % cpus
				}
				res, err := m.Run(p, RunOptions{CPU: cpu})
				if err != nil || cpu != AnyCPU && res.CPU != cpu || len(res.Trace) != 1 || res.Trace[0] != fmt.Sprint(res.CPU) {
					t.Errorf("on CPU %d: %v, %v", cpu, res, err)
				}
			})
		}
		wg.Wait()
		var r [cpus]uint64
		draw := goProgram(t, m, "draw", func(c *CPU, _ [5]uint64) (uint64, error) { return c.Rand.Uint64(), nil })
		for cpu := range r {
			res, err := m.Run(draw, RunOptions{CPU: cpu})
			if err != nil {
				t.Error(err)
			}
			r[cpu] = res.R0
		}
		if _, err := m.Run(draw, RunOptions{CPU: cpus}); err == nil {
			t.Error("ran on a CPU that does not exist")
		}
		return r
	}
	a, b := random(), random()
	if a != b || a[0] == a[1] {
		t.Errorf("random numbers %v and %v", a, b)
	}
}

func TestNotCompiled(t *testing.T) {
	m := newMachine(1)
	if err := m.Compile(&Program{Name: "p"}); err == nil || !strings.HasPrefix(err.Error(), "program p: ") {
		t.Errorf("got error %v", err)
	}
	if _, err := m.Run(&Program{Name: "p"}, RunOptions{}); err == nil {
		t.Error("ran what is not compiled")
	}
}
