package replay

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/bpfct/bpfct/packet"
)

// mixed is a capture of many conversations, interleaved, as a pcap file.
func mixed(tb testing.TB, flows int) ([]byte, int) {
	var b strings.Builder
	n := 0
	add := func(format string, a ...any) {
		fmt.Fprintf(&b, "+10us "+format+"\n", a...)
		n++
	}
	for f := range flows {
		c, s := fmt.Sprintf("10.0.%d.%d:%d", f>>8&255, f&255, 1024+f%60000), "192.0.2.1:443"
		switch f % 4 {
		case 0:
			add("%s > 192.0.2.53:53 udp len 40", c)
			add("192.0.2.53:53 > %s udp len 200", c)
			continue
		}
		add("%s > %s tcp S seq 99 win 64240 <mss 1460, sackOK, wscale 7>", c, s)
		add("%s > %s tcp S. seq 199 ack 100 win 65160 <mss 1460, sackOK, wscale 7>", s, c)
		add("%s > %s tcp . seq 100 ack 200 win 502", c, s)
		add("%s > %s tcp P. seq 100 ack 200 win 502 len 100", c, s)
		add("%s > %s tcp . seq 200 ack 200 win 509 len 1000", s, c)
		add("%s > %s tcp . seq 200 ack 1200 win 502", c, s)
		add("%s > %s tcp F. seq 200 ack 1200 win 502", c, s)
		add("%s > %s tcp F. seq 1200 ack 201 win 509", s, c)
		add("%s > %s tcp . seq 201 ack 1201 win 502", c, s)
	}
	return convert(tb, b.String(), packet.WriterOptions{Format: packet.FormatPcap}), n
}

// BenchmarkReplay plays a pcap file from memory: packets a second, from the file's
// bytes to counts, to lines of text, to lines of JSON.
func BenchmarkReplay(b *testing.B) {
	data, n := mixed(b, 2000)
	for _, c := range []struct {
		name string
		sink func() Sink
	}{
		{"quiet", func() Sink { return Text(io.Discard, Show{Quiet: true}) }},
		{"text", func() Sink { return Text(io.Discard, Show{}) }},
		{"json", func() Sink { return JSON(io.Discard, Show{}) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				in, err := packet.NewReader(bytes.NewReader(data), packet.ReaderOptions{ReuseBuffer: true})
				if err != nil {
					b.Fatal(err)
				}
				if sum, err := Run(in, Options{}, c.sink(), nil); err != nil || sum.Packets != n {
					b.Fatal(err, sum)
				}
			}
			b.ReportMetric(float64(b.N)*float64(n)/b.Elapsed().Seconds(), "packets/s")
		})
	}
}
