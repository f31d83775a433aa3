// Package demo is the built-in demonstration: the gateway of examples/natgw,
// compiled from C, translates a handful of packets. Start at Run.
package demo

import (
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"github.com/bpfct/bpfct"
	"github.com/bpfct/bpfct/conntrack"
	"github.com/bpfct/bpfct/examples/natgw"
	"github.com/bpfct/bpfct/packet"
	"github.com/bpfct/bpfct/trial"
)

// step is one event of the conversation: a packet at a program, or time that
// passes.
type step struct {
	why     string
	program string
	packet  string
	advance time.Duration
}

var steps = []step{
	{why: "an inside host opens a connection: the gateway allocates an entry and gives it an address of the pool",
		program: natgw.Egress, packet: "10.0.0.7:40000 > 198.51.100.9:443 tcp S seq 1 win 64240 <mss 1460>"},
	{why: "the answer is found by the reply tuple and translated back",
		program: natgw.Ingress, packet: "198.51.100.9:443 > 203.0.113.1:40000 tcp S. seq 100 ack 2 win 65535 <mss 1460>"},
	{why: "another host, the same port towards the same server: the port must change",
		program: natgw.Egress, packet: "10.0.0.9:40000 > 198.51.100.9:443 tcp S seq 1 win 64240"},
	{why: "UDP over IPv6",
		program: natgw.Egress, packet: `[fd00::7]:5353 > [2001:db8::53]:53 udp "query"`},
	{why: "a router on the way complains: the packet it quotes is translated, too",
		program: natgw.Ingress, packet: "192.0.2.1 > 203.0.113.1 icmp time-exceeded in-transit (203.0.113.1:40000 > 198.51.100.9:443 tcp S seq 1 cut 8)"},
	{why: "from outside to a forwarded port",
		program: natgw.Ingress, packet: "198.51.100.77:50123 > 203.0.113.1:80 tcp S seq 9 win 1024"},
	{why: "an inside host takes the same port by the outside address: hairpin",
		program: natgw.Egress, packet: "10.0.0.9:41000 > 203.0.113.1:80 tcp S seq 5 win 1024"},
	{why: "nobody asked for this one",
		program: natgw.Ingress, packet: "198.51.100.66:6667 > 203.0.113.1:31337 tcp S seq 1 win 1024"},
	{why: "31 seconds later the entries that nobody answered are gone", advance: 31 * time.Second},
}

// insideIfindex is the device that hairpin traffic goes back to: the namespace's
// loopback stands for it.
const insideIfindex = 1

// Options say how Run prints.
type Options struct {
	// Profile is the kernel to model, "" for the default.
	Profile string
}

// Run plays the demonstration and writes packets, verdicts and entries to w.
func Run(w io.Writer, opts Options) error {
	spec, err := natgw.Load(natgw.Config{
		Pool4: netip.MustParsePrefix("203.0.113.1/32"), Inside4: netip.MustParsePrefix("10.0.0.0/24"),
		Pool6: netip.MustParsePrefix("2001:db8:1::1/128"), Inside6: netip.MustParsePrefix("fd00::/64"),
		InsideIfindex: insideIfindex,
	})
	if err != nil {
		return err
	}
	host, err := bpfct.NewHost(bpfct.HostOptions{Profile: opts.Profile})
	if err != nil {
		return err
	}
	coll, err := host.LoadCollection(spec, bpfct.CollectionOptions{})
	if err != nil {
		return err
	}
	defer coll.Close()
	key, value := natgw.Forward(conntrack.ProtoTCP, 80, netip.MustParseAddrPort("10.0.0.80:8080"))
	if err := coll.Maps[natgw.Forwards].Put(key, value); err != nil {
		return err
	}
	fmt.Fprintf(w, "inside 10.0.0.0/24, fd00::/64 -- [ natgw on %s ] -- outside, as 203.0.113.1, 2001:db8:1::1\n", host.Profile().Title)
	fmt.Fprintf(w, "port 80 is forwarded to 10.0.0.80:8080\n")
	for i, s := range steps {
		if s.program == "" {
			fmt.Fprintln(w, "\nthe connections, as conntrack -L -o extended shows them:")
			if err := dump(w, host.Netns().Conntrack()); err != nil {
				return err
			}
			host.Clock().Advance(s.advance)
		}
		fmt.Fprintf(w, "\n%d. %s\n", i+1, s.why)
		if s.program == "" {
			continue
		}
		if err := play(w, coll.Programs[s.program], s.packet); err != nil {
			return err
		}
	}
	return dump(w, host.Netns().Conntrack())
}

func play(w io.Writer, prog *bpfct.Program, text string) error {
	in, err := packet.ParseText(text)
	if err != nil {
		return err
	}
	res, err := prog.Run(&bpfct.RunOptions{Data: in})
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "   in   %s\n   %s returns %s", packet.Format(in), prog.Name(), trial.Verdict(prog.Type(), res.Return))
	if res.Redirect != nil {
		fmt.Fprintf(w, ", to device %d", res.Redirect.Ifindex)
	}
	fmt.Fprintln(w)
	if !trial.Dropped(prog.Type(), res.Return) {
		fmt.Fprintf(w, "   out  %s\n", packet.Format(res.Data))
	}
	return nil
}

func dump(w io.Writer, table *conntrack.Table) error {
	var b strings.Builder
	if err := table.Dump(&b, conntrack.DumpOptions{Extended: true}); err != nil {
		return err
	}
	for line := range strings.Lines(b.String()) {
		fmt.Fprint(w, "  ", line)
	}
	return nil
}
