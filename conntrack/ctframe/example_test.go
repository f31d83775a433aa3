package ctframe_test

import (
	"fmt"

	"github.com/bpfct/bpfct/conntrack"
	"github.com/bpfct/bpfct/conntrack/ctframe"
	"github.com/bpfct/bpfct/packet"
)

// Why is the last packet INVALID? Its ACK is for data that was never sent.
func Example() {
	table := conntrack.New(conntrack.Options{})
	p := conntrack.Packet{Zone: conntrack.DefaultZone}
	for _, line := range []string{
		"10.0.0.1:1234 > 10.0.0.2:80 tcp S seq 1000 win 64240 <mss 1460,sackOK,wscale 7>",
		"10.0.0.2:80 > 10.0.0.1:1234 tcp S. seq 5000 ack 1001 win 65160 <mss 1460,sackOK,wscale 7>",
		"10.0.0.1:1234 > 10.0.0.2:80 tcp . seq 1001 ack 5001 win 502",
		"10.0.0.1:1234 > 10.0.0.2:80 tcp . seq 1001 ack 9001 win 502",
	} {
		frame := packet.MustParseText(line)
		info, err := packet.Parse(frame, packet.LinkEthernet)
		if err != nil {
			fmt.Println(err)
			return
		}
		if !ctframe.Fill(&p, frame, &info, true) {
			continue // no IP
		}
		i := table.Track(&p)
		table.Confirm(&i)
		if i.State() == conntrack.StateInvalid {
			fmt.Println("INVALID:", i.Reason)
			continue
		}
		state, _ := i.Conn.TCPState()
		fmt.Println(i.State(), i.Dir(), state)
		i.Release()
	}
	// Output:
	// NEW original SYN_SENT
	// ESTABLISHED reply SYN_RECV
	// ESTABLISHED original ESTABLISHED
	// INVALID: it acknowledges up to 9001, of which only what is below 5002 was seen
}
