package netns

import "net/netip"

// Neigh is what a namespace knows of a neighbour.
type Neigh struct {
	MAC [6]byte
	// Failed marks an entry that is there but not valid (incomplete or failed).
	Failed bool
}

type neighKey struct {
	device int
	addr   netip.Addr
}

// SetNeigh adds or replaces the neighbour addr on the device of that index.
func (n *Netns) SetNeigh(device int, addr netip.Addr, e Neigh) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.neighs == nil {
		n.neighs = make(map[neighKey]Neigh)
	}
	n.neighs[neighKey{device, addr}] = e
}

// RemoveNeigh forgets the neighbour.
func (n *Netns) RemoveNeigh(device int, addr netip.Addr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.neighs, neighKey{device, addr})
}

// Neigh returns the neighbour; ok is false when there is no valid one.
func (n *Netns) Neigh(device int, addr netip.Addr) (e Neigh, ok bool) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	if d := n.devices[device]; d != nil && d.Kind == KindLoopback && addr.Is4() {
		// All of IPv4 is one neighbour on the loopback device.
		addr = netip.IPv4Unspecified()
	}
	e, ok = n.neighs[neighKey{device, addr}]
	return e, ok && !e.Failed
}
