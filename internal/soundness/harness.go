package soundness

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct"
	"github.com/bpfct/bpfct/link"
	"github.com/bpfct/bpfct/verifier"
	"github.com/bpfct/bpfct/vm"
)

// Counts are what was looked at.
type Counts struct {
	// Programs were accepted and run, Runs times on some packet.
	Programs, Runs int
	// Checked are the executed instructions at which all registers were compared,
	// Unchecked those of which the verifier had too much to say to keep it.
	Checked, Unchecked uint64
}

// Add adds o to c.
func (c *Counts) Add(o Counts) {
	c.Programs += o.Programs
	c.Runs += o.Runs
	c.Checked += o.Checked
	c.Unchecked += o.Unchecked
}

// Harness is an object loaded on a host that looks at each instruction.
type Harness struct {
	Counts
	// Violations say what was found wrong, the first few of it.
	Violations []string

	host  *bpfct.Host
	coll  *bpfct.Collection
	known map[string]*verifier.Result // by program
	now   string                      // the program that runs
}

const (
	maxViolations = 5
	// maxInsns bounds a run. A longer one is cut off, which proves nothing wrong.
	maxInsns = 20000
)

// New verifies the tc and XDP programs of an object and loads those that are accepted.
// A nil Harness means that there are none.
func New(spec *ebpf.CollectionSpec, seed uint64) (*Harness, error) {
	h := &Harness{known: make(map[string]*verifier.Result)}
	host, err := bpfct.NewHost(bpfct.HostOptions{Seed: seed, MaxInsns: maxInsns, Observe: h.observe})
	if err != nil {
		return nil, err
	}
	h.host = host
	obj, err := link.Link(spec, host.Profile(), link.Options{KeepFaulty: true})
	if err != nil {
		return nil, err
	}
	var names []string
	for _, name := range slices.Sorted(maps.Keys(obj.Programs)) {
		if !vm.Runnable(obj.Programs[name].Type) {
			continue
		}
		res, err := verifier.Verify(obj, name, verifier.Options{CPUs: 1})
		if err != nil || !res.Accepted() {
			continue
		}
		res, err = verifier.Verify(obj, name, verifier.Options{CPUs: 1, Record: true})
		if err == nil && res.Accepted() {
			h.known[name] = res
		}
		names = append(names, name)
	}
	if len(names) == 0 {
		return nil, nil
	}
	if err := h.load(spec, names); err != nil {
		return nil, err
	}
	h.Programs = len(h.coll.Programs)
	return h, nil
}

// load loads the programs that the machine can run.
func (h *Harness) load(spec *ebpf.CollectionSpec, names []string) (err error) {
	if h.coll, err = h.host.LoadCollection(spec, bpfct.CollectionOptions{Programs: names}); err == nil {
		return nil
	}
	var can []string
	for _, name := range names {
		coll, err := h.host.LoadCollection(spec, bpfct.CollectionOptions{Programs: []string{name}})
		if err == nil {
			coll.Close()
			can = append(can, name)
		}
	}
	if len(can) > 0 {
		h.coll, err = h.host.LoadCollection(spec, bpfct.CollectionOptions{Programs: can})
	}
	return err
}

// Close gives the maps back.
func (h *Harness) Close() { h.coll.Close() }

// Run runs each program on rounds random packets, with random contents of maps. Time
// stands still: a timer that starts itself anew without delay would keep it forever.
func (h *Harness) Run(rng *rand.Rand, rounds int) {
	names := slices.Sorted(maps.Keys(h.coll.Programs))
	for range rounds {
		h.fillMaps(rng)
		for _, name := range names {
			h.now = name
			h.runOnce(rng, h.coll.Programs[name])
		}
	}
}

func (h *Harness) runOnce(rng *rand.Rand, p *bpfct.Program) {
	_, err := p.Run(&bpfct.RunOptions{Data: Packet(rng), Context: context(rng, p.Type())})
	h.Runs++
	var f *vm.Fault
	if errors.As(err, &f) && f.Kind != vm.LimitExceeded && f.Kind != vm.UncaughtException && !knownHole(p.Name(), f) {
		h.violation("%+v", f)
	}
}

// knownHole reports whether a fault is one that the kernel, asked by the verifier's own
// tests, lets a program of the tree run into: it takes both without a check for NULL.
func knownHole(program string, f *vm.Fault) bool {
	name, _, _ := strings.Cut(program, "_mutant")
	switch name {
	case "write_walked": // writes through a pointer that a connection has, and may not have
	case "percpu_load_per": // follows what bpf_per_cpu_ptr gives for a CPU that there is none of
	default:
		return false
	}
	return f.Kind == vm.NullDereference
}

func (h *Harness) violation(format string, args ...any) {
	if len(h.Violations) < maxViolations {
		h.Violations = append(h.Violations, h.now+": "+fmt.Sprintf(format, args...))
	}
}

// observe compares the registers before an instruction with what was thought possible.
func (h *Harness) observe(c *vm.CPU, slot int, regs []uint64) {
	res := h.known[c.Prog.Name]
	if res == nil {
		h.Unchecked++
		return
	}
	seen, complete := res.Seen(slot)
	for i := range seen {
		if wrong := misfit(c, &seen[i], regs, false); wrong == "" {
			h.Checked++
			return
		}
	}
	if !complete {
		h.Unchecked++
		return
	}
	text := fmt.Sprintf("instruction %d: no path allows the registers", slot)
	for i := range seen {
		text += "\n\t" + misfit(c, &seen[i], regs, true)
	}
	h.violation("%s", text)
}
