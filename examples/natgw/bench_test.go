package natgw_test

import (
	"testing"
	"time"

	"github.com/bpfct/bpfct"
	"github.com/bpfct/bpfct/examples/natgw"
	"github.com/bpfct/bpfct/live"
	"github.com/bpfct/bpfct/packet"
)

// BenchmarkPacket translates packets of one known connection, on bpfct and on the
// kernel.
func BenchmarkPacket(b *testing.B) {
	in := packet.MustParseText("10.0.0.7:40000 > 198.51.100.9:443 tcp . seq 1 ack 1 len 512")
	b.Run("bpfct", func(b *testing.B) {
		u := newUser(b, config())
		p := u.coll.Programs[natgw.Egress]
		for b.Loop() {
			if _, err := p.Run(&bpfct.RunOptions{Data: in}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("kernel", func(b *testing.B) {
		k := newKernel(b, config())
		var total time.Duration
		for b.Loop() {
			// One repetition: the next would see a packet that is translated already.
			res, err := k.host.Run(k.coll.Programs[natgw.Egress], live.RunOptions{Data: in})
			if err != nil {
				b.Fatal(err)
			}
			total += res.Duration
		}
		b.ReportMetric(float64(total)/float64(b.N), "in-kernel-ns/op")
	})
}

// BenchmarkLoad reads, links, verifies and compiles the gateway.
func BenchmarkLoad(b *testing.B) {
	for b.Loop() {
		newUser(b, config())
	}
}
