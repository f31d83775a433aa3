package packet

import (
	"fmt"
	"net/netip"
	"strings"
)

// MAC is an Ethernet address.
type MAC [6]byte

func (m MAC) String() string {
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5])
}

// The addresses of a frame whose text has none. Both are locally administered.
var (
	DefaultSrcMAC = MAC{2, 0, 0, 0, 0, 1}
	DefaultDstMAC = MAC{2, 0, 0, 0, 0, 2}
)

// MaxFrame is the length of the longest frame that this package builds, and
// the most it takes for one packet of a capture. tcpdump has the same bound.
const MaxFrame = 262144

// Frame is a frame taken apart. Build makes the bytes of it and Decode is the
// way back; a zero field is a zero in the frame, except that the lengths,
// types, checksums and header lengths that follow from the rest are filled in
// by Build unless a pointer forces another value.
type Frame struct {
	Link LinkType // LinkEthernet, or LinkRaw for a frame that starts with the IP header

	Bytes []byte // the whole frame, where it is too short for its link header; all else is ignored then

	Dst, Src MAC
	VLANs    []VLAN // outermost first

	IP      *IP    // one of these three, nil for the others
	ARP     *ARP   //
	Data    []byte // what follows the link header, of type Type
	Type    uint16 // EtherType of Data
	Trailer []byte // behind the IP packet or ARP message, such as Ethernet padding
}

// ARP is an ARP message for IPv4 over Ethernet.
type ARP struct {
	Op                   uint16 // 1 request, 2 reply
	SenderMAC, TargetMAC MAC
	SenderIP, TargetIP   netip.Addr
}

// IP is an IPv4 or IPv6 packet; the family is that of its addresses.
type IP struct {
	Src, Dst netip.Addr
	TOS      uint8 // type of service, traffic class
	TTL      uint8 // time to live, hop limit

	ID         uint16 // IPv4 identification; all to the next blank line is IPv4 only
	DF, MF, RF bool   // don't fragment, more fragments, the reserved bit
	FragOffset int    // in bytes, a multiple of 8
	Options    []byte // padded to a multiple of 4
	Sum        *uint16

	FlowLabel uint32 // IPv6 only
	Ext       []Ext  // IPv6 only: extension headers in order

	Len *uint16 // forces the total length of IPv4, the payload length of IPv6

	TCP     *TCP   // one of these four, or none
	UDP     *UDP   //
	ICMP    *ICMP  // over either family
	Payload []byte // what follows the TCP, UDP or ICMP header, or all if there is none
	Quote   *IP    // the packet that an ICMP error quotes, in place of Payload
	Proto   uint8  // of the payload if there is no TCP, UDP or ICMP

	Cut     *int   // cut the packet this many bytes behind the IP header, lengths as if it were whole
	Trailer []byte // behind a quoted packet, up to the end of the ICMP error
}

// V6 reports whether p is an IPv6 packet.
func (p *IP) V6() bool { return p.Src.Is6() }

// Ext is an IPv6 extension header. Data is all of it; Build fills the first
// byte with what follows.
type Ext struct {
	Proto uint8
	Data  []byte // a multiple of 8 bytes
}

// Flags of a TCP header, FlagNS (now AE) the highest.
const (
	FlagFIN uint16 = 1 << iota
	FlagSYN
	FlagRST
	FlagPSH
	FlagACK
	FlagURG
	FlagECE
	FlagCWR
	FlagNS
)

// tcpFlagLetters are tcpdump's, from the lowest bit up.
const tcpFlagLetters = "FSRP.UEWe"

// FlagLetters writes TCP flags as tcpdump does: "S.", "P.", "none".
func FlagLetters(flags uint16) string {
	var b strings.Builder
	for i := range tcpFlagLetters {
		if flags>>i&1 != 0 {
			b.WriteByte(tcpFlagLetters[i])
		}
	}
	if b.Len() == 0 {
		return "none"
	}
	return b.String()
}

// TCP is a TCP header.
type TCP struct {
	Src, Dst uint16
	Seq, Ack uint32
	Flags    uint16 // low 9 bits; the next 3 are reserved
	Window   uint16
	Urgent   uint16
	Options  []byte // padded to a multiple of 4
	Sum      *uint16
}

// UDP is a UDP header.
type UDP struct {
	Src, Dst uint16
	Len      *uint16
	Sum      *uint16 // 0 for no checksum
}

// ICMP is an ICMP or ICMPv6 header; IP.Proto says which, or the family where
// that is 0.
type ICMP struct {
	Type, Code uint8
	Rest       uint32 // the second word of the header: id and seq, MTU, gateway, ...
	Sum        *uint16
}
