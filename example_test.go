package bpfct_test

import (
	"bytes"
	"errors"
	"fmt"
	"log"
	"net/netip"
	"time"

	"github.com/bpfct/bpfct"
	"github.com/bpfct/bpfct/examples/natgw"
	"github.com/bpfct/bpfct/packet"
	"github.com/bpfct/bpfct/vm"
)

// gateway is a NAT gateway from examples/natgw on a host of its own.
func gateway() (*bpfct.Host, *bpfct.Collection) {
	spec, err := natgw.Load(natgw.Config{
		Pool4: netip.MustParsePrefix("203.0.113.1/32"), Inside4: netip.MustParsePrefix("10.0.0.0/24"),
	})
	if err != nil {
		log.Fatal(err)
	}
	host, err := bpfct.NewHost(bpfct.HostOptions{})
	if err != nil {
		log.Fatal(err)
	}
	coll, err := host.LoadCollection(spec, bpfct.CollectionOptions{})
	if err != nil {
		log.Fatal(err)
	}
	return host, coll
}

// A program runs on a packet, and leaves a connection.
func Example() {
	spec, err := bpfct.LoadCollectionSpec("examples/natgw/natgw.o")
	if err != nil {
		log.Fatal(err)
	}
	for name, value := range map[string]any{
		"pool4": natgw.Address(netip.MustParseAddr("203.0.113.1")), "pool4_count": uint32(1),
		"inside4": natgw.Address(netip.MustParseAddr("10.0.0.0")), "inside4_bits": uint32(24),
	} {
		if err := spec.Variables[name].Set(value); err != nil {
			log.Fatal(err)
		}
	}
	host, err := bpfct.NewHost(bpfct.HostOptions{})
	if err != nil {
		log.Fatal(err)
	}
	coll, err := host.LoadCollection(spec, bpfct.CollectionOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer coll.Close()

	in := packet.MustParseText("10.0.0.7:40000 > 198.51.100.9:443 tcp S seq 1")
	ret, out, err := coll.Programs["nat_egress"].Test(in)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(ret, packet.Format(out))
	for ct := range host.Netns().Conntrack().Snapshots() {
		fmt.Println(ct.Tuples[0], "expires in", ct.Seconds(), "s")
	}
	// Output:
	// 0 203.0.113.1:40000 > 198.51.100.9:443 tcp S seq 1 win 64240 len 0
	// tcp 10.0.0.7:40000 -> 198.51.100.9:443 expires in 30 s
}

// Two hosts are two machines: they share nothing, and a test may have as many as it
// likes.
func ExampleHost() {
	first, coll := gateway()
	second, _ := gateway()
	coll.Programs[natgw.Egress].Test(packet.MustParseText("10.0.0.7:40000 > 198.51.100.9:443 tcp S"))
	fmt.Println(first.Netns().Conntrack().Count(), second.Netns().Conntrack().Count())
	// Output: 1 0
}

// Time stands still until the test moves it.
func ExampleHost_Clock() {
	host, coll := gateway()
	coll.Programs[natgw.Egress].Test(packet.MustParseText("10.0.0.7:40000 > 198.51.100.9:443 tcp S"))
	for _, d := range []time.Duration{29 * time.Second, 2 * time.Second} {
		host.Clock().Advance(d)
		n := 0
		for range host.Netns().Conntrack().Snapshots() {
			n++
		}
		fmt.Println(d, "later:", n)
	}
	// Output:
	// 29s later: 1
	// 2s later: 0
}

// LoadAndAssign binds programs, maps and variables to the fields of a struct.
func ExampleHost_LoadAndAssign() {
	spec, err := natgw.Load(natgw.Config{})
	if err != nil {
		log.Fatal(err)
	}
	host, err := bpfct.NewHost(bpfct.HostOptions{})
	if err != nil {
		log.Fatal(err)
	}
	var objs struct {
		Egress   *bpfct.Program  `ebpf:"nat_egress"`
		Outcomes *bpfct.Map      `ebpf:"outcomes"`
		Timeout  *bpfct.Variable `ebpf:"udp_timeout_ms"`
	}
	if err := host.LoadAndAssign(spec, &objs, bpfct.CollectionOptions{}); err != nil {
		log.Fatal(err)
	}
	var ms uint32
	if err := objs.Timeout.Get(&ms); err != nil {
		log.Fatal(err)
	}
	fmt.Println(objs.Egress, objs.Outcomes.Type(), ms)
	// Output: program nat_egress (SchedCLS) PerCPUArray 120000
}

// Run takes what BPF_PROG_TEST_RUN takes, and tells more.
func ExampleProgram_Run() {
	_, coll := gateway()
	res, err := coll.Programs[natgw.Ingress].Run(&bpfct.RunOptions{
		Data: packet.MustParseText("198.51.100.66:6667 > 203.0.113.1:31337 tcp S"),
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(res.Return == 2, len(res.Data)) // TC_ACT_SHOT
	// Output: true 54
}

// A program that the kernel would refuse can be run all the same. The sanitizer stops
// it where it goes wrong, and %+v of the fault tells the whole story.
func ExampleProgram_Run_fault() {
	spec, err := bpfct.LoadCollectionSpecFromReader(bytes.NewReader(faultsObject))
	if err != nil {
		log.Fatal(err)
	}
	host, err := bpfct.NewHost(bpfct.HostOptions{})
	if err != nil {
		log.Fatal(err)
	}
	coll, err := host.LoadCollection(spec, bpfct.CollectionOptions{SkipVerifier: true})
	if err != nil {
		log.Fatal(err)
	}
	_, err = coll.Programs["null_dereference"].Run(nil)
	var fault *vm.Fault
	if errors.As(err, &fault) {
		fmt.Println(fault.Kind, "through", fault.Register)
	}
	// Output: NULL dereference through R0
}

// Keys and values are marshalled as cilium/ebpf does.
func ExampleMap_Iterate() {
	_, coll := gateway()
	m := coll.Maps[natgw.Forwards]
	key, value := natgw.Forward(6, 80, netip.MustParseAddrPort("10.0.0.80:8080"))
	if err := m.Put(key, value); err != nil {
		log.Fatal(err)
	}
	it := m.Iterate()
	for it.Next(&key, &value) {
		fmt.Println(key.Proto, value.Addr[:4])
	}
	fmt.Println(it.Err())
	// Output:
	// 6 [10 0 0 80]
	// <nil>
}
