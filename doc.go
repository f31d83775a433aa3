// Package bpfct runs eBPF programs that use connection tracking, in user space:
// an unmodified object compiled by clang, on real packets, against a faithful
// model of Linux' connection tracker, with a clock that the test owns. It needs no
// root and no Linux.
//
// The shapes are those of github.com/cilium/ebpf: an ELF file is read into an
// *ebpf.CollectionSpec, a Host loads the spec into a Collection of Programs,
// Maps and Variables, and a Program runs on a packet.
//
//	spec, err := bpfct.LoadCollectionSpec("nat.bpf.o")
//	host, err := bpfct.NewHost(bpfct.HostOptions{})
//	coll, err := host.LoadCollection(spec, bpfct.CollectionOptions{})
//	ret, out, err := coll.Programs["nat_egress"].Test(packet)
//	for _, ct := range host.Netns().Conntrack().All() { ... }
//	host.Clock().Advance(30 * time.Second)
//
// Two Hosts share nothing. A run is a pure function of object, packets,
// configuration and seed: the same again gives the same bytes.
//
// A program that dereferences NULL, leaves its object, uses a connection after
// its release or ends while it holds one is stopped with a *vm.Fault that says
// where; see %+v of the error.
package bpfct
