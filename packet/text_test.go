package packet

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// canonical are packets as Format prints them, which thus must read and print
// the same.
var canonical = []string{
	`10.0.0.1:1234 > 10.0.0.2:80 tcp S seq 1 win 64240 <mss 1460> len 0`,
	`10.0.0.1:1234 > 10.0.0.2:80 tcp P. seq 2 ack 1 win 502 <nop,nop,TS val 5 ecr 6> "GET / HTTP/1.0\r\n\r\n"`,
	`10.0.0.1:1 > 10.0.0.2:2 tcp FSRP.UEWe res 5 seq 1 ack 4294967295 win 0 urg 9 <mss 1460,sackOK,TS val 1 ecr 0,nop,wscale 7> len 0`,
	`10.0.0.1:1 > 10.0.0.2:2 tcp none win 0 <sack 1:2 3:4,kind 254 hex:0102> len 0`,
	`10.0.0.1:1 > 10.0.0.2:2 tcp . ack 0 win 1 <hex:02ff0000> hex:00ff`,
	`10.0.0.1:1 > 10.0.0.2:2 tcp S win 1 sum 0xdead len 3`,
	`10.0.0.1:53 > 10.0.0.2:4000 udp "hello"`,
	`10.0.0.1:53 > 10.0.0.2:4000 udp sum 0x0000 "hello"`,
	`10.0.0.1:53 > 10.0.0.2:4000 udp ulen 9 sum 0x1234 "hello"`,
	`[2001:db8::1]:53 > [2001:db8::2]:4000 udp "hello"`,
	`[::ffff:1.2.3.4]:53 > [fe80::1]:4000 tos 0x1c ttl 255 flow 0xbeef tcp S win 1 len 0`,
	`10.0.0.1 > 10.0.0.2 icmp echo request id 7 seq 1`,
	`10.0.0.2 > 10.0.0.1 icmp echo reply id 7 seq 1 len 56`,
	`10.0.0.1 > 10.0.0.2 icmp type 13 rest 0x70001 len 12`,
	`10.0.0.1 > 10.0.0.2 icmp type 3 code 77`,
	`10.0.0.2 > 10.0.0.1 icmp unreachable port (10.0.0.1:1234 > 10.0.0.2:80 udp len 0)`,
	`10.0.0.2 > 10.0.0.1 icmp unreachable port (10.0.0.1:1234 > 10.0.0.2:80 ttl 1 udp sum 0x1234 len 100 cut 8)`,
	`10.0.0.2 > 10.0.0.1 icmp unreachable frag mtu 1400 (10.0.0.1:1234 > 10.0.0.2:80 df tcp none seq 5 len 1460 cut 8)`,
	`10.0.0.2 > 10.0.0.1 icmp unreachable host (10.0.0.1:1234 > 10.0.0.2:80 tcp S seq 5 win 9 <mss 1460> len 70 cut 24)`,
	`10.0.0.2 > 10.0.0.1 icmp time-exceeded in-transit (10.0.0.1 > 10.0.0.2 ttl 0 icmp echo request id 1 seq 2)`,
	`10.0.0.2 > 10.0.0.1 icmp redirect host to 10.0.0.9 (10.0.0.1 > 10.0.0.2 gre hex:0000000011223344)`,
	`10.0.0.2 > 10.0.0.1 icmp param-problem ptr 20 (10.0.0.1 > 10.0.0.2 ipopt <ra> proto 99 len 8)`,
	`10.0.0.2 > 10.0.0.1 icmp quench (10.0.0.1:1 > 10.0.0.2:2 udp "payload" trailer hex:01)`,
	`10.0.0.2 > 10.0.0.1 icmp unreachable admin rest 0x50000 sum 0x0001 (10.0.0.1:1 > 10.0.0.2:2 udp len 0)`,
	`2001:db8::1 > 2001:db8::2 icmp6 echo request id 7 seq 1 "ping"`,
	`2001:db8::1 > 2001:db8::2 icmp6 too-big mtu 1280 ([2001:db8::2]:4 > [2001:db8::1]:5 udp sum 0x0001 len 2000 cut 8)`,
	`2001:db8::1 > 2001:db8::2 icmp6 unreachable no-route ([2001:db8::2]:4 > [2001:db8::1]:5 tcp S win 5 len 0)`,
	`2001:db8::1 > 2001:db8::2 icmp6 param-problem next-header ptr 40 (2001:db8::2 > 2001:db8::1 proto 200 hex:01)`,
	`2001:db8::1 > 2001:db8::2 ttl 255 icmp6 neighbor-solicitation hex:20010db8000000000000000000000002`,
	`2001:db8::1 > 2001:db8::2 hbh <ra 0> dstopts <opt 201 hex:01020304> routing 0 left 1 <2001:db8::5,2001:db8::6> frag 0+ fragid 5 proto 253 hex:0001`,
	`2001:db8::1 > 2001:db8::2 frag 1480+ fragid 5 udp len 100`,
	`2001:db8::1 > 2001:db8::2 routing 4 left 0 <2001:db8::2> nonext len 0`,
	`2001:db8::1 > 2001:db8::2 dstopts <hex:ff0a00000000> ext 44 hex:ff000000000005 proto 44 hex:010203`,
	`10.0.0.1 > 10.0.0.2 ipid 7 frag 1480 udp len 500`,
	`10.0.0.1:1 > 10.0.0.2:2 ipid 7 frag 0+ udp ulen 2000 sum 0x0123 len 1472`,
	`10.0.0.1 > 10.0.0.2 tos 0xb8 ttl 3 ipid 7 rf df ipopt <rr ptr 8 10.0.0.1 1.2.3.4,nop,ra 5,kind 68 hex:0500> gre hex:1234`,
	`10.0.0.1 > 10.0.0.2 iplen 1500 ipsum 0xbeef esp len 40`,
	`eth 02:00:00:00:00:05>02:00:00:00:00:06 10.0.0.1:1 > 10.0.0.2:2 udp len 0 trailer len 18`,
	`svlan 7 vlan 5 pcp 3 dei 10.0.0.1:1 > 10.0.0.2:2 udp len 0`,
	`svlan 5 vlan 6 type 0x8100 hex:00050800`,
	`arp who-has 10.0.0.1 tell 10.0.0.2`,
	`eth 02:00:00:00:00:01>ff:ff:ff:ff:ff:ff arp who-has 10.0.0.1 tell 10.0.0.2 sha 02:00:00:00:00:09 tha 02:00:00:00:00:08 trailer len 18`,
	`arp reply 10.0.0.1 is-at 02:02:02:02:02:02 to 10.0.0.2`,
	`arp op 9 spa 10.0.0.1 tpa 10.0.0.2 tha 02:02:02:02:02:02`,
	`type 0x88b5 hex:0102`,
	`type 0x0026 "llc"`,
	`frame hex:0102`,
	`frame len 0`,
	`raw 10.0.0.1:1 > 10.0.0.2:2 udp "x"`,
	`raw frame hex:00ff`,
}

func TestFormatPrintsWhatWasParsed(t *testing.T) {
	for _, text := range canonical {
		frame, link, err := ParseTextLink(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := (FormatOptions{}).Format(frame, link); got != text {
			t.Errorf("parsed and printed\n%s\nbecomes\n%s", text, got)
		}
	}
}

// Other ways to write a packet than Format's.
func TestParseTextTakesOtherSpellings(t *testing.T) {
	for _, c := range [][2]string{
		{"10.0.0.1:1>10.0.0.2:2 udp", "10.0.0.1:1 > 10.0.0.2:2 udp len 0"},
		{"  10.0.0.1:0x10 >\t10.0.0.2:2 udp length 3 \n", "10.0.0.1:16 > 10.0.0.2:2 udp len 3"},
		{`10.0.0.1:1 > 10.0.0.2:2 udp "a" hex:62 "c" ttl 9`, `10.0.0.1:1 > 10.0.0.2:2 ttl 9 udp "abc"`},
		{"10.0.0.1:1 > 10.0.0.2:2 udp mf", "10.0.0.1:1 > 10.0.0.2:2 frag 0+ udp len 0"},
		{"10.0.0.1:1 > 10.0.0.2:2 tcp .S <mss 1> win 3", "10.0.0.1:1 > 10.0.0.2:2 tcp S. ack 0 win 3 <mss 1> len 0"},
		{"::1 > ::2 hlim 3 hbh <padn 6> hbh <> icmp6 echo request", "::1 > ::2 ttl 3 hbh <> hbh <> icmp6 echo request id 0 seq 0"},
		{"eth 2:0:0:0:0:1>2:0:0:0:0:2 10.0.0.1 > 10.0.0.2 proto 47", "10.0.0.1 > 10.0.0.2 gre len 0"},
		{"10.0.0.1 > 10.0.0.2 proto 6 len 20", "10.0.0.1 > 10.0.0.2 proto 6 len 20"},
		{"10.0.0.1 > 10.0.0.2 proto 17 hex:0001000200080000", "10.0.0.1:1 > 10.0.0.2:2 udp sum 0x0000 len 0"},
		{"10.0.0.1:1 > 10.0.0.2:2 tcp S cut 19", "10.0.0.1:1 > 10.0.0.2:2 tcp S win 64240 cut 19"},
		{"10.0.0.1:1 > 10.0.0.2:2 udp len 70 cut 50", "10.0.0.1:1 > 10.0.0.2:2 iplen 98 udp ulen 78 sum 0xeb4c len 42"},
	} {
		frame, err := ParseText(c[0])
		if err != nil {
			t.Errorf("%q: %v", c[0], err)
			continue
		}
		if got := Format(frame); got != c[1] {
			t.Errorf("%q prints as\n%s, want\n%s", c[0], got, c[1])
		}
	}
}

func TestParseTextBytes(t *testing.T) {
	for _, c := range [][2]string{
		{"10.0.0.1:1234 > 10.0.0.2:80 tcp S seq 1 <mss 1460>",
			"020000000002 020000000001 0800 4500002c 00000000 4006 66ca 0a000001 0a000002" +
				"04d2 0050 00000001 00000000 6002 faf0 8410 0000 020405b4"},
		{`vlan 5 pcp 1 [2001:db8::1]:53 > [2001:db8::2]:4000 udp "hello"`,
			"020000000002 020000000001 8100 2005 86dd 60000000 000d 11 40" +
				"20010db8000000000000000000000001 20010db8000000000000000000000002 0035 0fa0 000d 50b8 68656c6c6f"},
	} {
		frame, err := ParseText(c[0])
		if err != nil {
			t.Fatalf("%q: %v", c[0], err)
		}
		if got, want := hex.EncodeToString(frame), strings.ReplaceAll(c[1], " ", ""); got != want {
			t.Errorf("%q is\n%s, want\n%s", c[0], got, want)
		}
	}
}

func TestParseTextErrorsHaveTheirColumn(t *testing.T) {
	for _, c := range []struct {
		text   string
		column int
		reason string
	}{
		{"", 1, "want an address as 10.0.0.1, 10.0.0.1:80, 2001:db8::1 or [2001:db8::1]:80 for the source, not the end"},
		{"10.0.0.1", 9, `want > after the source, not the end`},
		{"10.0.0.1:70000 > 10.0.0.2:1 udp", 10, "port 70000 out of range (0 to 65535)"},
		{"10.0.0.1:x > 10.0.0.2:1 udp", 10, `want a number for the port, not "x"`},
		{"10.0.0.1 > ::1 udp", 12, "10.0.0.1 and ::1 are not of one family"},
		{"10.0.0.1 > 10.0.0.2", 20, "want tcp, udp, icmp, icmp6, proto N or another protocol, not the end"},
		{"10.0.0.1 > 10.0.0.2 tpc S", 21, `want tcp, udp, icmp, icmp6, proto N or another protocol, not "tpc"`},
		{"10.0.0.1:1 > 10.0.0.2 tcp S", 14, "tcp needs a port: 10.0.0.2:80"},
		{"::1 > ::2 udp", 1, "udp needs a port: [::1]:80"},
		{"10.0.0.1:1 > 10.0.0.2:2 gre", 1, "gre has no ports"},
		{"10.0.0.1:1 > 10.0.0.2:2 frag 8 udp", 1, "a fragment behind the first has no ports"},
		{"10.0.0.1:1 > 10.0.0.2:2 tcp X", 29, `want TCP flags, letters of FSRP.UEWe or none, not "X"`},
		{"10.0.0.1:1 > 10.0.0.2:2 tcp SS", 29, `want TCP flags, letters of FSRP.UEWe or none, not "SS"`},
		{"10.0.0.1:1 > 10.0.0.2:2 tcp S seq 5 seq 6", 37, "seq is given twice"},
		{"10.0.0.1:1 > 10.0.0.2:2 tcp S seq -1", 35, `want a number for seq, not "-1"`},
		{"10.0.0.1:1 > 10.0.0.2:2 tcp S <mss 1460", 40, "want a comma or > in TCP options, not the end"},
		{"10.0.0.1:1 > 10.0.0.2:2 tcp S <mss>", 35, `want a number for mss, not ">"`},
		{"10.0.0.1:1 > 10.0.0.2:2 tcp S <foo 1>", 32, `want a TCP option (mss, wscale, sackOK, sack, TS, nop, eol, kind N hex:...), not "foo"`},
		{"10.0.0.1:1 > 10.0.0.2:2 udp hex:0g", 34, `'g' is no hex digit`},
		{"10.0.0.1:1 > 10.0.0.2:2 udp hex:012", 35, `3 hex digits, want an even number`},
		{`10.0.0.1:1 > 10.0.0.2:2 udp "ä" x`, 33, `"x" is not expected here`},
		{`10.0.0.1:1 > 10.0.0.2:2 udp "abc`, 29, "string has no end or a wrong escape"},
		{"10.0.0.1:1 > 10.0.0.2:2 udp len 999999", 33, "len 999999 out of range (0 to 262144)"},
		{"10.0.0.1:1 > 10.0.0.2:2 udp len 262144 len 1", 44, "more than 262144 bytes of data"},
		{"10.0.0.1 > 10.0.0.2 ttl 256 gre", 25, "ttl 256 out of range (0 to 255)"},
		{"10.0.0.1 > 10.0.0.2 frag 7 gre", 26, `want a multiple of 8 up to 65528 for frag, not "7"`},
		{"10.0.0.1 > 10.0.0.2 hbh <> gre", 21, "hbh is for IPv6 only"},
		{"::1 > ::2 df gre", 11, "df is for IPv4 only"},
		{"10.0.0.1 > 10.0.0.2 icmp unreachable foo", 38, "want a code of unreachable: net, host, proto, port, frag, srcroute, net-unknown, host-unknown, isolated, net-prohibited, host-prohibited, net-tos, host-tos, admin, precedence, cutoff; not \"foo\""},
		{"10.0.0.1 > 10.0.0.2 icmp pong", 26, `want an icmp message such as echo, unreachable or type N, not "pong"`},
		{"10.0.0.1 > 10.0.0.2 icmp echo request (10.0.0.1 > 10.0.0.2 gre)", 39, "this ICMP message quotes no packet"},
		{"10.0.0.1 > 10.0.0.2 icmp unreachable port (::1 > ::2 gre)", 44, "icmp cannot quote a packet of the other family"},
		{"10.0.0.1 > 10.0.0.2 icmp unreachable port (10.0.0.1 > 10.0.0.2 gre", 67, "want ) after the quoted packet, not the end"},
		{"vlan 4096 10.0.0.1 > 10.0.0.2 gre", 6, "vlan 4096 out of range (0 to 4095)"},
		{"vlan 1 vlan 2 vlan 3 10.0.0.1 > 10.0.0.2 gre", 15, "more than two VLAN tags"},
		{"eth 02:00:00:00:00:0g>02:00:00:00:00:01 arp", 5, `want an Ethernet address for the source, not "02:00:00:00:00:0g"`},
		{"arp who-is 10.0.0.1", 5, `want who-has, reply or op after arp, not "who-is"`},
		{"arp who-has ::1 tell 10.0.0.1", 13, `want an IPv4 address for who-has, not "::1"`},
		{"raw 10.0.0.1 > 10.0.0.2 gre", 1, "raw: a frame without an Ethernet header is not taken here"},
		{"fe80::1%eth0 > ::2 gre", 1, `want an address as 10.0.0.1, 10.0.0.1:80, 2001:db8::1 or [2001:db8::1]:80 for the source, not "fe80::1%eth0"`},
	} {
		frame, err := ParseText(c.text)
		var te *TextError
		if !errors.As(err, &te) || frame != nil {
			t.Errorf("%q gives %x, %v, want an error at column %d", c.text, frame, err, c.column)
			continue
		}
		if diff := cmp.Diff(&TextError{Column: c.column, Reason: c.reason}, te); diff != "" {
			t.Errorf("%q (-want +got):\n%s", c.text, diff)
		}
	}
}

func TestParseTextRefusesPacketsThatCannotBe(t *testing.T) {
	for _, c := range [][2]string{
		{"10.0.0.1:1 > 10.0.0.2:2 udp len 65508", "ip at byte 14: length 65536 is more than 65535"},
		{"10.0.0.1 > 10.0.0.2 gre len 65516", "ip at byte 14: length 65536 is more than 65535"},
		{"10.0.0.1 > 10.0.0.2 gre len 5 cut 6", "ip at byte 14: cannot cut at byte 6 of 5"},
		{"10.0.0.1 > 10.0.0.2 iplen 5 gre len 262144", "frame at byte 0: 262178 bytes are more than 262144"},
	} {
		frame, err := ParseText(c[0])
		if err == nil || err.Error() != c[1] || frame != nil {
			t.Errorf("%q gives %d bytes, %v, want %s", c[0], len(frame), err, c[1])
		}
	}
}

func TestFormatBriefAndLink(t *testing.T) {
	frame := MustParseText(`10.0.0.1:1 > 10.0.0.2:2 udp "hello"`)
	if got, want := (FormatOptions{Brief: true}).Format(frame, LinkEthernet), "10.0.0.1:1 > 10.0.0.2:2 udp len 5"; got != want {
		t.Errorf("brief: %s, want %s", got, want)
	}
	if got, want := (FormatOptions{ShowLink: true}).Format(frame, LinkEthernet), `eth 02:00:00:00:00:01>02:00:00:00:00:02 10.0.0.1:1 > 10.0.0.2:2 udp "hello"`; got != want {
		t.Errorf("with link: %s, want %s", got, want)
	}
	sll := append(make([]byte, 14), append([]byte{8, 0}, frame[14:]...)...)
	if got, want := (FormatOptions{}).Format(sll, LinkLinuxSLL), `10.0.0.1:1 > 10.0.0.2:2 udp "hello"`; got != want {
		t.Errorf("cooked: %s, want %s", got, want)
	}
	if got, want := (FormatOptions{}).Format(sll[:9], LinkLinuxSLL), `raw frame len 9`; got != want {
		t.Errorf("cut cooked: %s, want %s", got, want)
	}
}

// Packets quoted deeper than the text form allows are printed as bytes.
func TestFormatOfDeepQuotes(t *testing.T) {
	text := "10.0.0.1:1 > 10.0.0.2:2 udp"
	for range 5 {
		text = "10.0.0.2 > 10.0.0.1 icmp unreachable port (" + text + ")"
	}
	frame := MustParseText(text)
	if got := Format(frame); got != text+"" && !strings.Contains(got, "((((") && strings.Count(got, "(") != 5 {
		t.Errorf("five deep prints as %s", got)
	}
	for range 5 {
		text = "10.0.0.2 > 10.0.0.1 icmp unreachable port (" + text + ")"
	}
	if _, err := ParseText(text); err == nil || !strings.Contains(err.Error(), "quoted more than 8 deep") {
		t.Errorf("ten deep gives %v", err)
	}
}
