package bpfct

import (
	"encoding/binary"
	"fmt"

	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct/netns"
	"github.com/bpfct/bpfct/vm"
	"github.com/bpfct/bpfct/vm/pkt"
)

// Program is a loaded program.
type Program struct {
	host *Host
	prog *vm.Program
	spec *ebpf.ProgramSpec
}

// Name is the name of the program's C function.
func (p *Program) Name() string { return p.prog.Name }

// Type is the program's type.
func (p *Program) Type() ebpf.ProgramType { return p.prog.Type }

// Spec is a copy of what the program was loaded from.
func (p *Program) Spec() *ebpf.ProgramSpec { return p.spec.Copy() }

// String names the program and its type.
func (p *Program) String() string { return fmt.Sprintf("program %s (%v)", p.Name(), p.Type()) }

// MinPacket is the shortest packet that a program runs on: an Ethernet header.
const MinPacket = 14

// RunOptions say what Run runs a program on. They mean what BPF_PROG_TEST_RUN makes
// of them.
type RunOptions struct {
	// Data is the packet from its Ethernet header on, at least MinPacket bytes; nil
	// means 64 zero bytes.
	Data []byte
	// Context is a struct __sk_buff or xdp_md, or the beginning of one: []byte, or
	// anything that encoding/binary can write. Optional.
	Context any
	// Repeat is how often the program runs on the same packet, changes of one run
	// being seen by the next; 0 means once.
	Repeat uint32
	// CPU is the virtual CPU to run on. AnyCPU takes one that is idle.
	CPU int
	// Netns is the namespace that the packet is in; nil means the host's first.
	Netns *Netns
	// Device is the device that the packet arrived at (or leaves by, with Egress):
	// the program then sees a packet of a running system and not one of
	// BPF_PROG_TEST_RUN, and Context must be nil. Optional.
	Device *netns.Device
	// Egress says that the packet leaves by Device.
	Egress bool
	// Flags are ebpf's BPF_F_TEST_* flags, of which
	// BPF_F_TEST_SKB_CHECKSUM_COMPLETE is known.
	Flags uint32
}

// AnyCPU makes a run take an idle CPU.
const AnyCPU = vm.AnyCPU

// testSkbChecksumComplete is BPF_F_TEST_SKB_CHECKSUM_COMPLETE.
const testSkbChecksumComplete = 1 << 2

// Result is what a run left.
type Result struct {
	// Return is the program's return value: a TC_ACT_* or XDP_* verdict.
	Return uint32
	// Data is the packet afterwards.
	Data []byte
	// Context is the struct __sk_buff or xdp_md afterwards.
	Context []byte
	// Trace has the lines of bpf_trace_printk and bpf_trace_vprintk.
	Trace []string
	// Insns is the number of instructions executed, over all repetitions.
	Insns uint64
	// Redirect is where the packet is to go, for the verdicts that redirect; nil for
	// none.
	Redirect *pkt.Redirect
	// Clones are the copies that bpf_clone_redirect sent.
	Clones []pkt.Clone
}

// Test runs the program on a packet, as cilium/ebpf's Program.Test.
func (p *Program) Test(in []byte) (uint32, []byte, error) {
	res, err := p.Run(&RunOptions{Data: in})
	if err != nil {
		return 0, nil, err
	}
	return res.Return, res.Data, nil
}

// runContext is what the two forms of a packet have in common.
type runContext interface {
	vm.Context
	Frame() []byte
	CtxOut() []byte
	Redirect() *pkt.Redirect
	Release()
}

// clones are the copies that a program sent of ctx.
func clones(ctx runContext) []pkt.Clone {
	if skb, ok := ctx.(*pkt.Skb); ok {
		return skb.Clones()
	}
	return nil
}

// Run executes the program on a packet. When the sanitizer stops it the error is a
// *vm.Fault, whose %+v tells the whole story, and the Result holds what had
// happened until then.
func (p *Program) Run(opts *RunOptions) (*Result, error) {
	if opts == nil {
		opts = &RunOptions{}
	}
	ctx, err := p.context(opts)
	if err != nil {
		return nil, fmt.Errorf("run %s: %w", p.Name(), err)
	}
	defer ctx.Release()
	out := &Result{}
	for range max(opts.Repeat, 1) {
		res, err := p.host.machine.Run(p.prog, vm.RunOptions{CPU: opts.CPU, Ctx: ctx})
		out.Return = uint32(res.R0)
		out.Trace = append(out.Trace, res.Trace...)
		out.Insns += res.Insns
		if err != nil {
			out.Data, out.Context, out.Clones = ctx.Frame(), ctx.CtxOut(), clones(ctx)
			return out, fmt.Errorf("run %s: %w", p.Name(), err)
		}
	}
	out.Data, out.Context = ctx.Frame(), ctx.CtxOut()
	out.Redirect, out.Clones = ctx.Redirect(), clones(ctx)
	return out, nil
}

func (p *Program) context(opts *RunOptions) (runContext, error) {
	data := opts.Data
	if data == nil {
		data = make([]byte, 64)
	}
	raw, err := rawContext(opts.Context)
	if err != nil {
		return nil, err
	}
	ns := opts.Netns
	if ns == nil {
		ns = p.host.init
	}
	if ns.host != p.host {
		return nil, fmt.Errorf("the namespace %s is of another host", ns.Name)
	}
	if p.Type() == ebpf.XDP {
		spec := pkt.XDPSpec{Data: data, Ctx: raw, AttachType: p.prog.AttachType}
		if opts.Device != nil {
			spec.Device = opts.Device
		}
		return pkt.NewXDP(p.host.machine, ns.Netns, spec)
	}
	return pkt.NewSkb(p.host.machine, ns.Netns, pkt.SkbSpec{
		Data: data, ProgType: p.Type(), Ctx: raw, Device: opts.Device, Ingress: opts.Device != nil && !opts.Egress,
		ChecksumComplete: opts.Flags&testSkbChecksumComplete != 0,
	})
}

func rawContext(ctx any) ([]byte, error) {
	switch v := ctx.(type) {
	case nil:
		return nil, nil
	case []byte:
		return v, nil
	}
	b, err := binary.Append(nil, binary.LittleEndian, ctx)
	if err != nil {
		return nil, fmt.Errorf("context: %w", err)
	}
	return b, nil
}
