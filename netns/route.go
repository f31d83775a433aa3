package netns

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"github.com/bpfct/bpfct/internal/errno"
)

// Numbers of the routing tables that every namespace has.
const (
	TableDefault = 253
	TableMain    = 254
	TableLocal   = 255
)

// RouteType is what a route does with a packet (RTN_*).
type RouteType uint8

// The types of routes.
const (
	Unicast RouteType = iota
	Local
	Broadcast
	Multicast
	Anycast
	Blackhole
	Unreachable
	Prohibit
	Throw
)

func (t RouteType) hasDevice() bool { return t <= Anycast }

// Route is a route. The zero values of all fields but Dst and Device are
// usual ones.
type Route struct {
	Dst netip.Prefix
	// Table 0 means the main one.
	Table uint32
	Type  RouteType
	// Gateway is the next hop, not valid for a direct route. An IPv4 route may
	// have an IPv6 one.
	Gateway netip.Addr
	// Device is the index of the device; not used by routes that only refuse.
	Device int
	// Source is the preferred source address.
	Source netip.Addr
	// Metric is the priority; the lowest wins among routes of one length. An
	// IPv6 route with 0 has 1024.
	Metric uint32
	// TOS, where not 0, is the only type of service that an IPv4 route takes.
	TOS uint8
	// MTU, where not 0, is the route's own; MTULock makes it one that holds.
	MTU     uint32
	MTULock bool
	// Realm is the routing realm.
	Realm uint32

	auto bool // came with a device's address
}

// Rule says which table is asked for what packets.
type Rule struct {
	// Priority orders rules; the lowest is asked first.
	Priority uint32
	// Family6 makes the rule one of IPv6.
	Family6 bool
	// Mark and Mask select by mark; Mask 0 selects all, unless Mark is set, when
	// it means all bits.
	Mark, Mask uint32
	// Src and Dst select by address where they are valid.
	Src, Dst netip.Prefix
	// In selects by the index of the arriving device, where not 0.
	In int
	// Out selects by the index of the device asked for, where not 0.
	Out int
	// Table is asked.
	Table uint32
	// Type, where it is Blackhole, Unreachable or Prohibit, refuses instead.
	Type RouteType
}

// Flow is what a route is looked up for.
type Flow struct {
	Src, Dst netip.Addr
	// In is the index of the device that the packet came by, 1 for the host's own.
	In int
	// Out, where not 0, is the index of the device that it must leave by.
	Out int
	// Prefer, where not 0, is the index of the device that an IPv6 packet should
	// leave by if one of several routes alike goes that way.
	Prefer int
	Mark   uint32
	TOS    uint8
	// Table, where not 0, is asked in place of all rules.
	Table uint32
}

// RouteError is why there is no route, as the kernel's error number:
// ENETUNREACH, EINVAL (blackhole), EHOSTUNREACH (unreachable), EACCES (prohibit),
// EAGAIN (throw, or a table that is empty).
type RouteError = errno.Errno

// AddRoute adds a route. ENODEV where its device does not exist, EEXIST where the
// table has one of the same destination, TOS, metric and way.
func (n *Netns) AddRoute(r Route) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !r.Dst.IsValid() {
		return fmt.Errorf("route of namespace %q without a destination: %w", n.Name, errno.EINVAL)
	}
	if r.Type.hasDevice() && n.devices[r.Device] == nil {
		return fmt.Errorf("route to %v of namespace %q: no device %d: %w", r.Dst, n.Name, r.Device, errno.ENODEV)
	}
	r.normalize()
	for _, o := range n.routes {
		if o.Dst == r.Dst && o.Table == r.Table && o.Metric == r.Metric && o.TOS == r.TOS &&
			(r.Dst.Addr().Is4() || o.Device == r.Device && o.Gateway == r.Gateway) {
			return fmt.Errorf("route to %v of namespace %q: %w", r.Dst, n.Name, errno.EEXIST)
		}
	}
	n.insertRoute(r)
	return nil
}

func (r *Route) normalize() {
	r.Dst = r.Dst.Masked()
	if r.Table == 0 {
		r.Table = TableMain
	}
	if r.Metric == 0 && r.Dst.Addr().Is6() {
		r.Metric = 1024
	}
}

// insertRoute keeps the routes in the order in which they are asked: longest
// first, then TOS, then metric, then age.
func (n *Netns) insertRoute(r Route) {
	i, _ := slices.BinarySearchFunc(n.routes, r, func(a, b Route) int {
		c := cmp.Or(cmp.Compare(b.Dst.Bits(), a.Dst.Bits()), cmp.Compare(b.TOS, a.TOS), cmp.Compare(a.Metric, b.Metric))
		if c == 0 {
			return -1
		}
		return c
	})
	n.routes = slices.Insert(n.routes, i, r)
}

// RemoveRoute removes the route of that destination, table and metric; ESRCH
// where there is none.
func (n *Netns) RemoveRoute(r Route) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	r.normalize()
	i := slices.IndexFunc(n.routes, func(o Route) bool {
		return o.Dst == r.Dst && o.Table == r.Table && (r.Metric == 0 || o.Metric == r.Metric)
	})
	if i < 0 {
		return fmt.Errorf("route to %v of namespace %q: %w", r.Dst, n.Name, errno.ESRCH)
	}
	n.routes = slices.Delete(n.routes, i, i+1)
	return nil
}

// Routes returns all routes, those that are asked first in front.
func (n *Netns) Routes() []Route {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return slices.Clone(n.routes)
}

// AddRule adds a rule beside the kernel's own ones.
func (n *Netns) AddRule(r Rule) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.rules == nil {
		n.rules = slices.Clone(defaultRules)
	}
	if r.Mask == 0 && r.Mark != 0 {
		r.Mask = ^uint32(0)
	}
	// A rule of the same priority goes behind those that are there.
	i := slices.IndexFunc(n.rules, func(o Rule) bool { return o.Priority > r.Priority })
	if i < 0 {
		i = len(n.rules)
	}
	n.rules = slices.Insert(n.rules, i, r)
}

var defaultRules = []Rule{
	{Priority: 0, Table: TableLocal}, {Priority: 0, Table: TableLocal, Family6: true},
	{Priority: 32766, Table: TableMain}, {Priority: 32766, Table: TableMain, Family6: true},
	{Priority: 32767, Table: TableDefault},
}

func (r *Rule) matches(f *Flow) bool {
	return r.Family6 == f.Dst.Is6() && f.Mark&r.Mask == r.Mark &&
		(!r.Src.IsValid() || r.Src.Contains(f.Src)) && (!r.Dst.IsValid() || r.Dst.Contains(f.Dst)) &&
		(r.In == 0 || r.In == f.In) && (r.Out == 0 || r.Out == f.Out)
}

// Route looks a route up. It is one of any type but those that refuse, which
// are errors.
func (n *Netns) Route(f Flow) (Route, error) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	if f.Table != 0 {
		return n.tableRoute(f.Table, &f)
	}
	rules := n.rules
	if rules == nil {
		rules = defaultRules
	}
	for i := range rules {
		r := &rules[i]
		if !r.matches(&f) {
			continue
		}
		if err := r.Type.refusal(); err != nil {
			return Route{}, err
		}
		if route, err := n.tableRoute(r.Table, &f); err != error(errno.EAGAIN) {
			return route, err
		}
	}
	return Route{}, errno.ENETUNREACH
}

// HasTable reports whether a table of that number has routes of the family.
func (n *Netns) HasTable(table uint32, is6 bool) bool {
	if table == TableMain || table == TableLocal {
		return true
	}
	n.mu.RLock()
	defer n.mu.RUnlock()
	return slices.ContainsFunc(n.routes, func(r Route) bool { return r.Table == table && r.Dst.Addr().Is6() == is6 })
}

func (n *Netns) tableRoute(table uint32, f *Flow) (Route, error) {
	// Until there is a rule of its own the kernel keeps the main and the local
	// table of IPv4 as one.
	merged := n.rules == nil && f.Dst.Is4() && (table == TableMain || table == TableLocal)
	var found *Route
	for i := range n.routes {
		r := &n.routes[i]
		if r.Table != table && !(merged && (r.Table == TableMain || r.Table == TableLocal)) || !r.Dst.Contains(f.Dst) || r.TOS != 0 && r.TOS != f.TOS {
			continue
		}
		if found != nil && (r.Dst != found.Dst || r.Metric != found.Metric) {
			break
		}
		if err := r.Type.refusal(); err != nil {
			if found == nil {
				return *r, err
			}
			continue
		}
		if d := n.devices[r.Device]; d == nil || !d.Up && r.Type != Local && r.Type != Anycast {
			continue
		}
		if f.Dst.Is4() {
			if f.Out == 0 || f.Out == r.Device {
				return *r, nil
			}
			continue
		}
		// IPv6 takes the device only for a wish.
		if f.Prefer == 0 || r.Device == f.Prefer {
			return *r, nil
		}
		if found == nil {
			found = r
		}
	}
	if found == nil {
		return Route{}, errno.EAGAIN
	}
	return *found, nil
}

// refusal is the error of types that refuse.
func (t RouteType) refusal() error {
	switch t {
	case Blackhole:
		return errno.EINVAL
	case Unreachable:
		return errno.EHOSTUNREACH
	case Prohibit:
		return errno.EACCES
	case Throw:
		return errno.EAGAIN
	}
	return nil
}

// deviceRoutes adds the routes that come with the addresses of a device. While it
// is down its addresses are the host's all the same.
func (n *Netns) deviceRoutes(d *Device) {
	add := func(r Route) {
		r.Device, r.auto = d.Index, true
		r.normalize()
		n.insertRoute(r)
	}
	for _, a := range d.Addrs {
		addr, bits := a.Addr(), a.Addr().BitLen()
		host := netip.PrefixFrom(addr, bits)
		add(Route{Dst: host, Table: TableLocal, Type: Local, Source: source4(addr)})
		if addr.Is6() && d.Forwarding6 && a.Bits() < 127 {
			// The first address of the network is that of all its routers.
			add(Route{Dst: netip.PrefixFrom(a.Masked().Addr(), 128), Table: TableLocal, Type: Anycast, Metric: 1})
		}
		switch {
		case !d.Up:
		case d.Kind == KindLoopback && addr.Is4():
			add(Route{Dst: a, Table: TableLocal, Type: Local, Source: addr})
			add(Route{Dst: netip.PrefixFrom(lastAddr(a), 32), Table: TableLocal, Type: Broadcast, Source: addr})
		case addr.Is4() && a.Bits() < 32:
			add(Route{Dst: a, Source: addr})
			if a.Bits() < 31 {
				add(Route{Dst: netip.PrefixFrom(lastAddr(a), 32), Table: TableLocal, Type: Broadcast, Source: addr})
			}
		case addr.Is6() && d.Kind != KindLoopback:
			add(Route{Dst: a, Metric: 256})
		}
	}
	if d.Kind != KindLoopback && d.Up {
		add(Route{Dst: netip.MustParsePrefix("fe80::/64"), Metric: 256})
		add(Route{Dst: netip.MustParsePrefix("ff00::/8"), Table: TableLocal, Type: Multicast, Metric: 256})
	}
}

// source4 is a, if it is an IPv4 address: IPv6 routes of addresses have no
// preferred source.
func source4(a netip.Addr) netip.Addr {
	if a.Is4() {
		return a
	}
	return netip.Addr{}
}

func (n *Netns) dropDeviceRoutes(index int) {
	n.routes = slices.DeleteFunc(n.routes, func(r Route) bool { return r.auto && r.Device == index })
}

// lastAddr is the broadcast address of an IPv4 network.
func lastAddr(p netip.Prefix) netip.Addr {
	b := p.Addr().As4()
	for i := p.Bits(); i < 32; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	return netip.AddrFrom4(b)
}
