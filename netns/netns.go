package netns

import (
	"net/netip"
	"sync"

	"github.com/bpfct/bpfct/conntrack"
)

// InitCookie is the cookie of a host's first namespace.
const InitCookie = 1

// Netns is one network namespace. Its methods may be called from several
// goroutines. The zero Netns with a Name and a Cookie is an empty namespace
// without even a loopback device; New makes one as Linux does.
type Netns struct {
	// Name is what users call the namespace; immutable.
	Name string
	// Cookie is the namespace's bpf_get_netns_cookie, unique on its host and
	// never 0; immutable.
	Cookie uint64
	// Conntrack is the namespace's connection tracking table; the pointer is
	// immutable.
	Conntrack *conntrack.Table

	mu      sync.RWMutex
	ids     map[int32]*Netns   // by netns id, as seen from here; guarded by mu
	devices map[int]*Device    // by index; the values are never changed; guarded by mu
	lastDev int                // highest index given; guarded by mu
	routes  []Route            // guarded by mu
	rules   []Rule             // nil for the kernel's three; guarded by mu
	neighs  map[neighKey]Neigh // guarded by mu
	sockets []*Socket          // newest last; guarded by mu
	sysctl  Sysctl             // guarded by mu
}

// Sysctl has the settings of a namespace below net that programs can notice.
type Sysctl struct {
	// Forwarding4 and Forwarding6 are net.ipv4.ip_forward and
	// net.ipv6.conf.all.forwarding.
	Forwarding4, Forwarding6 bool
	// Syncookies is net.ipv4.tcp_syncookies.
	Syncookies int
	// IPv4ForwardUsePMTU is net.ipv4.ip_forward_use_pmtu.
	IPv4ForwardUsePMTU bool
}

// defaultSysctl is what a new namespace has.
var defaultSysctl = Sysctl{Syncookies: 1}

// New returns a namespace with a loopback device that is up and has its
// addresses. The cookie must be unique among the namespaces that meet.
func New(name string, cookie uint64) *Netns {
	n := &Netns{Name: name, Cookie: cookie, sysctl: defaultSysctl}
	lo := Device{Index: LoopbackIndex, Name: "lo", Kind: KindLoopback, MTU: 65536, Up: true,
		Addrs: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/8"), netip.MustParsePrefix("::1/128")}}
	if _, err := n.AddDevice(lo); err != nil {
		panic(err) // an empty namespace has room for lo
	}
	return n
}

// Sysctl returns the settings.
func (n *Netns) Sysctl() Sysctl {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.sysctl
}

// SetSysctl changes the settings. A change of forwarding is one of all devices,
// as with net.ipv4.ip_forward.
func (n *Netns) SetSysctl(s Sysctl) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for i, old := range n.devices {
		d := *old
		if s.Forwarding4 != n.sysctl.Forwarding4 {
			d.Forwarding4 = s.Forwarding4
		}
		if s.Forwarding6 != n.sysctl.Forwarding6 {
			d.Forwarding6 = s.Forwarding6
		}
		n.devices[i] = &d
		n.dropDeviceRoutes(i)
		n.deviceRoutes(&d)
	}
	n.sysctl = s
}

// SetID gives peer an id as seen from n, as RTM_NEWNSID does. A negative id is
// no id; the caller checks.
func (n *Netns) SetID(id int32, peer *Netns) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ids == nil {
		n.ids = make(map[int32]*Netns)
	}
	n.ids[id] = peer
}

// ByID returns the namespace that n knows by id, nil when there is none
// (get_net_ns_by_id).
func (n *Netns) ByID(id int32) *Netns {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.ids[id]
}
