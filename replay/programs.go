package replay

import (
	"fmt"
	gomaps "maps"
	"slices"
	"strings"

	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct"
	"github.com/bpfct/bpfct/packet"
	"github.com/bpfct/bpfct/trial"
)

// Hook is where programs are attached.
type Hook uint8

// The hooks. Both are before connection tracking.
const (
	HookTC  Hook = iota // ingress of tcx
	HookXDP             // on the device, one program behind the other
)

// ParseHook reads "tc" or "xdp".
func ParseHook(s string) (Hook, error) {
	switch s {
	case "tc":
		return HookTC, nil
	case "xdp":
		return HookXDP, nil
	}
	return 0, fmt.Errorf("hook %q: there are tc and xdp", s)
}

// programType is the type of programs for the hook.
func (h Hook) programType() ebpf.ProgramType {
	if h == HookXDP {
		return ebpf.XDP
	}
	return ebpf.SchedCLS
}

// Return is what a program returned.
type Return struct {
	Program string
	Type    ebpf.ProgramType
	Value   uint32
	Trace   []string
	// Err is why it was stopped, a *vm.Fault, or could not run on this packet.
	Err error
}

// Verdict is the value and its name: "0 (TC_ACT_OK)".
func (r *Return) Verdict() string { return trial.Verdict(r.Type, r.Value) }

// load prepares the programs.
func (p *Player) load() error {
	want := p.opts.Hook.programType()
	names := p.opts.Programs
	if names == nil {
		for _, name := range slices.Sorted(gomaps.Keys(p.opts.Spec.Programs)) {
			if p.opts.Spec.Programs[name].Type == want {
				names = append(names, name)
			}
		}
		if names == nil {
			return fmt.Errorf("the object has no program for the hook %s", trial.TypeName(want))
		}
	}
	for _, name := range names {
		s := p.opts.Spec.Programs[name]
		if s == nil {
			return fmt.Errorf("the object has no program %s; it has %s", name, strings.Join(slices.Sorted(gomaps.Keys(p.opts.Spec.Programs)), ", "))
		}
		if s.Type != want {
			return fmt.Errorf("program %s is of type %s and cannot be attached to the hook %s", name, trial.TypeName(s.Type), trial.TypeName(want))
		}
	}
	coll, err := p.host.LoadCollection(p.opts.Spec, bpfct.CollectionOptions{Programs: names, SkipVerifier: p.opts.SkipVerifier})
	if err != nil {
		return err
	}
	for _, name := range names {
		p.progs = append(p.progs, coll.Programs[name])
	}
	return nil
}

// Verdicts that decide whether a packet goes on.
const (
	tcUnspec   = ^uint32(0)
	tcRedirect = 7
	tcTrap     = 8
	xdpPass    = 2
)

// runPrograms sends a frame through the programs. It is false where it does not get
// to the tracker, which r says.
func (p *Player) runPrograms(r *Record, frame []byte, link packet.LinkType) ([]byte, packet.LinkType, bool) {
	eth, err := packet.ToEthernet(frame, link)
	if err == nil && len(eth) < bpfct.MinPacket {
		err = fmt.Errorf("%d bytes are no Ethernet frame", len(eth))
	}
	if err != nil {
		r.Fault, r.Fate = err, Dropped
		return nil, 0, false
	}
	frame, link = eth, packet.LinkEthernet
	for _, prog := range p.progs {
		res, err := prog.Run(&bpfct.RunOptions{Data: frame})
		ret := Return{Program: prog.Name(), Type: prog.Type(), Err: err}
		if res != nil {
			ret.Value, ret.Trace = res.Return, res.Trace
		}
		r.Returns = append(r.Returns, ret)
		if err != nil {
			r.Fate = Dropped
			return nil, 0, false
		}
		frame = res.Data
		done, fate := ends(ret.Type, ret.Value)
		if fate != Forwarded {
			if r.Fate = fate; fate == Redirected {
				p.leave(r, link, frame)
			}
			return nil, 0, false
		}
		if done {
			break
		}
	}
	return frame, link, true
}

// ends says whether the program that returned v is the last that sees the packet, and
// what becomes of the packet.
func ends(t ebpf.ProgramType, v uint32) (done bool, fate Fate) {
	if t == ebpf.XDP {
		switch {
		case v == xdpPass:
			return false, Forwarded
		case trial.Dropped(t, v):
			return true, Dropped
		}
		return true, Redirected // XDP_TX, XDP_REDIRECT
	}
	switch {
	case v == tcUnspec:
		return false, Forwarded
	case trial.Dropped(t, v) || v == tcTrap:
		return true, Dropped
	case v == tcRedirect:
		return true, Redirected
	}
	return true, Forwarded
}
