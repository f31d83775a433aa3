package trial

import (
	"bytes"
	"fmt"
	"maps"
	"slices"

	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct"
	"github.com/bpfct/bpfct/conntrack"
)

// Run carries the plan out on host, which NewHost made or the caller prepared. A
// program that the sanitizer stops is part of the report, not an error.
func (p *Plan) Run(host *bpfct.Host) (*Report, error) {
	names, err := p.programs()
	if err != nil {
		return nil, err
	}
	coll, err := host.LoadCollection(p.Spec, bpfct.CollectionOptions{Programs: names, SkipVerifier: p.SkipVerifier})
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
				return nil, fmt.Errorf("element %s: %w", it.name(p.Spec.Maps[name]), err)
			}
		}
	}
	out := &Report{Entries: []Entry{}}
	start := host.Clock().Uptime()
	for _, name := range names {
		prog := coll.Programs[name]
		pr := Program{Program: name, Type: prog.Type()}
		for _, packet := range p.packets() {
			host.Clock().AdvanceTo(start + packet.Stamp)
			res, err := prog.Run(&bpfct.RunOptions{Data: packet.Data, Repeat: p.Repeat, Context: p.context()})
			if res == nil {
				return out, err
			}
			run := Run{Retval: res.Return, Packet: res.Data, Trace: res.Trace, In: packet.Data, Time: packet.Time}
			if res.Redirect != nil {
				run.Redirect = int(res.Redirect.Ifindex)
			}
			if err != nil {
				run.Fault, run.Err = err.Error(), err
			}
			pr.Runs = append(pr.Runs, run)
		}
		for _, v := range slices.Sorted(maps.Keys(coll.Variables)) {
			if variable := coll.Variables[v]; !variable.ReadOnly() {
				b, err := variable.Bytes()
				if err != nil {
					return out, err
				}
				pr.Variables = append(pr.Variables, newVariable(p.Spec.Variables[v], b))
			}
		}
		out.Programs = append(out.Programs, pr)
	}
	for _, name := range slices.Sorted(maps.Keys(coll.Maps)) {
		m := coll.Maps[name]
		spec := p.Spec.Maps[name]
		if spec == nil || section(spec) || !listed(m.Type()) {
			continue
		}
		rm := Map{Name: name, Type: m.Type(), Key: spec.Key, Value: spec.Value}
		if err := rm.list(m, host.CPUs()); err != nil {
			return out, err
		}
		out.Maps = append(out.Maps, rm)
	}
	for s := range host.Netns().Conntrack().Snapshots() {
		out.Entries = append(out.Entries, newEntry(&s, nil))
	}
	for _, id := range p.Netns {
		for s := range host.Netns().ByID(id).Conntrack.Snapshots() {
			out.Entries = append(out.Entries, newEntry(&s, &id))
		}
	}
	return out, host.TimerErrors()
}

func (p *Plan) context() any {
	if p.Context == nil {
		return nil
	}
	return p.Context
}

// raw is an item's value as maps of both systems take it.
func raw(it Item) any {
	if it.PerCPU != nil {
		return it.PerCPU
	}
	return it.Value
}

func newVariable(spec *ebpf.VariableSpec, b []byte) Variable {
	v := Variable{Name: spec.Name, Bytes: b}
	if spec.Type != nil {
		v.Type = spec.Type.Type
	}
	return v
}

func perCPU(t ebpf.MapType) bool {
	return t == ebpf.PerCPUArray || t == ebpf.PerCPUHash || t == ebpf.LRUCPUHash
}

func newItem(t ebpf.MapType, key, value []byte, size, cpus int) Item {
	it := Item{Key: bytes.Clone(key)}
	switch {
	case refMap(t):
	case perCPU(t):
		stride := (size + 7) &^ 7
		for i := range cpus {
			it.PerCPU = append(it.PerCPU, bytes.Clone(value[i*stride:i*stride+size]))
		}
	default:
		it.Value = bytes.Clone(value)
	}
	return it
}

func newEntry(s *conntrack.Snapshot, netns *int32) Entry {
	e := Entry{
		Netns: netns,
		Proto: s.Tuples[0].Proto, Family: s.Tuples[0].Family.String(),
		Orig: newTuple(&s.Tuples[conntrack.Original]), Reply: newTuple(&s.Tuples[conntrack.Reply]),
		Timeout: s.Seconds(), Mark: s.Mark, Use: s.Use, Status: statusNames(s.Status),
		Text: string(s.Append(nil, conntrack.DumpOptions{Extended: true})),
	}
	if s.Zone.ID != 0 {
		e.Zone, e.ZoneDir = s.Zone.ID, uint8(s.Zone.Dir)
	}
	return e
}

func newTuple(t *conntrack.Tuple) Tuple {
	return Tuple{
		Src: t.SrcAddrPort().Addr().String(), Dst: t.DstAddrPort().Addr().String(),
		Sport: t.SrcPort, Dport: t.DstPort,
	}
}

// statusNames splits a status word into the names of its bits.
func statusNames(s conntrack.Status) []string {
	out := []string{}
	for bit := range 32 {
		if b := conntrack.Status(1) << bit; s&b != 0 {
			out = append(out, b.String())
		}
	}
	return out
}
