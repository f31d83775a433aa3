// Package judge runs one program on the machine and on the kernel, for tests
// that claim that both do the same.
//
// A program that is judged takes its input from, and leaves its output in, the
// only value of its map "io". Start at Load and Pair.Compare.
package judge

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct"
	"github.com/bpfct/bpfct/internal/testkernel"
	"github.com/bpfct/bpfct/live"
)

// Pair is an object loaded on both sides.
type Pair struct {
	Host    *bpfct.Host
	Machine *bpfct.Collection

	kernel *live.Host
	Kernel *live.Collection // nil where the kernel cannot be asked
}

// Outcome is what a run left.
type Outcome struct {
	Ret  uint32
	IO   []byte // the value of the map io
	Data []byte // the packet
}

// Options change how Load loads. The zero value loads the whole object.
type Options struct {
	Host bpfct.HostOptions
	// Edit, where set, changes the spec before it is loaded.
	Edit func(spec *ebpf.CollectionSpec)
	// MachineOnly leaves the kernel out. The program then may be one that no verifier
	// lets pass.
	MachineOnly bool
	// Programs are the programs to load, nil for all.
	Programs []string
}

// Load loads the object file on both sides; tb is skipped, or fails, where the
// kernel cannot be asked.
func Load(tb testing.TB, file string, opts Options) *Pair {
	tb.Helper()
	if !opts.MachineOnly {
		testkernel.Require(tb)
	}
	spec, err := bpfct.LoadCollectionSpec(file)
	if err != nil {
		tb.Fatal(err)
	}
	if opts.Edit != nil {
		opts.Edit(spec)
	}
	p := new(Pair)
	if p.Host, err = bpfct.NewHost(opts.Host); err != nil {
		tb.Fatal(err)
	}
	if p.Machine, err = p.Host.LoadCollection(spec, bpfct.CollectionOptions{Programs: opts.Programs, SkipVerifier: opts.MachineOnly}); err != nil {
		tb.Fatal(err)
	}
	if opts.MachineOnly {
		return p
	}
	if p.kernel, err = live.NewHost(live.Options{}); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { p.kernel.Close() })
	if p.Kernel, err = p.kernel.LoadCollection(spec, &live.CollectionOptions{Programs: opts.Programs}); err != nil {
		var ve *ebpf.VerifierError
		if errors.As(err, &ve) {
			tb.Fatalf("%+v", ve)
		}
		tb.Fatal(err)
	}
	return p
}

const ioMap = "io"

// RunMachine runs the program with the given input, which may be shorter than
// the map's value, on the packet; nil is 64 zero bytes.
func (p *Pair) RunMachine(program string, in, packet []byte) (Outcome, error) {
	m := p.Machine.Maps[ioMap]
	value := make([]byte, m.ValueSize())
	copy(value, in)
	if err := m.Put(uint32(0), value); err != nil {
		return Outcome{}, err
	}
	prog := p.Machine.Programs[program]
	if prog == nil {
		return Outcome{}, fmt.Errorf("no program %s", program)
	}
	if packet == nil {
		packet = make([]byte, 64)
	}
	res, err := prog.Run(&bpfct.RunOptions{Data: packet})
	if err != nil {
		return Outcome{}, err
	}
	if err := m.Lookup(uint32(0), &value); err != nil {
		return Outcome{}, err
	}
	return Outcome{Ret: res.Return, IO: value, Data: res.Data}, nil
}

// RunKernel is RunMachine on the kernel.
func (p *Pair) RunKernel(program string, in, packet []byte) (Outcome, error) {
	m := p.Kernel.Maps[ioMap]
	value := make([]byte, m.ValueSize())
	copy(value, in)
	if err := m.Put(uint32(0), value); err != nil {
		return Outcome{}, err
	}
	prog := p.Kernel.Programs[program]
	if prog == nil {
		return Outcome{}, fmt.Errorf("no program %s", program)
	}
	res, err := p.kernel.Run(prog, live.RunOptions{Data: packet})
	if err != nil {
		return Outcome{}, err
	}
	if err := m.Lookup(uint32(0), &value); err != nil {
		return Outcome{}, err
	}
	return Outcome{Ret: res.Ret, IO: value, Data: res.Data}, nil
}

// Fataler is what Compare needs of a testing.TB or rapid.T.
type Fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

// Compare runs the program on both sides and fails t where they differ. It
// returns what both did.
func (p *Pair) Compare(t Fataler, program string, in, packet []byte) Outcome {
	t.Helper()
	want, err := p.RunKernel(program, in, packet)
	if err != nil {
		t.Fatalf("kernel: %v", err)
	}
	got, err := p.RunMachine(program, in, packet)
	if err != nil {
		t.Fatalf("machine: %+v", err)
	}
	if got.Ret != want.Ret {
		t.Fatalf("%s returned %d, on the kernel %d", program, int32(got.Ret), int32(want.Ret))
	}
	if i := firstDifference(got.IO, want.IO); i >= 0 {
		t.Fatalf("%s (returned %d) left other output from byte %d on: % x, on the kernel % x", program, int32(want.Ret), i, part(got.IO, i), part(want.IO, i))
	}
	if i := firstDifference(got.Data, want.Data); i >= 0 {
		t.Fatalf("%s (returned %d) left another packet from byte %d on: % x, on the kernel % x", program, int32(want.Ret), i, part(got.Data, i), part(want.Data, i))
	}
	return want
}

func firstDifference(a, b []byte) int {
	if bytes.Equal(a, b) {
		return -1
	}
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

func part(b []byte, i int) []byte { return b[i:min(len(b), i+24)] }

// Close gives back what both sides hold. Tests that load few objects may leave
// that to the end of the test.
func (p *Pair) Close() {
	p.Machine.Close()
	if p.kernel != nil {
		p.kernel.Close()
	}
}
