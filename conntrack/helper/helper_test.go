package helper

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/bpfct/bpfct/conntrack"
)

var v4, v6 = netip.MustParseAddr("10.1.0.5"), netip.MustParseAddr("2001:db8::5")

func TestLines(t *testing.T) {
	for _, c := range []struct {
		line int // of ftpLines
		text string
		own  netip.Addr
		want finding
		addr string
		port uint16
		at   string // the numbers
	}{
		{0, "PORT 10,1,0,5,4,1\r\n", v4, found, "10.1.0.5", 1025, "10,1,0,5,4,1"},
		{0, "port 10,1,0,5,4,1\r\n", v4, found, "10.1.0.5", 1025, "10,1,0,5,4,1"},
		{0, "PORT 10,1,0,5,4,1", v4, partial, "", 0, ""},
		{0, "PORT 10,1,0,5,256,1\r\n", v4, partial, "", 0, ""},
		{0, "PORT", v4, partial, "", 0, ""},
		{0, "PO", v4, partial, "", 0, ""},
		{0, "USER x\r\n", v4, missing, "", 0, ""},
		{1, "EPRT |1|10.1.0.5|1030|\r\n", v4, found, "10.1.0.5", 1030, "|1|10.1.0.5|1030|"},
		{1, "EPRT |2|2001:db8::5|1030|\r\n", v6, found, "2001:db8::5", 1030, "|2|2001:db8::5|1030|"},
		{1, "EPRT |2|2001:db8::5|1030|\r\n", v4, partial, "", 0, ""},
		{2, "227 Entering (10,1,0,5,4,1).\r\n", v4, found, "10.1.0.5", 1025, "10,1,0,5,4,1"},
		{2, "227 none\r\n", v4, partial, "", 0, ""},
		{3, "229 Entering (|||6446|)\r\n", v4, found, "10.1.0.5", 6446, "|||6446|"},
		{3, "229 Entering (|||0|)\r\n", v4, partial, "", 0, ""},
		{3, "229 Entering\r\n", v4, partial, "", 0, ""},
	} {
		cmd, got := ftpLines[c.line].find([]byte(c.text), c.own)
		if got != c.want {
			t.Errorf("%q: %v", c.text, got)
		}
		if got == found && (cmd.addr.String() != c.addr || cmd.port != c.port || c.text[cmd.off:cmd.off+cmd.len] != c.at) {
			t.Errorf("%q: %v %d %q", c.text, cmd.addr, cmd.port, c.text[cmd.off:cmd.off+cmd.len])
		}
	}
}

func TestAttach(t *testing.T) {
	table := conntrack.New(conntrack.Options{})
	p := conntrack.Packet{Zone: conntrack.DefaultZone, Tuple: conntrack.TupleFrom(17, netip.AddrPortFrom(v4, 1000), netip.MustParseAddrPort("10.2.0.5:69"))}
	i := table.Track(&p)
	if Attach(i.Conn, "ftp") || Attach(i.Conn, "irc") || !Attach(i.Conn, "tftp") || i.Conn.Status()&conntrack.IPSHelper == 0 {
		t.Error("attached wrongly")
	}
	if a := Help(table, &Packet{Info: &i, Payload: []byte{0, 1, 'f', 0}}); a.Verdict != conntrack.VerdictAccept || len(table.Expectations()) != 1 {
		t.Errorf("%+v, %d", a, len(table.Expectations()))
	}
	i.Release() // never confirmed: what it expected goes too
	if n := len(table.Expectations()); n != 0 || table.Count() != 0 {
		t.Errorf("%d expectations, %d connections", n, table.Count())
	}
	if !slices.Equal(Names(), []string{"ftp", "tftp"}) {
		t.Error(Names())
	}
}

// FuzzFind reads anything as each kind of line.
func FuzzFind(f *testing.F) {
	for _, l := range lines0 {
		f.Add([]byte(l))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for i := range ftpLines {
			for _, own := range []netip.Addr{v4, v6} {
				cmd, got := ftpLines[i].find(b, own)
				if got == found && (cmd.len <= 0 || cmd.off+cmd.len > len(b) || !cmd.addr.IsValid()) {
					t.Fatalf("%q: %+v", b, cmd)
				}
			}
		}
	})
}

var lines0 = []string{"PORT 10,1,0,5,4,1\r\n", "EPRT |2|2001:db8::5|1030|\r\n", "227 Entering (10,1,0,5,4,1).\r\n", "229 Entering (|||6446|)\r\n"}
