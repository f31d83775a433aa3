package defrag_test

import (
	"fmt"

	"github.com/bpfct/bpfct/defrag"
	"github.com/bpfct/bpfct/packet"
)

// The pieces of a packet come in the wrong order.
func Example() {
	whole := packet.MustParseText("10.0.0.1:1 > 10.0.0.2:2 ipid 7 udp len 2000")[14:]
	parts, err := defrag.Fragment(whole, 1500, 0, false)
	if err != nil {
		fmt.Println(err)
	}
	r := defrag.New(defrag.Options{})
	for _, p := range [][]byte{parts[1], parts[0]} {
		info, _ := packet.Parse(p, packet.LinkRaw)
		got := r.Push(p, &info, 0)
		fmt.Println(len(p), "bytes in,", len(got.Packet), "out")
	}
	// Output:
	// 548 bytes in, 0 out
	// 1500 bytes in, 2028 out
}
