package pkt_test

import (
	"fmt"
	"net"
	"net/netip"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/bpfct/bpfct/netns"
)

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

var routeTypes = map[netns.RouteType]int{
	netns.Unicast: unix.RTN_UNICAST, netns.Blackhole: unix.RTN_BLACKHOLE, netns.Unreachable: unix.RTN_UNREACHABLE,
	netns.Prohibit: unix.RTN_PROHIBIT, netns.Throw: unix.RTN_THROW,
}

func addKernelRoutes(routes []netns.Route) error {
	for _, r := range routes {
		k := &netlink.Route{Dst: ipNet(r.Dst), Table: int(r.Table), Type: routeTypes[r.Type], LinkIndex: r.Device, Priority: int(r.Metric),
			Tos: int(r.TOS), MTU: int(r.MTU), MTULock: r.MTULock}
		if r.Gateway.IsValid() {
			k.Gw = r.Gateway.AsSlice()
		} else if r.Dst.Addr().Is4() && r.Type == netns.Unicast {
			k.Scope = netlink.SCOPE_LINK
		}
		if r.Source.IsValid() {
			k.Src = r.Source.AsSlice()
		}
		if err := netlink.RouteAdd(k); err != nil {
			return fmt.Errorf("route %v: %w", r.Dst, err)
		}
	}
	return nil
}

func addKernelRules() error {
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		rule := netlink.NewRule()
		rule.Family, rule.Priority, rule.Mark, rule.Table = family, 1000, 5, 100
		if err := netlink.RuleAdd(rule); err != nil {
			return fmt.Errorf("rule: %w", err)
		}
	}
	mask := uint32(0xff)
	rule := netlink.NewRule()
	rule.Family, rule.Priority, rule.Mark, rule.Mask, rule.Type = unix.AF_INET, 900, 6, &mask, unix.RTN_PROHIBIT
	if err := netlink.RuleAdd(rule); err != nil {
		return fmt.Errorf("prohibit rule: %w", err)
	}
	return nil
}

func TestFibLookup(t *testing.T) {
	opts, ns, routes := routed(t)
	k, m := newKernel(t, opsObject, opts), newMachine(t, opsObject, ns)
	if err := k.host.Do(func() error { return addKernelRoutes(routes) }); err != nil {
		t.Fatal(err)
	}
	t.Run("no rules", func(t *testing.T) { testFib(t, k, m) })
	addRules(ns)
	if err := k.host.Do(addKernelRules); err != nil {
		t.Fatal(err)
	}
	t.Run("rules", func(t *testing.T) { testFib(t, k, m) })
}

func testFib(t *testing.T, k *kernelSide, m *machineSide) {
	data := make([]byte, 100)
	for prog, code := range map[string]uint32{"run_skb": 29, "run_xdp": 9} {
		t.Run(prog, func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				r := run{data: data[:rapid.SampledFrom([]int{100, 60}).Draw(rt, "length")]}
				if rapid.IntRange(0, 9).Draw(rt, "long") == 0 {
					r.data = make([]byte, rapid.SampledFrom([]int{1418, 1419, 1518, 1519}).Draw(rt, "long length"))
				}
				for range rapid.IntRange(1, scriptLen).Draw(rt, "lookups") {
					r.ops = append(r.ops, fibOp(rt, code))
				}
				compare(rt, r, k.run(t, prog, r), m.run(t, prog, r))
			})
		})
	}
}
