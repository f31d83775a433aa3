// Package packet knows frames: their headers, checksums, captures and a text
// form to write and print them. It knows nothing of connections or programs.
//
// Start with [Parse], which walks the headers of a frame and allocates
// nothing, or with [ParseText] and [Format], which turn text into a frame and
// back. [NewReader] and [NewWriter] read and write captures, [Diff] tells in
// which fields two frames differ, and the Checksum, Update and Csum functions
// compute Internet checksums whole and in steps. [Frame] is a frame taken
// apart, for programs that put one together field by field.
//
// # Text form
//
// A packet is written on one line, much as tcpdump prints it:
//
//	10.0.0.1:1234 > 10.0.0.2:80 tcp S seq 1 win 64240 <mss 1460> len 0
//	10.0.0.1:1234 > 10.0.0.2:80 tcp P. seq 2 ack 1 "GET / HTTP/1.0\r\n\r\n"
//	[2001:db8::1]:53 > [2001:db8::2]:4000 udp "hello"
//	10.0.0.1 > 10.0.0.2 icmp echo request id 7 seq 1
//	10.0.0.2 > 10.0.0.1 icmp unreachable port (10.0.0.1:1234 > 10.0.0.2:80 udp)
//	10.0.0.1 > 10.0.0.2 ipid 7 frag 1480 udp hex:00112233
//	2001:db8::1 > 2001:db8::2 hbh <ra 0> icmp6 echo reply id 7 seq 1 len 56
//	eth 02:00:00:00:00:05>02:00:00:00:00:06 svlan 7 vlan 5 10.0.0.1 > 10.0.0.2 gre hex:0000
//	arp who-has 10.0.0.2 tell 10.0.0.1
//
// Without eth the addresses are [DefaultSrcMAC] and [DefaultDstMAC]; raw in
// front leaves the Ethernet header away. Numbers are decimal or 0x. A comma
// stands only inside < >. What is not written has its usual value: TTL 64, TCP
// window 64240, and lengths and checksums that are right; words such as sum,
// iplen or ulen force another value. The grammar, with {} for any number of
// times and [] for once at most:
//
//	packet    = [ "raw" | "eth" mac ">" mac ] { vlan } body [ "trailer" data ]
//	vlan      = ( "vlan" | "svlan" ) id [ "pcp" n ] [ "dei" ]         802.1Q, 802.1ad; two at most
//	body      = ip | arp | "type" ethertype data | "frame" data      frame: all bytes, no header made
//	arp       = ( "who-has" addr "tell" addr | "reply" addr "is-at" mac "to" addr
//	            | "op" n "spa" addr "tpa" addr ) [ "sha" mac ] [ "tha" mac ]
//	ip        = endpoint ">" endpoint { ipattr } transport { ipattr | data } [ "cut" n ]
//	endpoint  = addr | v4addr ":" port | "[" v6addr "]:" port
//	ipattr    = "tos" n | "ttl" n | "iplen" n | "frag" offset [ "+" ] [ "fragid" n ]
//	          | "ipid" n | "df" | "mf" | "rf" | "ipsum" n | "ipopt" list       IPv4
//	          | "flow" n | ext                                              IPv6
//	ext       = ( "hbh" | "dstopts" ) list | "routing" type "left" n ( list | hex ) | "ext" proto hex
//	transport = "tcp" flags { "seq" n | "ack" n | "win" n | "urg" n | "res" n | "sum" n | list }
//	          | "udp" { "ulen" n | "sum" n }                                sum 0: no checksum
//	          | ( "icmp" | "icmp6" ) message { "rest" n | "sum" n } [ "(" ip [ "trailer" data ] ")" ]
//	          | "proto" n | "gre" | "esp" | "sctp" | ...                    the rest is data
//	flags     = letters of "FSRP.UEWe" | "none"
//	message   = "echo" ( "request" | "reply" ) [ "id" n ] [ "seq" n ]
//	          | "unreachable" code [ "mtu" n ] | "time-exceeded" ( "in-transit" | "reassembly" )
//	          | "redirect" code "to" addr | "quench" | "param-problem" [ code ] "ptr" n
//	          | "too-big" "mtu" n | "type" n [ "code" n ]
//	          | ( "router" | "neighbor" ) "-" ( "solicitation" | "advertisement" )      one word
//	data      = { "len" n | "hex:" digits | string }                 len: zero bytes; string as in Go
//	hex       = "hex:" digits
//	list      = "<" [ item { "," item } ] ">"
//	item      = "mss" n | "wscale" n | "sackOK" | "sack" l:r ... | "TS" "val" n "ecr" n     TCP
//	          | "ra" [ n ] | ( "rr" | "lsrr" | "ssrr" ) [ "ptr" n ] addr ...               IPv4
//	          | "ra" n | "pad1" | "padn" n | "jumbo" n | "opt" n [ hex ]                   IPv6
//	          | "nop" | "eol" | "kind" n [ hex ] | hex
//
// A fragment behind the first has no transport header, and so no ports. cut
// shortens the packet to that many bytes behind its IP header, as an ICMP error
// or a capture does, and leaves the lengths as they were. Option lists are
// padded at their end.
//
// A text file has one packet a line. Behind a # is a comment. A line may start
// with a stamp: 1.5 in seconds since the start, 250ms, or +0.5s since the
// packet before.
package packet
