package conntrack

import "encoding/binary"

// Snapshot is a connection as it was at one moment, free of its table. Each
// member is read once; tuples, zone and master do not change after Insert, so
// that only status, timeout, mark and labels may be of moments that lie a few
// instructions apart.
type Snapshot struct {
	// ID tells connections of one table apart, also of one place one after the
	// other. Like the kernel's it says nothing else.
	ID uint32
	// NetID is the [Options].NetID of the table.
	NetID   uint64
	Use     int // references
	Tuples  [2]Tuple
	Zone    Zone
	Status  Status
	Timeout uint32 // as [Conn.Timeout]
	Expires uint32 // as [Conn.Expires]
	HZ      int    // jiffies a second, of both
	Mark    uint32
	SecMark uint32
	Labels  [16]byte
	// Proto is what packets left; nil where none did.
	Proto *ProtoInfo
	// MasterID is the ID of the connection that expected this one, 0 for none.
	MasterID uint32
}

// Snapshot reads everything. It is false where c is gone.
func (c Conn) Snapshot() (Snapshot, bool) {
	if !c.Valid() {
		return Snapshot{}, false
	}
	s := Snapshot{
		ID: c.ID(), NetID: c.t.netID, Use: c.Use(), Tuples: [2]Tuple{c.e.orig, c.e.reply}, Zone: c.e.zone,
		Status: c.Status(), Timeout: c.Timeout(), Expires: c.Expires(), HZ: c.t.hz,
		Mark: c.Mark(), SecMark: c.t.slab.coldAt(c.h).secmark.Load(), Labels: c.e.labelBytes(),
	}
	if m, ok := c.Master(); ok {
		s.MasterID = m.ID()
	}
	s.Proto = c.protoInfo()
	return s, true
}

// Confirmed says whether it was inserted.
func (s *Snapshot) Confirmed() bool { return s.Status&IPSConfirmed != 0 }

// SNAT is the source that NAT gives to packets of the original direction, and
// whether it gives one.
func (s *Snapshot) SNAT() (Addr, uint16, bool) {
	if s.Status&IPSSrcNAT == 0 {
		return Addr{}, 0, false
	}
	inv, ok := s.Tuples[Reply].Invert()
	return inv.Src, inv.SrcPort, ok
}

// DNAT is the destination that NAT gives to packets of the original direction.
func (s *Snapshot) DNAT() (Addr, uint16, bool) {
	if s.Status&IPSDstNAT == 0 {
		return Addr{}, 0, false
	}
	inv, ok := s.Tuples[Reply].Invert()
	return inv.Dst, inv.DstPort, ok
}

// ID is a number for the connection, the same for as long as it exists.
func (c Conn) ID() uint32 {
	if c.e == nil {
		return 0
	}
	return uint32(splitmix(c.t.key.k[5]^uint64(c.gen)<<32^uint64(c.h)) >> 32)
}

func (e *entry) labelBytes() (l [16]byte) {
	binary.LittleEndian.PutUint64(l[:8], e.labels[0].Load())
	binary.LittleEndian.PutUint64(l[8:], e.labels[1].Load())
	return l
}

func (e *entry) replaceLabels(value, mask [16]byte) (changed bool) {
	for i := range e.labels {
		v := binary.LittleEndian.Uint64(value[8*i:])
		m := binary.LittleEndian.Uint64(mask[8*i:])
		for {
			old := e.labels[i].Load()
			if e.labels[i].CompareAndSwap(old, old&^m|v&m) {
				changed = changed || old != old&^m|v&m
				break
			}
		}
	}
	return changed
}

// ProtoInfo is what the tracker learnt of a connection from its packets.
type ProtoInfo struct {
	TCP  *TCPInfo  // of a TCP connection
	SCTP *SCTPInfo // of an SCTP association
	// Counters are packets and bytes by direction; nil where
	// nf_conntrack_acct was 0 when the connection began.
	Counters *[2]Counter
	// Start and Stop are jiffies of its insertion and its end, where
	// nf_conntrack_timestamp was 1 when it began; Stamped says that.
	Stamped, Ended bool
	Start, Stop    uint64
	Age            uint64 // jiffies since Start, until now or Stop
}

func (c Conn) protoInfo() *ProtoInfo {
	x := c.t.slab.trackIfAny(c.h)
	if x == nil {
		return nil
	}
	p := new(ProtoInfo)
	x.mu.Lock()
	switch c.e.orig.Proto {
	case ProtoTCP:
		p.TCP = x.tcp.info()
	case ProtoSCTP:
		p.SCTP = &SCTPInfo{x.sctp.state, x.sctp.vtag}
	}
	x.mu.Unlock()
	if n, ok := c.Counters(); ok {
		p.Counters = &n
	}
	if start, stop, ended, ok := c.Stamps(); ok {
		p.Stamped, p.Ended, p.Start, p.Stop = true, ended, start, stop
		if !ended {
			stop = c.t.clock.Jiffies()
		}
		p.Age = stop - start
	}
	return p
}
