package wire

import (
	"fmt"
	"testing"
	"time"

	ct "github.com/ti-mo/conntrack"

	"github.com/bpfct/bpfct/packet"
)

func raw(tb testing.TB, format string, a ...any) []byte {
	b, _, err := packet.ParseTextLink("raw " + fmt.Sprintf(format, a...))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func TestProbe(t *testing.T) {
	k := Open(t, Rules{})
	r := k.Send(Client, raw(t, "10.1.0.5:1000 > 10.2.0.5:80 tcp S seq 100 win 1000"))
	t.Logf("%+v", r)
	k.Send(Server, raw(t, "10.2.0.5:80 > 10.1.0.5:1000 tcp S. seq 500 ack 101 win 1000"))
	r = k.Send(Client, raw(t, "10.1.0.5:1000 > 10.2.0.5:80 tcp . seq 101 ack 501 win 1000"))
	t.Logf("%+v", r)
	r = k.Send(Client, raw(t, "[fd00:100::5]:1000 > [fd00:200::5]:80 udp \"a\""))
	t.Logf("%+v", r)
	f := ct.NewFlow(6, 0, Client.Addr4(5), Server.Addr4(5), 1000, 80, 0, 0)
	g, ok := k.Entry(f.TupleOrig, 0)
	t.Log(g, ok, g.ProtoInfo.TCP)
	start := time.Now()
	p := raw(t, "10.1.0.5:1000 > 10.2.0.5:80 tcp . seq 101 ack 501 win 1000")
	for range 1000 {
		k.Send(Client, p)
		k.Entry(f.TupleOrig, 0)
	}
	t.Log(time.Since(start) / 1000)
}
