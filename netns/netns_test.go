package netns_test

import (
	"errors"
	"net/netip"
	"sync"
	"testing"

	"github.com/bpfct/bpfct/clock"
	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/netns"
)

func pfx(s string) netip.Prefix { return netip.MustParsePrefix(s) }
func adr(s string) netip.Addr   { return netip.MustParseAddr(s) }

func mustDevice(t *testing.T, n *netns.Netns, d netns.Device) *netns.Device {
	t.Helper()
	out, err := n.AddDevice(d)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestDevices(t *testing.T) {
	n := netns.New("a", 1)
	lo := n.Device(netns.LoopbackIndex)
	if lo == nil || lo.Name != "lo" || !lo.Up || lo.Netns != n {
		t.Fatalf("loopback is %+v", lo)
	}
	d := mustDevice(t, n, netns.Device{Name: "eth0", Up: true})
	if d.Index != 2 || d.MTU != 1500 || d.Queues != 1 {
		t.Errorf("eth0 is %+v", d)
	}
	if e := mustDevice(t, n, netns.Device{Name: "eth1", Index: 9}); e.Index != 9 {
		t.Errorf("eth1 has index %d", e.Index)
	}
	if f := mustDevice(t, n, netns.Device{Name: "eth2"}); f.Index != 10 {
		t.Errorf("eth2 has index %d, want the one after the highest", f.Index)
	}
	for _, bad := range []netns.Device{{Name: "eth0"}, {Name: "x", Index: 9}} {
		if _, err := n.AddDevice(bad); !errors.Is(err, errno.EEXIST) {
			t.Errorf("%+v: %v, want EEXIST", bad, err)
		}
	}
	if _, err := n.AddDevice(netns.Device{Name: "x", Index: -1}); !errors.Is(err, errno.EINVAL) {
		t.Errorf("a negative index: %v", err)
	}
	if err := n.UpdateDevice(2, func(d *netns.Device) { d.MTU = 9000; d.Index = 77 }); err != nil {
		t.Fatal(err)
	}
	if now := n.Device(2); now.MTU != 9000 || now.Index != 2 || d.MTU != 1500 {
		t.Errorf("after the change %+v, the old one %+v", now, d)
	}
	if err := n.RemoveDevice(2); err != nil || n.Device(2) != nil || n.DeviceByName("eth0") != nil {
		t.Errorf("removal: %v", err)
	}
	for name, err := range map[string]error{"update": n.UpdateDevice(2, func(*netns.Device) {}), "remove": n.RemoveDevice(2)} {
		if !errors.Is(err, errno.ENODEV) {
			t.Errorf("%s of no device: %v", name, err)
		}
	}
	if all := n.Devices(); len(all) != 3 || all[0] != n.Device(1) || all[2].Index != 10 {
		t.Errorf("devices %v", all)
	}
}

func TestPair(t *testing.T) {
	a, b := netns.New("a", 1), netns.New("b", 2)
	x, y := mustDevice(t, a, netns.Device{Name: "x"}), mustDevice(t, b, netns.Device{Name: "y"})
	if err := netns.Pair(a, x.Index, b, y.Index); err != nil {
		t.Fatal(err)
	}
	if p := a.Device(x.Index).PeerDevice(); p != b.Device(y.Index) || p.PeerDevice() != a.Device(x.Index) {
		t.Errorf("peer of x is %+v", p)
	}
	if a.Device(1).PeerDevice() != nil {
		t.Error("lo has a peer")
	}
}

func TestRoutesOfAddresses(t *testing.T) {
	n := netns.New("a", 1)
	mustDevice(t, n, netns.Device{Name: "eth0", Up: true, Addrs: []netip.Prefix{pfx("10.0.0.1/24"), pfx("fd00::1/64")}})
	for _, c := range []struct {
		dst  string
		typ  netns.RouteType
		dev  int
		want error
	}{
		{"10.0.0.1", netns.Local, 2, nil}, {"10.0.0.7", netns.Unicast, 2, nil}, {"10.0.0.255", netns.Broadcast, 2, nil},
		{"127.5.0.1", netns.Local, 1, nil}, {"10.0.1.1", 0, 0, errno.ENETUNREACH}, {"fd00::1", netns.Local, 2, nil},
		{"fd00::2", netns.Unicast, 2, nil}, {"fd01::2", 0, 0, errno.ENETUNREACH},
	} {
		r, err := n.Route(netns.Flow{Dst: adr(c.dst)})
		if !errors.Is(err, c.want) && err != c.want {
			t.Errorf("%s: %v, want %v", c.dst, err, c.want)
		} else if err == nil && (r.Type != c.typ || r.Device != c.dev) {
			t.Errorf("%s: %+v", c.dst, r)
		}
	}
	if err := n.UpdateDevice(2, func(d *netns.Device) { d.Up = false }); err != nil {
		t.Fatal(err)
	}
	if _, err := n.Route(netns.Flow{Dst: adr("10.0.0.7")}); err != error(errno.ENETUNREACH) {
		t.Errorf("through a device that is down: %v", err)
	}
}

func TestRouteErrors(t *testing.T) {
	n := netns.New("a", 1)
	mustDevice(t, n, netns.Device{Name: "eth0", Up: true})
	for _, c := range []struct {
		r    netns.Route
		want errno.Errno
	}{
		{netns.Route{}, errno.EINVAL}, {netns.Route{Dst: pfx("1.0.0.0/8"), Device: 7}, errno.ENODEV},
	} {
		if err := n.AddRoute(c.r); !errors.Is(err, c.want) {
			t.Errorf("%+v: %v, want %v", c.r, err, c.want)
		}
	}
	r := netns.Route{Dst: pfx("1.2.3.4/8"), Device: 2}
	if err := n.AddRoute(r); err != nil {
		t.Fatal(err)
	}
	if err := n.AddRoute(r); !errors.Is(err, errno.EEXIST) {
		t.Errorf("twice: %v", err)
	}
	if got, err := n.Route(netns.Flow{Dst: adr("1.9.9.9")}); err != nil || got.Dst != pfx("1.0.0.0/8") {
		t.Errorf("%+v, %v", got, err)
	}
	if err := n.RemoveRoute(r); err != nil {
		t.Error(err)
	}
	if err := n.RemoveRoute(r); !errors.Is(err, errno.ESRCH) {
		t.Errorf("removed twice: %v", err)
	}
}

func TestNeighbours(t *testing.T) {
	n := netns.New("a", 1)
	n.SetNeigh(2, adr("10.0.0.2"), netns.Neigh{MAC: [6]byte{1}})
	n.SetNeigh(2, adr("10.0.0.3"), netns.Neigh{Failed: true})
	if e, ok := n.Neigh(2, adr("10.0.0.2")); !ok || e.MAC != [6]byte{1} {
		t.Errorf("%+v, %v", e, ok)
	}
	for _, a := range []string{"10.0.0.3", "10.0.0.4"} {
		if _, ok := n.Neigh(2, adr(a)); ok {
			t.Errorf("%s is valid", a)
		}
	}
	n.RemoveNeigh(2, adr("10.0.0.2"))
	if _, ok := n.Neigh(2, adr("10.0.0.2")); ok {
		t.Error("a removed neighbour is there")
	}
}

func TestIDs(t *testing.T) {
	a, b := netns.New("a", 1), netns.New("b", 2)
	if a.ByID(0) != nil {
		t.Error("an id without a namespace")
	}
	a.SetID(0, b)
	if a.ByID(0) != b || b.ByID(0) != nil {
		t.Error("ids are those of one namespace only")
	}
}

func TestSynOverflow(t *testing.T) {
	c := clock.New(clock.Options{})
	s := &netns.Socket{}
	if s.SynOverflowed(c) {
		t.Error("a fresh socket has overflowed")
	}
	s.NoteSynOverflow(c)
	if !s.SynOverflowed(c) {
		t.Error("the overflow is forgotten at once")
	}
	c.Advance(2 * 60 * 1e9)
	if !s.SynOverflowed(c) {
		t.Error("the overflow is forgotten after two minutes")
	}
	c.Advance(1e9)
	if s.SynOverflowed(c) {
		t.Error("the overflow is remembered for ever")
	}
}

// TestParallel is for the race detector.
func TestParallel(t *testing.T) {
	n := netns.New("a", 1)
	mustDevice(t, n, netns.Device{Name: "eth0", Up: true})
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for k := range 200 {
				n.UpdateDevice(2, func(d *netns.Device) { d.MTU = uint32(1000 + k) })
				n.Route(netns.Flow{Dst: adr("10.0.0.1")})
				n.SetNeigh(2, adr("10.0.0.2"), netns.Neigh{})
				n.Neigh(2, adr("10.0.0.2"))
				s := &netns.Socket{Protocol: netns.ProtoTCP, State: netns.StateListen, Family: netns.FamilyINET, Local: netip.AddrPortFrom(netip.IPv4Unspecified(), uint16(i))}
				n.AddSocket(s)
				n.LookupTCP(netip.AddrPort{}, netip.AddrPortFrom(adr("10.0.0.1"), uint16(i)), 1)
				n.RemoveSocket(s)
				n.SetID(int32(i), n)
				n.ByID(int32(i))
				n.SetSysctl(netns.Sysctl{Forwarding4: k%2 == 0})
			}
		}()
	}
	wg.Wait()
}
