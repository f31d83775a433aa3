package live

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// ErrNotSupported is what every function of this package answers on a machine
// that cannot do the work: another operating system, no root, no BTF.
var ErrNotSupported = errors.New("not supported")

// ErrClosed is returned by the methods of a Host after its Close.
var ErrClosed = errors.New("the live host is closed")

// MissingError lists what keeps this process from running programs on the
// kernel. errors.Is(err, ErrNotSupported) holds.
type MissingError struct {
	// Missing has one phrase a thing, as "CAP_BPF".
	Missing []string
}

// Error names everything that is missing.
func (e *MissingError) Error() string {
	return "cannot run programs on this kernel: " + strings.Join(e.Missing, "; ")
}

// Is makes a MissingError match ErrNotSupported.
func (e *MissingError) Is(target error) bool { return target == ErrNotSupported }

// Kfuncs are the kernel functions without which a kernel has no conntrack for
// programs.
var kfuncs = []string{
	"bpf_ct_change_status",
	"bpf_ct_change_timeout",
	"bpf_ct_insert_entry",
	"bpf_ct_release",
	"bpf_ct_set_nat_info",
	"bpf_ct_set_status",
	"bpf_ct_set_timeout",
	"bpf_skb_ct_alloc",
	"bpf_skb_ct_lookup",
	"bpf_xdp_ct_alloc",
	"bpf_xdp_ct_lookup",
}

// Options say what a Host's main namespace looks like and which others there
// are. The zero value is one namespace with nothing but lo, which is up.
type Options struct {
	NamespaceOptions
	// Namespaces are further namespaces beside the main one.
	Namespaces []NamespaceOptions
}

// NamespaceOptions describe one network namespace.
type NamespaceOptions struct {
	// Name is by what Host.Namespace finds it and a device's Peer names it.
	// The main namespace's is "".
	Name string
	// ID is the number by which programs in the main namespace call this one
	// (netns_id of struct bpf_ct_opts), as "ip netns set" gives. It must be
	// unique in a Host and at least 0. The main namespace has none.
	ID int
	// Sysctls are written first, in the order of their names:
	// "net.netfilter.nf_conntrack_udp_timeout": "5". Those of the whole
	// machine (nf_conntrack_max, nf_conntrack_buckets) cannot be written.
	Sysctls map[string]string
	// Devices are made in this order, all namespaces being there.
	Devices []Device
	// Routes and Neighbours are added when all devices are up.
	Routes     []Route
	Neighbours []Neighbour
}

// DeviceKind is what a device is made as.
type DeviceKind string

// The kinds of devices that a Host can make.
const (
	// Dummy swallows what is sent over it. Where the kernel has no such
	// device, a veth stands for it whose other end is in a namespace that
	// nobody uses.
	Dummy DeviceKind = "dummy"
	// Veth is one end of a cable between two devices.
	Veth DeviceKind = "veth"
)

// Device is a network device of a namespace.
type Device struct {
	Name string
	// Kind is Dummy when empty.
	Kind DeviceKind
	// Index is the ifindex wanted; 0 leaves the choice to the kernel.
	Index int
	// MAC is the hardware address, as "02:00:00:00:00:01"; "" leaves it to chance.
	MAC string
	// MTU 0 is the kind's default.
	MTU int
	// Addrs are the addresses with the length of their network.
	Addrs []netip.Prefix
	// Down leaves it down; a device is brought up otherwise.
	Down bool
	// Peer is the other end of a Veth; its Kind and Peer are ignored.
	Peer *Device
	// PeerNamespace is the name of the namespace that Peer is in, "" the main one.
	PeerNamespace string
}

// Route is a unicast route.
type Route struct {
	Dst netip.Prefix
	// Via is the next hop; the zero Addr makes the route direct.
	Via    netip.Addr
	Device string
	// Table 0 is the main table.
	Table int
}

// Neighbour is a permanent neighbour entry.
type Neighbour struct {
	Addr   netip.Addr
	MAC    string
	Device string
}

func (o *Options) validate() error {
	if o.Name != "" {
		return fmt.Errorf("the main namespace has no name, but Options.Name is %q", o.Name)
	}
	names, ids := map[string]bool{"": true}, map[int]string{}
	for _, ns := range o.Namespaces {
		if names[ns.Name] {
			return fmt.Errorf("namespace %q: the name is taken", ns.Name)
		}
		names[ns.Name] = true
		if ns.ID < 0 {
			return fmt.Errorf("namespace %q: id %d is negative", ns.Name, ns.ID)
		}
		if other, ok := ids[ns.ID]; ok {
			return fmt.Errorf("namespace %q: id %d is that of %q", ns.Name, ns.ID, other)
		}
		ids[ns.ID] = ns.Name
	}
	for _, ns := range append([]NamespaceOptions{o.NamespaceOptions}, o.Namespaces...) {
		for _, d := range ns.Devices {
			if d.Kind == Veth && !names[d.PeerNamespace] {
				return fmt.Errorf("device %s: its peer's namespace %q does not exist", d.Name, d.PeerNamespace)
			}
		}
	}
	return nil
}

// sysctlPath is the file of a sysctl below /proc/sys. Only names below net
// are taken: all else belongs to the machine and not to a namespace.
func sysctlPath(name string) (string, error) {
	path := name
	if !strings.Contains(name, "/") {
		path = strings.ReplaceAll(name, ".", "/")
	}
	if !strings.HasPrefix(path, "net/") || strings.Contains(path, "..") {
		return "", fmt.Errorf("sysctl %s: only names below net belong to a namespace", name)
	}
	return "/proc/sys/" + path, nil
}
