package packet

import "strconv"

// EtherTypes that this package tells apart.
const (
	EtherTypeIPv4 uint16 = 0x0800
	EtherTypeARP  uint16 = 0x0806
	EtherTypeVLAN uint16 = 0x8100 // IEEE 802.1Q, customer tag
	EtherTypeIPv6 uint16 = 0x86dd
	EtherTypeQinQ uint16 = 0x88a8 // IEEE 802.1ad, service tag
)

// IP protocol numbers, also those of IPv6 extension headers.
const (
	ProtoHopByHop uint8 = 0
	ProtoICMP     uint8 = 1
	ProtoIGMP     uint8 = 2
	ProtoIPIP     uint8 = 4
	ProtoTCP      uint8 = 6
	ProtoUDP      uint8 = 17
	ProtoDCCP     uint8 = 33
	ProtoIPv6     uint8 = 41
	ProtoRouting  uint8 = 43
	ProtoFragment uint8 = 44
	ProtoGRE      uint8 = 47
	ProtoESP      uint8 = 50
	ProtoAH       uint8 = 51
	ProtoICMPv6   uint8 = 58
	ProtoNoNext   uint8 = 59
	ProtoDstOpts  uint8 = 60
	ProtoSCTP     uint8 = 132
	ProtoUDPLite  uint8 = 136
)

// ProtoName is the usual short name of an IP protocol, or its number.
func ProtoName(p uint8) string {
	switch p {
	case ProtoHopByHop:
		return "hbh"
	case ProtoICMP:
		return "icmp"
	case ProtoIGMP:
		return "igmp"
	case ProtoIPIP:
		return "ipip"
	case ProtoTCP:
		return "tcp"
	case ProtoUDP:
		return "udp"
	case ProtoDCCP:
		return "dccp"
	case ProtoIPv6:
		return "ipv6"
	case ProtoRouting:
		return "routing"
	case ProtoFragment:
		return "fragment"
	case ProtoGRE:
		return "gre"
	case ProtoESP:
		return "esp"
	case ProtoAH:
		return "ah"
	case ProtoICMPv6:
		return "icmp6"
	case ProtoNoNext:
		return "nonext"
	case ProtoDstOpts:
		return "dstopts"
	case ProtoSCTP:
		return "sctp"
	case ProtoUDPLite:
		return "udplite"
	}
	return strconv.Itoa(int(p))
}

// isICMPError reports whether an ICMP message quotes the packet that caused
// it, eight bytes after its own start.
func isICMPError(proto, typ uint8) bool {
	switch proto {
	case ProtoICMP:
		return typ == 3 || typ == 4 || typ == 5 || typ == 11 || typ == 12
	case ProtoICMPv6:
		return typ >= 1 && typ <= 4
	}
	return false
}
