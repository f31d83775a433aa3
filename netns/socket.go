package netns

import (
	"net/netip"
	"slices"
	"sync/atomic"
)

// Address families as Linux numbers them.
const (
	FamilyUnspec = 0
	FamilyINET   = 2
	FamilyINET6  = 10
)

// SocketState is the state of a socket as TCP counts (TCP_ESTABLISHED is 1).
type SocketState uint8

// The states of sockets.
const (
	StateEstablished SocketState = iota + 1
	StateSynSent
	StateSynRecv
	StateFinWait1
	StateFinWait2
	StateTimeWait
	StateClose
	StateCloseWait
	StateLastAck
	StateListen
	StateClosing
	StateNewSynRecv
)

// Types of sockets and protocols as Linux numbers them.
const (
	SockStream = 1
	SockDgram  = 2
	ProtoTCP   = 6
	ProtoUDP   = 17
)

// Socket is a socket of a namespace. Its exported fields do not change after
// AddSocket.
type Socket struct {
	Family   uint16
	Type     uint16
	Protocol uint16
	State    SocketState
	// Local and Remote are the addresses; the address part of Local is
	// unspecified for a socket bound to all.
	Local, Remote netip.AddrPort
	// BoundDevice is SO_BINDTODEVICE, 0 for none.
	BoundDevice int
	Mark        uint32
	Priority    uint32
	// V6Only is IPV6_V6ONLY.
	V6Only bool
	// RxQueue is the queue that packets of the socket came by last, -1 for none.
	RxQueue int32
	// Cookie is SO_COOKIE, UID the owner.
	Cookie uint64
	UID    uint32
	// Reuseport is SO_REUSEPORT, Transparent IP_TRANSPARENT.
	Reuseport, Transparent bool
	// TCP is nil for other protocols.
	TCP *TCPState
	// Netns is the namespace; AddSocket sets it.
	Netns *Netns

	// overflow is when the queue of a listener overflowed last, in jiffies plus
	// one; 0 for never.
	overflow atomic.Uint64
}

// TCPState has what bpf_tcp_sock shows of a TCP socket, by the names of its
// members.
type TCPState struct {
	SndCwnd, SrttUs, RttMin, SndSsthresh               uint32
	RcvNxt, SndNxt, SndUna, MssCache, EcnFlags         uint32
	RateDelivered, RateIntervalUs                      uint32
	PacketsOut, RetransOut, TotalRetrans               uint32
	SegsIn, DataSegsIn, SegsOut, DataSegsOut           uint32
	LostOut, SackedOut                                 uint32
	BytesReceived, BytesAcked                          uint64
	DsackDups, Delivered, DeliveredCe, IcskRetransmits uint32
}

// Jiffies is a clock as sockets need it.
type Jiffies interface {
	Jiffies() uint64
	HZ() int
}

// NoteSynOverflow records that the listener's queue of requests overflows now, so
// that SYN cookies are taken for some time.
func (s *Socket) NoteSynOverflow(j Jiffies) { s.overflow.Store(j.Jiffies() + 1) }

// SynOverflowed reports whether the listener's queue overflowed in the last two
// minutes.
func (s *Socket) SynOverflowed(j Jiffies) bool {
	const valid = 2 * 60 // seconds
	at := s.overflow.Load()
	return at != 0 && j.Jiffies()+1-at <= uint64(valid*j.HZ())
}

// AddSocket adds the socket, of which the namespace keeps the pointer.
func (n *Netns) AddSocket(s *Socket) {
	n.mu.Lock()
	defer n.mu.Unlock()
	s.Netns = n
	if s.Cookie == 0 {
		for _, o := range n.sockets {
			s.Cookie = max(s.Cookie, o.Cookie)
		}
		s.Cookie++
	}
	n.sockets = append(n.sockets, s)
}

// RemoveSocket takes the socket out.
func (n *Netns) RemoveSocket(s *Socket) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if i := slices.Index(n.sockets, s); i >= 0 {
		n.sockets = slices.Delete(n.sockets, i, i+1)
	}
}

// HasSocket reports whether the socket is in the namespace's tables.
func (n *Netns) HasSocket(s *Socket) bool {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return slices.Contains(n.sockets, s)
}

// Sockets returns all sockets, oldest first.
func (n *Netns) Sockets() []*Socket {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return slices.Clone(n.sockets)
}

// LookupTCP returns the socket that a TCP segment from src to dst, arrived by
// the device of index dif, belongs to: a connection, else the listener that fits
// best. nil when there is none.
func (n *Netns) LookupTCP(src, dst netip.AddrPort, dif int) *Socket {
	n.mu.RLock()
	defer n.mu.RUnlock()
	for _, s := range slices.Backward(n.sockets) {
		if s.Protocol == ProtoTCP && s.State != StateListen && s.State != StateClose &&
			samePort(s.Remote, src) && samePort(s.Local, dst) && s.boundTo(dif) &&
			(dst.Addr().Is4() || s.Family == FamilyINET6) {
			return s
		}
	}
	// A listener on the very address is preferred to one on all of them.
	for _, local := range []netip.Addr{dst.Addr(), unspecified(dst.Addr())} {
		var best *Socket
		top := 0
		for _, s := range slices.Backward(n.sockets) {
			if s.Protocol != ProtoTCP || s.State != StateListen || s.Local.Port() != dst.Port() ||
				!s.hasLocal(local) || !s.takes(dst.Addr()) || !s.boundTo(dif) {
				continue
			}
			score := 1
			if s.BoundDevice != 0 {
				score++
			}
			if s.Family == familyOf(dst.Addr()) {
				score++
			}
			if score > top {
				best, top = s, score
			}
		}
		if best != nil {
			return best
		}
	}
	return nil
}

// LookupUDP returns the socket that a datagram from src to dst, arrived by the
// device of index dif, goes to, nil for none.
func (n *Netns) LookupUDP(src, dst netip.AddrPort, dif int) *Socket {
	n.mu.RLock()
	defer n.mu.RUnlock()
	for _, local := range []netip.Addr{dst.Addr(), unspecified(dst.Addr())} {
		var best *Socket
		top := 0
		for _, s := range slices.Backward(n.sockets) {
			if s.Protocol != ProtoUDP || s.Local.Port() != dst.Port() || !s.hasLocal(local) || !s.takes(dst.Addr()) {
				continue
			}
			if score := s.udpScore(src, dst, dif); score > top {
				best, top = s, score
			}
		}
		if best != nil {
			return best
		}
	}
	return nil
}

func (s *Socket) udpScore(src, dst netip.AddrPort, dif int) int {
	score := 1
	if dst.Addr().Is4() {
		if s.Family == FamilyINET {
			score++
		}
	} else {
		score = 0
		if s.Family != FamilyINET6 {
			return -1
		}
	}
	if r := s.Remote.Addr(); r.IsValid() && !r.IsUnspecified() {
		if r.Unmap() != src.Addr().Unmap() {
			return -1
		}
		score += 4
	}
	if p := s.Remote.Port(); p != 0 {
		if p != src.Port() {
			return -1
		}
		score += 4
	}
	if !s.boundTo(dif) {
		return -1
	}
	if s.BoundDevice != 0 {
		score += 4
	}
	return score + 1 // a score of 0 is a match too
}

func (s *Socket) boundTo(dif int) bool { return s.BoundDevice == 0 || s.BoundDevice == dif }

// takes reports whether the socket is of a family that takes packets to dst.
func (s *Socket) takes(dst netip.Addr) bool {
	if dst.Is4() {
		return s.Family == FamilyINET || s.Family == FamilyINET6 && !s.V6Only
	}
	return s.Family == FamilyINET6
}

func (s *Socket) hasLocal(a netip.Addr) bool {
	l := s.Local.Addr()
	if a.IsUnspecified() {
		return !l.IsValid() || l.IsUnspecified()
	}
	return l.IsValid() && l.Unmap() == a.Unmap()
}

func samePort(a, b netip.AddrPort) bool {
	return a.Port() == b.Port() && a.Addr().Unmap() == b.Addr().Unmap()
}

func unspecified(a netip.Addr) netip.Addr {
	if a.Is4() {
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}

func familyOf(a netip.Addr) uint16 {
	if a.Is4() {
		return FamilyINET
	}
	return FamilyINET6
}
