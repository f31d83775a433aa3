package live

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// addDevices makes the devices of o in ns.
func (h *Host) addDevices(ns *Netns, o NamespaceOptions) error {
	for _, d := range o.Devices {
		if err := h.addDevice(ns, d); err != nil {
			return fmt.Errorf("device %s: %w", d.Name, err)
		}
	}
	return nil
}

func (h *Host) addDevice(ns *Netns, d Device) error {
	attrs, err := linkAttrs(d)
	if err != nil {
		return err
	}
	switch d.Kind {
	case Dummy, "":
		err = ns.thread.do(func() error { return netlink.LinkAdd(&netlink.Dummy{LinkAttrs: attrs}) })
		if errors.Is(err, unix.EOPNOTSUPP) {
			err = h.addSinkVeth(ns, attrs)
		}
		if err != nil {
			return err
		}
		return ns.configure(d)
	case Veth:
	default:
		return fmt.Errorf("unknown kind %q", d.Kind)
	}
	if d.Peer == nil {
		return fmt.Errorf("a veth needs a peer")
	}
	peerNS := h.Namespace(d.PeerNamespace)
	link := &netlink.Veth{
		LinkAttrs:     attrs,
		PeerName:      d.Peer.Name,
		PeerMTU:       uint32(d.Peer.MTU),
		PeerNamespace: netlink.NsFd(peerNS.thread.nsFD),
	}
	if d.Peer.MAC != "" {
		if link.PeerHardwareAddr, err = net.ParseMAC(d.Peer.MAC); err != nil {
			return err
		}
	}
	if d.Peer.Index != 0 {
		return fmt.Errorf("peer %s: the index of a peer cannot be chosen", d.Peer.Name)
	}
	if err := ns.thread.do(func() error { return netlink.LinkAdd(link) }); err != nil {
		return err
	}
	if err := peerNS.configure(*d.Peer); err != nil {
		return fmt.Errorf("peer %s: %w", d.Peer.Name, err)
	}
	return ns.configure(d)
}

// addSinkVeth makes a veth whose other end is up where nobody looks, which
// does for a dummy on kernels that have none.
func (h *Host) addSinkVeth(ns *Netns, attrs netlink.LinkAttrs) error {
	if h.sink == nil {
		sink, err := newNetns("")
		if err != nil {
			return fmt.Errorf("namespace for the other ends of dummies: %w", err)
		}
		h.sink = sink
	}
	h.sinks++
	peer := fmt.Sprintf("sink%d", h.sinks)
	link := &netlink.Veth{LinkAttrs: attrs, PeerName: peer, PeerNamespace: netlink.NsFd(h.sink.thread.nsFD)}
	if err := ns.thread.do(func() error { return netlink.LinkAdd(link) }); err != nil {
		return err
	}
	return h.sink.configure(Device{Name: peer})
}

func linkAttrs(d Device) (netlink.LinkAttrs, error) {
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.Index, attrs.MTU = d.Name, d.Index, d.MTU
	if d.MAC != "" {
		mac, err := net.ParseMAC(d.MAC)
		if err != nil {
			return attrs, err
		}
		attrs.HardwareAddr = mac
	}
	return attrs, nil
}

// configure gives a device its addresses and brings it up.
func (ns *Netns) configure(d Device) error {
	return ns.thread.do(func() error {
		link, err := netlink.LinkByName(d.Name)
		if err != nil {
			return err
		}
		for _, p := range d.Addrs {
			addr := &netlink.Addr{IPNet: ipNet(p)}
			if p.Addr().Is6() {
				// Usable at once: nobody else is there to detect a duplicate.
				addr.Flags = unix.IFA_F_NODAD
			}
			if err := netlink.AddrAdd(link, addr); err != nil {
				return fmt.Errorf("address %s: %w", p, err)
			}
		}
		if d.Down {
			return nil
		}
		return netlink.LinkSetUp(link)
	})
}

// addRoutes adds the routes and neighbours of o.
func (ns *Netns) addRoutes(o NamespaceOptions) error {
	return ns.thread.do(func() error {
		for _, r := range o.Routes {
			link, err := netlink.LinkByName(r.Device)
			if err != nil {
				return fmt.Errorf("route to %s: device %q: %w", r.Dst, r.Device, err)
			}
			route := &netlink.Route{LinkIndex: link.Attrs().Index, Dst: ipNet(r.Dst.Masked()), Table: r.Table}
			if r.Via.IsValid() {
				route.Gw = r.Via.AsSlice()
			} else {
				route.Scope = netlink.SCOPE_LINK
			}
			if err := netlink.RouteAdd(route); err != nil {
				return fmt.Errorf("route to %s: %w", r.Dst, err)
			}
		}
		for _, n := range o.Neighbours {
			link, err := netlink.LinkByName(n.Device)
			if err != nil {
				return fmt.Errorf("neighbour %s: device %q: %w", n.Addr, n.Device, err)
			}
			mac, err := net.ParseMAC(n.MAC)
			if err != nil {
				return fmt.Errorf("neighbour %s: %w", n.Addr, err)
			}
			neigh := &netlink.Neigh{
				LinkIndex: link.Attrs().Index, State: netlink.NUD_PERMANENT,
				IP: n.Addr.AsSlice(), HardwareAddr: mac,
			}
			if err := netlink.NeighSet(neigh); err != nil {
				return fmt.Errorf("neighbour %s: %w", n.Addr, err)
			}
		}
		return nil
	})
}

// DeviceIndex finds a device's ifindex by name.
func (ns *Netns) DeviceIndex(name string) (int, error) {
	index := 0
	err := ns.thread.do(func() error {
		link, err := netlink.LinkByName(name)
		if err != nil {
			return fmt.Errorf("device %s: %w", name, err)
		}
		index = link.Attrs().Index
		return nil
	})
	return index, err
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
