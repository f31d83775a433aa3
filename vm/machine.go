package vm

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"github.com/bpfct/bpfct/clock"
	"github.com/bpfct/bpfct/kernel"
)

// Func is a helper or kfunc. args are r1 to r5; the result becomes r0. What a
// program can see as failure is a result (an errno negated); an error ends the
// run: a *Fault, or an *Exception.
type Func func(c *CPU, args *[5]uint64) (uint64, error)

// Registry has the helpers and kfuncs that a machine runs, by their kernel names.
type Registry struct {
	funcs map[string]Func
}

// Add registers f. Names are unique over helpers and kfuncs.
func (r *Registry) Add(name string, f Func) {
	if r.funcs == nil {
		r.funcs = make(map[string]Func)
	}
	if _, dup := r.funcs[name]; dup {
		panic("vm: " + name + " registered twice")
	}
	r.funcs[name] = f
}

// Lookup returns the function of that name, nil when the machine does not run it.
func (r *Registry) Lookup(name string) Func { return r.funcs[name] }

// Names returns the registered names in no particular order.
func (r *Registry) Names() []string {
	names := make([]string, 0, len(r.funcs))
	for n := range r.funcs {
		names = append(names, n)
	}
	return names
}

// Config is what a Machine is made of. Profile, Clock, Engine and Registry must
// be set.
type Config struct {
	Profile  *kernel.Profile
	Clock    *clock.Clock
	Engine   Engine
	Registry *Registry
	// CPUs is the number of virtual CPUs; 0 means 1.
	CPUs int
	// Seed starts all randomness.
	Seed uint64
	// MemoryLimit bounds guest memory in bytes; 0 means DefaultMemoryLimit.
	MemoryLimit uint64
	// MaxInsns bounds the instructions of one run; 0 means DefaultMaxInsns.
	MaxInsns uint64
}

// DefaultMaxInsns is how many instructions a run may execute unless configured:
// more than eight million iterations of bpf_loop, and some seconds of time.
const DefaultMaxInsns = 1 << 30

// Machine is what the programs of one host share. Its methods may be called from
// several goroutines.
type Machine struct {
	Config
	Mem *Memory

	funcs atomic.Pointer[[]funcRef] // callbacks that have an address, by it; written under mu

	mu    sync.Mutex
	addrs map[funcRef]uint32 // their addresses; guarded by mu
	cpus  []*CPU             // idle, by id, nil while one runs; guarded by mu
	free  sync.Cond          // signals a change of cpus
	runs  []uint64           // how many runs of each CPU have ended; guarded by mu
	// retired are objects that wait for runs to end; guarded by mu.
	retired []retired
}

type funcRef struct {
	prog *Program
	slot int
}

// New returns a machine.
func New(cfg Config) *Machine {
	if cfg.CPUs == 0 {
		cfg.CPUs = 1
	}
	if cfg.MaxInsns == 0 {
		cfg.MaxInsns = DefaultMaxInsns
	}
	m := &Machine{Config: cfg, Mem: NewMemory(cfg.MemoryLimit), addrs: make(map[funcRef]uint32)}
	m.free.L = &m.mu
	m.cpus = make([]*CPU, cfg.CPUs)
	m.runs = make([]uint64, cfg.CPUs)
	for id := range m.cpus {
		m.cpus[id] = &CPU{ID: id, M: m, Rand: rand.New(rand.NewPCG(cfg.Seed, uint64(id)))}
	}
	return m
}

// Compile has the engine prepare p, after which p is immutable.
func (m *Machine) Compile(p *Program) error {
	code, err := m.Engine.Compile(p)
	if err != nil {
		return fmt.Errorf("program %s: %w", p.Name, err)
	}
	p.code = code
	return nil
}

// FuncAddr gives the function at slot of p an address, which CPU.Call takes.
func (m *Machine) FuncAddr(p *Program, slot int) uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	ref := funcRef{p, slot}
	if a, ok := m.addrs[ref]; ok {
		return uint64(a)
	}
	var funcs []funcRef
	if old := m.funcs.Load(); old != nil {
		funcs = *old
	}
	a := uint32(funcBase + 16*len(funcs))
	funcs = append(funcs[:len(funcs):len(funcs)], ref) // readers have the old one
	m.funcs.Store(&funcs)
	m.addrs[ref] = a
	return uint64(a)
}

func (m *Machine) funcAt(addr uint64) (funcRef, bool) {
	funcs := m.funcs.Load()
	i := (addr - funcBase) / 16
	if funcs == nil || addr < funcBase || addr%16 != 0 || i >= uint64(len(*funcs)) {
		return funcRef{}, false
	}
	return (*funcs)[i], true
}

// AnyCPU makes Run take the idle CPU with the lowest id.
const AnyCPU = -1

// acquireCPU waits for CPU id, or any, to be idle.
func (m *Machine) acquireCPU(id int) (*CPU, error) {
	if id != AnyCPU && (id < 0 || id >= len(m.cpus)) {
		return nil, fmt.Errorf("no CPU %d: the machine has %d", id, len(m.cpus))
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for {
		for i, c := range m.cpus {
			if c != nil && (id == AnyCPU || id == i) {
				m.cpus[i] = nil
				return c, nil
			}
		}
		m.free.Wait()
	}
}

func (m *Machine) releaseCPU(c *CPU) {
	m.mu.Lock()
	m.cpus[c.ID] = c
	free := m.endRun(c.ID)
	m.mu.Unlock()
	m.free.Broadcast()
	for _, r := range free {
		m.Mem.Free(r.obj, r.at)
	}
}
