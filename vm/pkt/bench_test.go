package pkt_test

import (
	"testing"

	"github.com/bpfct/bpfct/netns"
	"github.com/bpfct/bpfct/vm"
	"github.com/bpfct/bpfct/vm/pkt"
)

func benchMachine(b *testing.B) (*vm.Machine, *netns.Netns) {
	ns := netns.New("test", 1)
	return newMachine(b, opsObject, ns).m, ns
}

func BenchmarkNewSkb(b *testing.B) {
	m, ns := benchMachine(b)
	data := make([]byte, 64)
	b.ReportAllocs()
	for b.Loop() {
		s, err := pkt.NewSkb(m, ns, pkt.SkbSpec{Data: data})
		if err != nil {
			b.Fatal(err)
		}
		s.Release()
	}
}

func BenchmarkNewSkbOnDevice(b *testing.B) {
	m, ns := benchMachine(b)
	data, dev := make([]byte, 64), ns.Device(1)
	b.ReportAllocs()
	for b.Loop() {
		s, err := pkt.NewSkb(m, ns, pkt.SkbSpec{Data: data, Device: dev})
		if err != nil {
			b.Fatal(err)
		}
		s.Release()
	}
}

func BenchmarkNewXDP(b *testing.B) {
	m, ns := benchMachine(b)
	data := make([]byte, 64)
	b.ReportAllocs()
	for b.Loop() {
		x, err := pkt.NewXDP(m, ns, pkt.XDPSpec{Data: data})
		if err != nil {
			b.Fatal(err)
		}
		x.Release()
	}
}

// BenchmarkMovingHelper is what a helper costs after which packet pointers end.
func BenchmarkMovingHelper(b *testing.B) {
	m, ns := benchMachine(b)
	s, err := pkt.NewSkb(m, ns, pkt.SkbSpec{Data: make([]byte, 64)})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Release()
	helper := m.Registry.Lookup("bpf_skb_pull_data")
	c := &vm.CPU{M: m, Ctx: s}
	args := [5]uint64{s.Addr(), 0}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := helper(c, &args); err != nil {
			b.Fatal(err)
		}
	}
}
