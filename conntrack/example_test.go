package conntrack_test

import (
	"fmt"
	"net/netip"
	"os"

	"github.com/bpfct/bpfct/conntrack"
)

// A client behind a gateway calls a server, and the answer finds its way.
func Example() {
	table := conntrack.New(conntrack.Options{})
	client, server := netip.MustParseAddrPort("10.0.0.1:40000"), netip.MustParseAddrPort("192.0.2.1:443")
	gateway := conntrack.AddrFrom(netip.MustParseAddr("203.0.113.5"))

	conn, err := table.Alloc(conntrack.TupleFrom(conntrack.ProtoTCP, client, server), conntrack.DefaultZone)
	if err != nil {
		fmt.Println(err)
		return
	}
	conn.SetTimeout(60_000)
	conn.SetNATInfo(gateway, 0, conntrack.ManipSrc)
	if err := table.Insert(conn); err != nil {
		fmt.Println(err)
		return
	}
	conn.Release()

	answer := conntrack.TupleFrom(conntrack.ProtoTCP, server, netip.MustParseAddrPort("203.0.113.5:40000"))
	found, dir, err := table.Lookup(answer, conntrack.DefaultZone)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer found.Release()
	fmt.Println(dir, found.Status())
	table.Dump(os.Stdout, conntrack.DumpOptions{Extended: true})
	// Output:
	// reply CONFIRMED|SRC_NAT|SRC_NAT_DONE
	// ipv4     2 tcp      6 60 NONE src=10.0.0.1 dst=192.0.2.1 sport=40000 dport=443 [UNREPLIED] src=192.0.2.1 dst=203.0.113.5 sport=443 dport=40000 mark=0 use=2
}
