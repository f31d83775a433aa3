package trial

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct/conntrack"
	"github.com/bpfct/bpfct/live"
)

// RunKernel carries the plan out on the running kernel, in a network namespace
// that is gone afterwards. The error is a *live.MissingError where this process
// cannot do that, and names the program and ends with the verifier's words where
// the kernel refuses one.
func (p *Plan) RunKernel() (*Report, error) {
	names, err := p.programs()
	if err != nil {
		return nil, err
	}
	if err := live.Available(); err != nil {
		return nil, err
	}
	var opts live.Options
	for _, id := range p.Netns {
		opts.Namespaces = append(opts.Namespaces, live.NamespaceOptions{Name: fmt.Sprintf("netns-%d", id), ID: int(id)})
	}
	host, err := live.NewHost(opts)
	if err != nil {
		return nil, err
	}
	defer host.Close()
	ns := host.Namespace("")
	coll, err := ns.LoadCollection(p.Spec, &live.CollectionOptions{Programs: names})
	if err != nil {
		return nil, err
	}
	defer coll.Close()
	for name, items := range p.Maps {
		m := coll.Maps[name]
		if m == nil {
			return nil, fmt.Errorf("map %s: none of the programs has one of that name", name)
		}
		for _, it := range items {
			if err := m.Put(it.Key, raw(it)); err != nil {
				return nil, fmt.Errorf("element %s: map %s: %w", it.name(p.Spec.Maps[name]), name, err)
			}
		}
	}
	out := &Report{Entries: []Entry{}}
	start := time.Now()
	for _, name := range names {
		prog := coll.Programs[name]
		pr := Program{Program: name, Type: prog.Type()}
		for _, packet := range p.packets() {
			// On one CPU, so that per-CPU values are where bpfct's are.
			res, err := ns.Run(prog, live.RunOptions{
				Data: packet.Data, Ctx: p.Context, Repeat: p.Repeat, Flags: live.FlagRunOnCPU,
			})
			if err != nil {
				return out, fmt.Errorf("run %s on the kernel: %w", name, err)
			}
			pr.Runs = append(pr.Runs, Run{Retval: res.Ret, Packet: res.Data, In: packet.Data})
		}
		for _, v := range slices.Sorted(maps.Keys(coll.Variables)) {
			spec := p.Spec.Variables[v]
			if spec == nil || spec.Constant() {
				continue
			}
			b, err := coll.Variable(v)
			if err != nil {
				return out, err
			}
			pr.Variables = append(pr.Variables, newVariable(spec, b))
		}
		out.Programs = append(out.Programs, pr)
	}
	for _, name := range slices.Sorted(maps.Keys(coll.Maps)) {
		m, spec := coll.Maps[name], p.Spec.Maps[name]
		if spec == nil || section(spec) || !listed(m.Type()) {
			continue
		}
		rm := Map{Name: name, Type: m.Type(), Key: spec.Key, Value: spec.Value}
		if err := rm.listKernel(m); err != nil {
			return out, err
		}
		out.Maps = append(out.Maps, rm)
	}
	if err := out.addEntries(ns, nil); err != nil {
		return out, err
	}
	for i, id := range p.Netns {
		if err := out.addEntries(host.Namespace(opts.Namespaces[i].Name), &id); err != nil {
			return out, err
		}
	}
	out.took = time.Since(start)
	return out, nil
}

// addEntries adds the connections of a namespace.
func (r *Report) addEntries(ns *live.Netns, id *int32) error {
	entries, err := ns.Entries()
	for i := range entries {
		r.Entries = append(r.Entries, kernelEntry(&entries[i], id))
	}
	return err
}

// kernelEntry brings an entry of the kernel's dump into the report's form, by the
// tracker's own types, so that both sides are printed by one piece of code.
func kernelEntry(e *live.Entry, netns *int32) Entry {
	s := conntrack.Snapshot{
		Tuples: [2]conntrack.Tuple{kernelTuple(&e.Orig), kernelTuple(&e.Reply)},
		Status: conntrack.Status(e.Status), Mark: e.Mark, HZ: 1, Expires: e.Timeout, Use: int(e.Use),
	}
	switch {
	case e.Zone != 0:
		s.Zone = conntrack.Zone{ID: e.Zone, Dir: conntrack.ZoneDirDefault}
	case e.Orig.Zone != 0:
		s.Zone = conntrack.Zone{ID: e.Orig.Zone, Dir: conntrack.ZoneDirOrig}
	case e.Reply.Zone != 0:
		s.Zone = conntrack.Zone{ID: e.Reply.Zone, Dir: conntrack.ZoneDirReply}
	}
	return newEntry(&s, netns)
}

func kernelTuple(t *live.Tuple) conntrack.Tuple {
	return conntrack.TupleFrom(t.Proto, netip.AddrPortFrom(t.Src, t.SrcPort), netip.AddrPortFrom(t.Dst, t.DstPort))
}

// TypeName is how a report names a program type: as sections of C do.
func TypeName(t ebpf.ProgramType) string {
	switch t {
	case ebpf.SchedCLS:
		return "tc"
	case ebpf.SchedACT:
		return "tc action"
	}
	return strings.ToLower(t.String())
}
