package bpfct

import (
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct/clock"
	"github.com/bpfct/bpfct/conntrack"
	"github.com/bpfct/bpfct/kernel"
	"github.com/bpfct/bpfct/link"
	"github.com/bpfct/bpfct/netns"
	"github.com/bpfct/bpfct/vm"
	"github.com/bpfct/bpfct/vm/base"
	"github.com/bpfct/bpfct/vm/ctkfunc"
	"github.com/bpfct/bpfct/vm/dynptr"
	"github.com/bpfct/bpfct/vm/interp"
	"github.com/bpfct/bpfct/vm/maps"
	"github.com/bpfct/bpfct/vm/objects"
	"github.com/bpfct/bpfct/vm/pkt"
)

// Clock is the virtual time of a Host.
type Clock = clock.Clock

// ClockOptions say where a Clock starts.
type ClockOptions = clock.Options

// HostOptions configure a Host. The zero value is a machine with one CPU and the
// newest measured kernel.
type HostOptions struct {
	// Profile names the kernel; "" is the newest measured one. See `bpfct profiles`.
	Profile string
	// CPUs is the number of virtual CPUs; 0 means 1. Per-CPU maps have a value for
	// each, and as many programs may run at once.
	CPUs int
	// Seed starts all randomness: ports that NAT picks, bpf_get_prandom_u32, hash
	// seeds.
	Seed uint64
	// Clock says where time starts; its HZ is the profile's where it is 0.
	Clock ClockOptions
	// MemoryLimit bounds guest memory in bytes; 0 means vm.DefaultMemoryLimit.
	MemoryLimit uint64
	// MaxInsns bounds the instructions of one run; 0 means vm.DefaultMaxInsns.
	MaxInsns uint64
	// ConntrackMax and ConntrackBuckets are nf_conntrack_max and
	// nf_conntrack_buckets of each namespace; 0 means 262144.
	ConntrackMax, ConntrackBuckets uint32
	// Observe, where set, is called before each instruction that a program executes,
	// which makes programs slow: for tools.
	Observe vm.Observer
}

// Host is a machine with a kernel: CPUs, memory, a clock, network namespaces,
// maps and programs. Its methods may be called from several goroutines.
type Host struct {
	opts    HostOptions
	profile *kernel.Profile
	clock   *clock.Clock
	machine *vm.Machine
	init    *Netns
	mapIDs  atomic.Uint32

	mu          sync.Mutex
	namespaces  []*Netns // guarded by mu
	timerErrors []error  // guarded by mu
}

// NewHost returns a host with one network namespace.
func NewHost(opts HostOptions) (*Host, error) {
	profile := kernel.Default()
	if opts.Profile != "" || profile == nil {
		p, err := kernel.Lookup(opts.Profile)
		if err != nil {
			return nil, err
		}
		profile = p
	}
	if opts.CPUs < 0 || opts.CPUs > maxCPUs {
		return nil, fmt.Errorf("a host of %d CPUs: 1 to %d are possible", opts.CPUs, maxCPUs)
	}
	if opts.Clock.HZ == 0 {
		opts.Clock.HZ = profile.HZ
	}
	h := &Host{opts: opts, profile: profile, clock: clock.New(opts.Clock)}
	registry, err := newRegistry(profile)
	if err != nil {
		return nil, err
	}
	h.machine = vm.New(vm.Config{
		Profile: profile, Clock: h.clock, Engine: interp.Engine{Observe: opts.Observe}, Registry: registry,
		CPUs: opts.CPUs, Seed: opts.Seed, MemoryLimit: opts.MemoryLimit, MaxInsns: opts.MaxInsns,
	})
	h.init = h.NewNetns("init")
	return h, nil
}

// maxCPUs bounds what per-CPU maps can cost.
const maxCPUs = 1024

// newRegistry has every helper and kfunc that bpfct runs.
func newRegistry(profile *kernel.Profile) (*vm.Registry, error) {
	r := new(vm.Registry)
	base.Register(r)
	maps.Register(r)
	objects.Register(r)
	dynptr.Register(r)
	pkt.Register(r)
	if err := ctkfunc.Register(r, profile); err != nil {
		return nil, err
	}
	return r, nil
}

// Functions are the names of all helpers and kfuncs that hosts of the given
// profile run, sorted.
func Functions(profile *kernel.Profile) ([]string, error) {
	r, err := newRegistry(profile)
	if err != nil {
		return nil, err
	}
	names := append(r.Names(), vm.TailCall)
	slices.Sort(names)
	return names, nil
}

// Clock is the host's time; it stands still until advanced.
func (h *Host) Clock() *Clock { return h.clock }

// Profile is the kernel that the host has.
func (h *Host) Profile() *kernel.Profile { return h.profile }

// Machine is the virtual machine underneath, for tools.
func (h *Host) Machine() *vm.Machine { return h.machine }

// CPUs is the number of virtual CPUs.
func (h *Host) CPUs() int { return h.machine.CPUs }

// Netns is the namespace that programs run in unless told otherwise.
func (h *Host) Netns() *Netns { return h.init }

// NewNetns makes a network namespace with a loopback device.
func (h *Host) NewNetns(name string) *Netns {
	h.mu.Lock()
	defer h.mu.Unlock()
	cookie := uint64(len(h.namespaces) + 1)
	ns := netns.New(name, cookie)
	ns.Conntrack = conntrack.New(conntrack.Options{
		Clock: h.clock, HZ: h.clock.HZ(), Seed: h.opts.Seed ^ cookie<<32, NetID: cookie,
		Max: h.opts.ConntrackMax, Buckets: h.opts.ConntrackBuckets,
	})
	out := &Netns{Netns: ns, host: h}
	h.namespaces = append(h.namespaces, out)
	return out
}

// Netns is a network namespace: devices, addresses, routes, neighbours, sockets,
// and connections.
type Netns struct {
	*netns.Netns
	host *Host
}

// Conntrack is the namespace's connection tracking table.
func (n *Netns) Conntrack() *conntrack.Table { return n.Netns.Conntrack }

// SetID gives peer the id that programs in n know it by: opts.netns_id.
func (n *Netns) SetID(id int32, peer *Netns) error {
	if peer.host != n.host {
		return fmt.Errorf("netns id %d: the namespace %s is of another host", id, peer.Name)
	}
	if id < 0 {
		return fmt.Errorf("netns id %d: ids start at 0", id)
	}
	n.Netns.SetID(id, peer.Netns)
	return nil
}

// LoadCollectionSpec reads a compiled object from a file. Bad input of any kind is
// an error that names the file and the place.
func LoadCollectionSpec(file string) (*ebpf.CollectionSpec, error) { return link.LoadFile(file) }

// LoadCollectionSpecFromReader reads a compiled object.
func LoadCollectionSpecFromReader(r io.ReaderAt) (*ebpf.CollectionSpec, error) {
	return link.LoadSpec(r)
}
