package trial

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct"
	"github.com/bpfct/bpfct/btfvalue"
	"github.com/bpfct/bpfct/vm"
)

// Plan is what is to be run. Programs run one after the other, each on all
// packets; they share maps, namespace and clock.
type Plan struct {
	Spec *ebpf.CollectionSpec
	// Programs are the names of the programs in the order in which they run; nil
	// means all tc and xdp programs of the object, by name.
	Programs []string
	// Packets are what each program runs on, one after the other; nil means 64 zero
	// bytes.
	Packets []Packet
	// Context is the struct __sk_buff or xdp_md to start from, or its beginning.
	Context []byte
	// Repeat is how often a program runs on each packet; 0 means once.
	Repeat uint32
	// Maps is what maps hold at the start, by name, in addition to what the object
	// says.
	Maps map[string][]Item
	// SkipVerifier has bpfct run programs that the kernel would refuse; the sanitizer
	// then stops them when they do wrong.
	SkipVerifier bool
	// Netns are the ids by which the programs' namespace knows other ones, which
	// are made.
	Netns []int32
}

// Packet is one packet of a plan.
type Packet struct {
	// Data starts with the Ethernet header.
	Data []byte
	// Stamp is when it comes, as time since the first packet. Run advances the clock
	// to it; the kernel's clock is not ours to advance.
	Stamp time.Duration
	// Time is when it was captured, for a capture of the packets that pass; it may be
	// zero.
	Time time.Time
}

// Item is an element of a map in raw bytes. Value is empty where the map holds
// references (to programs, maps, devices), and PerCPU is set for per-CPU maps.
type Item struct {
	Key    []byte
	Value  []byte
	PerCPU [][]byte
}

// name is the element's key as its map's type has it.
func (it *Item) name(spec *ebpf.MapSpec) string {
	return Text(btfvalue.Decode(sized(spec.Key, spec.KeySize), it.Key))
}

// programs checks and completes the list of programs.
func (p *Plan) programs() ([]string, error) {
	if p.Spec == nil {
		return nil, errors.New("no object")
	}
	for _, name := range p.Programs {
		if p.Spec.Programs[name] == nil {
			var have []string
			for n := range p.Spec.Programs {
				have = append(have, n)
			}
			slices.Sort(have)
			return nil, fmt.Errorf("the object has no program %q, it has %v", name, have)
		}
	}
	if p.Programs != nil {
		return p.Programs, nil
	}
	var names []string
	for name, spec := range p.Spec.Programs {
		if runnable(spec) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil, errors.New("the object has no tc or xdp program that runs on packets")
	}
	slices.Sort(names)
	return names, nil
}

// runnable reports whether a program runs on packets of a test. XDP programs of a
// devmap or cpumap do not: their packets come from the map.
func runnable(spec *ebpf.ProgramSpec) bool {
	return vm.Runnable(spec.Type) && spec.AttachType != ebpf.AttachXDPDevMap && spec.AttachType != ebpf.AttachXDPCPUMap
}

// LeftOut are the programs of the object that a plan without names of programs
// does not run, with their sections: `trace (section "kprobe/tcp_connect")`.
func (p *Plan) LeftOut() []string {
	var out []string
	if p.Spec == nil || p.Programs != nil {
		return nil
	}
	for name, spec := range p.Spec.Programs {
		if !runnable(spec) {
			out = append(out, fmt.Sprintf("%s (section %q)", name, spec.SectionName))
		}
	}
	slices.Sort(out)
	return out
}

func (p *Plan) packets() []Packet {
	if p.Packets == nil {
		return []Packet{{}}
	}
	return p.Packets
}

// refMap reports whether a map holds references, whose values mean nothing
// outside the system they are from.
func refMap(t ebpf.MapType) bool {
	switch t {
	case ebpf.ProgramArray, ebpf.ArrayOfMaps, ebpf.HashOfMaps:
		return true
	}
	return false
}

// listed reports whether a map's elements can be listed by key, on the kernel, too.
func listed(t ebpf.MapType) bool {
	switch t {
	case ebpf.Queue, ebpf.Stack, ebpf.RingBuf, ebpf.UserRingbuf, ebpf.SkStorage, ebpf.Arena, ebpf.XSKMap, ebpf.PerfEventArray:
		return false
	}
	return t != bloomFilter
}

// bloomFilter is BPF_MAP_TYPE_BLOOM_FILTER, which cilium/ebpf does not name.
const bloomFilter = ebpf.MapType(30)

// section reports whether a map is a section of global variables, which a report
// shows as variables.
func section(spec *ebpf.MapSpec) bool {
	return len(spec.Name) > 0 && spec.Name[0] == '.'
}

// NewHost makes the host that Run needs for the plan.
func (p *Plan) NewHost(opts bpfct.HostOptions) (*bpfct.Host, error) {
	host, err := bpfct.NewHost(opts)
	if err != nil {
		return nil, err
	}
	for i, id := range p.Netns {
		if slices.Contains(p.Netns[:i], id) {
			return nil, fmt.Errorf("netns id %d is given twice", id)
		}
		peer := host.NewNetns(fmt.Sprintf("netns-%d", id))
		if err := host.Netns().SetID(id, peer); err != nil {
			return nil, err
		}
	}
	return host, nil
}
