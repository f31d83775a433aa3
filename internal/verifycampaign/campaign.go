package main

import (
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/bpfct/bpfct/internal/verdict"
	"github.com/bpfct/bpfct/kernel"
	"github.com/bpfct/bpfct/link"
	"github.com/bpfct/bpfct/live"
	"github.com/bpfct/bpfct/verifier"
	"github.com/bpfct/bpfct/verify"
)

// mutant is a program with edits.
type mutant struct {
	Object  string `json:"object"`
	Program string `json:"program"`
	Edits   []edit `json:"edits"`

	// What was found, for the reader.
	Agreement verdict.Agreement `json:"agreement,omitempty"`
	Line      string            `json:"line,omitempty"`
	Kernel    string            `json:"kernel,omitempty"`
}

// campaign is one run.
type campaign struct {
	rounds, edits, longest int
	seed                   uint64
	shrink, verbose        bool

	ns    *live.Netns
	log   io.Writer
	found func(any) error // takes what differs; nil for nobody

	counts   map[verdict.Agreement]int
	lines    map[string]int // what the kernel said, numbers left out; nil to not count
	accepted int
}

// perLoad is how many mutants are loaded with one set of maps.
const perLoad = 200

// maxStates bounds the memory of one verification.
const maxStates = 1 << 30

var digits = regexp.MustCompile(`\d+`)

// object makes mutants of the programs of an object and compares.
func (c *campaign) object(file string) error {
	if c.counts == nil {
		c.counts = make(map[verdict.Agreement]int)
	}
	spec, err := link.LoadFile(file)
	if err != nil {
		fmt.Fprintf(c.log, "%s: %v\n", file, err)
		return nil
	}
	var batch []mutant
	for round := range c.rounds {
		for k, name := range slices.Sorted(maps.Keys(spec.Programs)) {
			p := spec.Programs[name]
			if !verify.Verifiable(p.Type) || len(p.Instructions) > c.longest {
				continue
			}
			rng := rand.New(rand.NewPCG(c.seed+uint64(round), uint64(k)))
			insns := slices.Clone(p.Instructions)
			m := mutant{Object: file, Program: name}
			for range 1 + rng.IntN(c.edits) {
				if e, ok := randomEdit(rng, insns); ok && e.apply(insns) == nil {
					m.Edits = append(m.Edits, e)
				}
			}
			if batch = append(batch, m); len(batch) == perLoad {
				if err := c.batch(spec, batch); err != nil {
					return err
				}
				batch = batch[:0]
			}
		}
	}
	return c.batch(spec, batch)
}

// batch compares mutants of one object.
func (c *campaign) batch(spec *ebpf.CollectionSpec, batch []mutant) error {
	own, said, err := c.ask(spec, batch)
	if err != nil {
		return err
	}
	for i := range batch {
		m := &batch[i]
		if own[i].Kind == "" {
			continue // no loader would take it to a kernel
		}
		m.note(own[i], said[i])
		c.counts[m.Agreement]++
		if c.lines != nil {
			c.lines[digits.ReplaceAllString(m.Kernel, "N")]++
		}
		if said[i].Kind == verdict.Accepted {
			c.accepted++
		}
		if m.Agreement == verdict.Agree || m.Agreement == verdict.BothRefuse {
			continue
		}
		if c.shrink {
			if err := c.shrinkMutant(spec, m); err != nil {
				return err
			}
		}
		if c.verbose {
			fmt.Fprintf(c.log, "%s: %s %s %v\n    kernel: %s\n    bpfct:  %s\n", m.Agreement, m.Object, m.Program, m.Edits, m.Kernel, m.Line)
		}
		if c.found != nil {
			if err := c.found(m); err != nil {
				return err
			}
		}
	}
	return nil
}

// note fills in what was found.
func (m *mutant) note(own, said verdict.Verdict) {
	m.Agreement = verdict.Compare(own, said)
	m.Line, m.Kernel = oneLine(own), oneLine(said)
}

func oneLine(v verdict.Verdict) string {
	return strings.TrimSpace(fmt.Sprintf("%s %s %s", v.Kind, v.Errno, v.Line))
}

// ask gives both verdicts on mutants of one object.
func (c *campaign) ask(spec *ebpf.CollectionSpec, batch []mutant) (own, said []verdict.Verdict, err error) {
	own, said = make([]verdict.Verdict, len(batch)), make([]verdict.Verdict, len(batch))
	if len(batch) == 0 {
		return own, said, nil
	}
	// The mutants stand beside the originals, which bring the types that a loader of
	// the whole object would load.
	s := spec.Copy()
	var names []string
	at := make(map[string]int)
	for i, m := range batch {
		p := s.Programs[m.Program].Copy()
		p.Name = fmt.Sprintf("%s_mutant%d", m.Program, i)
		if err := applyAll(p.Instructions, m.Edits); err != nil {
			return nil, nil, err
		}
		s.Programs[p.Name] = p
		names = append(names, p.Name)
		at[p.Name] = i
	}
	for i, name := range names {
		v := verdict.Own(s, kernel.Default(), name, verifier.Options{Log: verifier.LogPath, MaxStateBytes: maxStates})
		if v.Kind == verdict.Unloadable {
			delete(s.Programs, name) // no loader gives it to a kernel
			continue
		}
		own[i] = v
	}
	names = slices.DeleteFunc(names, func(n string) bool { return s.Programs[n] == nil })
	verdicts, err := verdict.Kernel(c.ns, s, names)
	if err != nil {
		return nil, nil, err
	}
	for _, name := range names {
		said[at[name]] = verdicts[name]
	}
	return own, said, nil
}

func applyAll(insns asm.Instructions, edits []edit) error {
	for _, e := range edits {
		if err := e.apply(insns); err != nil {
			return err
		}
	}
	return nil
}

// shrinkMutant takes edits and instructions away as long as the two still disagree in
// the same way.
func (c *campaign) shrinkMutant(spec *ebpf.CollectionSpec, m *mutant) error {
	want := m.Agreement
	same := func(edits []edit) (bool, error) {
		if applyAll(slices.Clone(spec.Programs[m.Program].Instructions), edits) != nil {
			return false, nil
		}
		try := []mutant{{Object: m.Object, Program: m.Program, Edits: edits}}
		own, said, err := c.ask(spec, try)
		if err != nil || own[0].Kind == "" {
			return false, err
		}
		try[0].note(own[0], said[0])
		if try[0].Agreement != want {
			return false, nil
		}
		*m = try[0]
		return true, nil
	}
	for i := 0; len(m.Edits) > 1 && i < len(m.Edits); {
		ok, err := same(slices.Delete(slices.Clone(m.Edits), i, i+1))
		if err != nil {
			return err
		}
		if !ok {
			i++
		}
	}
	n := len(spec.Programs[m.Program].Instructions)
	if n > 200 {
		return nil
	}
	for i := n - 1; i >= 0; i-- {
		if _, err := same(append(slices.Clone(m.Edits), edit{At: i, Kind: drop})); err != nil {
			return err
		}
	}
	return nil
}
