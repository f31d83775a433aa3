package netns

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/bpfct/bpfct/internal/errno"
)

// LoopbackIndex is the index of lo in every namespace.
const LoopbackIndex = 1

// Kind is what a device is.
type Kind uint8

// The kinds of devices.
const (
	KindEther    Kind = iota // an Ethernet device without a model of what it is connected to
	KindLoopback             // lo
	KindDummy                // drops what it is given
	KindVeth                 // one end of a pair
	KindRaw                  // carries network packets without a link layer header
)

// Device is a network device. A Device that a Netns has handed out is not
// changed any more: changes make a new one.
type Device struct {
	// Index is the ifindex; 0 in AddDevice takes the next free one.
	Index int
	Name  string
	Kind  Kind
	// MAC is the hardware address, all zero for lo.
	MAC [6]byte
	// MTU 0 in AddDevice means 1500.
	MTU uint32
	// Up is IFF_UP.
	Up bool
	// NoARP is IFF_NOARP: neighbours are not looked up.
	NoARP bool
	// Addrs are the addresses with the lengths of their networks.
	Addrs []netip.Prefix
	// Forwarding4 and Forwarding6 say whether packets that arrive here are
	// forwarded.
	Forwarding4, Forwarding6 bool
	// Queues is the number of receive queues; 0 in AddDevice means 1.
	Queues int
	// Peer is the namespace of the other end of a veth pair, nil for none, and
	// PeerIndex the index of that end in it.
	Peer      *Netns
	PeerIndex int
	// Netns is the namespace that the device is in; AddDevice sets it.
	Netns *Netns
}

// HardHeaderLen is how many bytes the link layer header of the device takes.
func (d *Device) HardHeaderLen() int {
	if d.Kind == KindRaw {
		return 0
	}
	return 14
}

// HasMAC reports whether frames on the device start with a MAC header
// (dev_is_mac_header_xmit).
func (d *Device) HasMAC() bool { return d.Kind != KindRaw }

// AddDevice adds a device and the routes that its addresses bring. It returns
// the device as the namespace has it: EEXIST where its index or name is taken.
func (n *Netns) AddDevice(d Device) (*Device, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, o := range n.devices {
		if o.Index == d.Index || o.Name == d.Name {
			return nil, fmt.Errorf("device %s (index %d) of namespace %q: index or name is that of %s: %w",
				d.Name, d.Index, n.Name, o.Name, errno.EEXIST)
		}
	}
	if d.Index < 0 {
		return nil, fmt.Errorf("device %s of namespace %q: index %d: %w", d.Name, n.Name, d.Index, errno.EINVAL)
	}
	if d.Index == 0 {
		d.Index = n.lastDev + 1
	}
	n.lastDev = max(n.lastDev, d.Index)
	if d.MTU == 0 {
		d.MTU = 1500
	}
	if d.Queues == 0 {
		d.Queues = 1
	}
	d.Forwarding4 = d.Forwarding4 || n.sysctl.Forwarding4
	d.Forwarding6 = d.Forwarding6 || n.sysctl.Forwarding6
	d.Addrs = slices.Clone(d.Addrs)
	d.Netns = n
	if n.devices == nil {
		n.devices = make(map[int]*Device)
	}
	n.devices[d.Index] = &d
	n.deviceRoutes(&d)
	return &d, nil
}

// UpdateDevice replaces the device of that index by what change makes of a copy
// of it; index and name stay. ENODEV where there is none.
func (n *Netns) UpdateDevice(index int, change func(*Device)) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	old := n.devices[index]
	if old == nil {
		return fmt.Errorf("device %d of namespace %q: %w", index, n.Name, errno.ENODEV)
	}
	d := *old
	d.Addrs = slices.Clone(d.Addrs)
	change(&d)
	d.Index, d.Name, d.Netns = old.Index, old.Name, n
	n.devices[index] = &d
	n.dropDeviceRoutes(index)
	n.deviceRoutes(&d)
	return nil
}

// RemoveDevice takes the device away, with its routes and neighbours.
func (n *Netns) RemoveDevice(index int) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.devices[index] == nil {
		return fmt.Errorf("device %d of namespace %q: %w", index, n.Name, errno.ENODEV)
	}
	delete(n.devices, index)
	n.routes = slices.DeleteFunc(n.routes, func(r Route) bool { return r.Device == index && r.Type.hasDevice() })
	for k := range n.neighs {
		if k.device == index {
			delete(n.neighs, k)
		}
	}
	return nil
}

// Device returns the device of that index, nil when there is none.
func (n *Netns) Device(index int) *Device {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.devices[index]
}

// DeviceByName returns the device of that name, nil when there is none.
func (n *Netns) DeviceByName(name string) *Device {
	n.mu.RLock()
	defer n.mu.RUnlock()
	for _, d := range n.devices {
		if d.Name == name {
			return d
		}
	}
	return nil
}

// Devices returns all devices by index.
func (n *Netns) Devices() []*Device {
	n.mu.RLock()
	defer n.mu.RUnlock()
	all := make([]*Device, 0, len(n.devices))
	for _, d := range n.devices {
		all = append(all, d)
	}
	slices.SortFunc(all, func(a, b *Device) int { return a.Index - b.Index })
	return all
}

// Pair makes the devices a of n and b of peer two ends of a veth pair.
func Pair(n *Netns, a int, peer *Netns, b int) error {
	if err := n.UpdateDevice(a, func(d *Device) { d.Kind, d.Peer, d.PeerIndex = KindVeth, peer, b }); err != nil {
		return err
	}
	return peer.UpdateDevice(b, func(d *Device) { d.Kind, d.Peer, d.PeerIndex = KindVeth, n, a })
}

// PeerDevice is the other end of a veth pair, nil when there is none.
func (d *Device) PeerDevice() *Device {
	if d.Peer == nil {
		return nil
	}
	return d.Peer.Device(d.PeerIndex)
}
