package pkt

import "net/netip"

// Tunnel is the key and the options of a tunnel (struct ip_tunnel_info).
type Tunnel struct {
	ID            uint64
	Local, Remote netip.Addr
	TOS, TTL      uint8
	// Label is the IPv6 flow label.
	Label uint32
	// Flags are the tunnel's flags (TUNNEL_*), as numbers in host order.
	Flags uint16
	// Options are those of the tunnel's protocol; nil for none.
	Options []byte
	// HasOptions tells none from an empty list.
	HasOptions bool
}
