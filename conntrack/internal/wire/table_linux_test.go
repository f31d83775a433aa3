package wire

import (
	"testing"

	ct "github.com/ti-mo/conntrack"
)

func TestTable(t *testing.T) {
	k := Open(t, Rules{})
	names := []string{"NONE", "SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT", "CLOSE", "SYN_SENT2"}
	port := uint16(1000)
	for _, closeInit := range []uint16{0, 0x0404} {
		for dir := range 2 {
			for _, fl := range []string{"S", "S.", "F.", ".", "R"} {
				row := ""
				for st := range names {
					port++
					f := ct.NewFlow(6, ct.StatusConfirmed|ct.StatusSeenReply|ct.StatusAssured, Client.Addr4(5), Server.Addr4(5), port, 80, 5000, 0)
					f.ProtoInfo.TCP = &ct.ProtoInfoTCP{State: uint8(st), OriginalFlags: 0x0808 | closeInit, ReplyFlags: 0x0808 | closeInit}
					if err := k.CT.Create(f); err != nil {
						t.Fatal(err)
					}
					g0, _ := k.Entry(f.TupleOrig, 0)
					if g0.ProtoInfo.TCP == nil || int(g0.ProtoInfo.TCP.State) != st || g0.ProtoInfo.TCP.OriginalFlags>>8 != 0x8|closeInit>>8 {
						t.Logf("%s: %+v", names[st], g0.ProtoInfo.TCP)
					}
					p := raw(t, "10.1.0.5:%d > 10.2.0.5:80 tcp %s seq 100 ack 100 win 1000", port, fl)
					if dir == 1 {
						p = raw(t, "10.2.0.5:80 > 10.1.0.5:%d tcp %s seq 100 ack 100 win 1000", port, fl)
					}
					r := k.Send(Side(dir), p)
					g, ok := k.Entry(f.TupleOrig, 0)
					w := ""
					switch {
					case !ok:
						w = "gone"
					case g.ID != g0.ID:
						w = "reopen:" + names[g.ProtoInfo.TCP.State]
					case r.Class == Invalid:
						w = "INVALID"
					case g.Timeout > 4000 && g.Timeout < 5005:
						w = "ignored"
					default:
						w = names[g.ProtoInfo.TCP.State]
					}
					row += " " + w
				}
				t.Logf("%d %d %-2s %s", closeInit, dir, fl, row)
			}
		}
	}
}
