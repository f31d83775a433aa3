package defrag

import (
	"container/list"
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/bpfct/bpfct/packet"
)

// Clock tells the time in jiffies.
type Clock interface {
	Jiffies() uint64
}

// Options say what a [Reassembler] is to be. The zero value has Linux' limits
// and a clock that stands still.
type Options struct {
	Clock Clock
	// HZ is jiffies a second, 250 where it is 0.
	HZ int
	// Timeout4 and Timeout6 are the seconds after which the pieces of a packet
	// are given up, from the first of them on: net.ipv4.ipfrag_time (30) and
	// net.netfilter.nf_conntrack_frag6_timeout (60).
	Timeout4, Timeout6 int
	// HighThreshold is the memory in bytes beyond which no other packet is
	// begun: net.ipv4.ipfrag_high_thresh (4 MiB).
	HighThreshold int
}

// Reason is why a fragment was dropped.
type Reason uint8

// The reasons.
const (
	ReasonNone      Reason = iota
	ReasonOverlap          // it overlaps another: all pieces were given up
	ReasonDuplicate        // it is there already
	ReasonEnd              // the end of the packet is elsewhere: all pieces were given up in IPv4
	ReasonEmpty            // it has no bytes
	ReasonOdd              // not the last, and its length is no multiple of 8: all pieces were given up (IPv6)
	ReasonTooLong          // the packet would be longer than 65535 bytes
	ReasonECN              // the pieces contradict each other about congestion
	ReasonMemory           // too many packets are incomplete
	ReasonHeader           // its header cannot be followed
)

var reasonTexts = [...]string{"", "it overlaps another fragment", "it is there already", "the packet ends elsewhere", "it is empty",
	"it is not the last, but its length is no multiple of 8", "the packet is longer than 65535 bytes",
	"the fragments contradict each other about ECN", "the memory for fragments is full", "its header cannot be followed"}

// String is the reason in words.
func (r Reason) String() string {
	if int(r) < len(reasonTexts) {
		return reasonTexts[r]
	}
	return fmt.Sprintf("reason %d", uint8(r))
}

// Status is what became of a packet.
type Status uint8

// The outcomes.
const (
	Pass    Status = iota // it is no fragment, or (ReasonOdd) one whose receiver is to answer it
	Queued                // more pieces are missing
	Whole                 // it was the last piece
	Dropped               // it is no use
)

// Result is the answer to a packet.
type Result struct {
	Status Status
	Reason Reason // of Dropped, and of Pass
	// Packet is the whole IP packet, of Whole.
	Packet []byte
	// MaxFragment is the length of the longest fragment: the packet must be
	// taken apart again into pieces no longer.
	MaxFragment int
}

type key struct {
	src, dst netip.Addr
	id       uint32
	proto    uint8 // IPv4
	user     uint32
}

// Reassembler holds the pieces of packets. One goroutine may use it at a time.
type Reassembler struct {
	o      Options
	queues map[key]*list.Element
	order  [2]*list.List // of *held; by age, for each family
	memory int
}

type held struct {
	key key
	q   queue
}

// overhead is what a fragment costs in memory beside its bytes.
const overhead = 512

// New makes a reassembler.
func New(o Options) *Reassembler {
	if o.HZ <= 0 {
		o.HZ = 250
	}
	if o.Timeout4 <= 0 {
		o.Timeout4 = 30
	}
	if o.Timeout6 <= 0 {
		o.Timeout6 = 60
	}
	if o.HighThreshold <= 0 {
		o.HighThreshold = 4 << 20
	}
	return &Reassembler{o: o, queues: map[key]*list.Element{}, order: [2]*list.List{list.New(), list.New()}}
}

// Pending is how many packets wait for pieces.
func (r *Reassembler) Pending() int { return len(r.queues) }

func (r *Reassembler) now() uint64 {
	if r.o.Clock == nil {
		return 0
	}
	return r.o.Clock.Jiffies()
}

// Expire gives up packets whose time is over and says how many. Push does it
// too.
func (r *Reassembler) Expire() (n int) {
	now := r.now()
	for _, l := range r.order {
		for e := l.Front(); e != nil; e = l.Front() {
			if e.Value.(*held).q.expires > now {
				break
			}
			r.kill(e)
			n++
		}
	}
	return n
}

func (r *Reassembler) kill(e *list.Element) {
	h := e.Value.(*held)
	delete(r.queues, h.key)
	r.memory -= h.q.cost
	r.order[family(h.key.src)].Remove(e)
}

func family(a netip.Addr) int {
	if a.Is4() {
		return 0
	}
	return 1
}

// Push takes a packet; info is what packet.Parse found in its frame, whose
// bytes are not kept. Packets of different users are kept apart: a user is a
// place in the host, such as a zone in prerouting.
func (r *Reassembler) Push(frame []byte, info *packet.Info, user uint32) Result {
	if !info.Fragment || info.Version == 0 {
		return Result{Status: Pass}
	}
	r.Expire()
	p := piece{frame: frame, info: info}
	if !p.read() {
		return Result{Status: Dropped, Reason: ReasonHeader}
	}
	k := key{src: info.Src(frame), dst: info.Dst(frame), id: info.FragID, user: user}
	timeout := r.o.Timeout6
	if info.Version == 4 {
		k.proto, timeout = info.Proto, r.o.Timeout4
	}
	e := r.queues[k]
	if e == nil {
		if r.memory > r.o.HighThreshold {
			return Result{Status: Dropped, Reason: ReasonMemory}
		}
		e = r.order[family(k.src)].PushBack(&held{key: k, q: queue{expires: r.now() + uint64(timeout)*uint64(r.o.HZ)}})
		r.queues[k] = e
	}
	q := &e.Value.(*held).q
	reason, kill := p.put(q)
	switch {
	case kill:
		r.kill(e)
		if reason == ReasonOdd {
			return Result{Status: Pass, Reason: reason}
		}
		return Result{Status: Dropped, Reason: reason}
	case reason != ReasonNone:
		return Result{Status: Dropped, Reason: reason}
	}
	cost := len(p.data) + overhead
	q.cost += cost
	r.memory += cost
	if !q.first || !q.last || q.have != q.length {
		return Result{Status: Queued}
	}
	r.kill(e)
	return q.whole(info.Version)
}

// A piece is a fragment.
type piece struct {
	frame    []byte
	info     *packet.Info
	header   []byte // up to the fragment's data, without an IPv6 fragment header
	data     []byte
	next     int
	proto    uint8
	from, to int
}

// read finds the parts of the fragment.
func (p *piece) read() bool {
	i := p.info
	h := p.frame[i.Network:i.End]
	p.from = i.FragOffset
	if i.Version == 4 {
		n := int(h[0]&0xf) * 4
		if n < 20 || n > len(h) {
			return false
		}
		p.header, p.data = h[:n], h[n:]
	} else {
		at := i.FragHdr - i.Network
		if at < 40 || at+8 > len(h) {
			return false
		}
		p.header, p.data = h[:at], h[at+8:]
		p.proto = h[at]
		p.next = nextOf(p.header)
	}
	p.to = p.from + len(p.data)
	return true
}

// nextOf is where in an IPv6 header chain the last "next header" stands.
func nextOf(h []byte) int {
	at, off, proto := 6, 40, h[6]
	for off+2 <= len(h) && off < len(h) {
		size := 8 * (int(h[off+1]) + 1)
		if proto == packet.ProtoAH {
			size = 4 * (int(h[off+1]) + 2)
		}
		at, proto = off, h[off]
		off += size
	}
	return at
}

// put adds the fragment to its queue.
func (p *piece) put(q *queue) (r Reason, kill bool) {
	v4 := p.info.Version == 4
	if !v4 && p.to > 65535 {
		return ReasonTooLong, false
	}
	if !p.info.MoreFragments {
		if p.to < q.length || q.last && p.to != q.length {
			return ReasonEnd, v4
		}
		q.last, q.length = true, p.to
	} else {
		if p.to&7 != 0 {
			if !v4 {
				return ReasonOdd, true
			}
			p.to &^= 7
		}
		if p.to > q.length {
			if q.last {
				return ReasonEnd, v4
			}
			q.length = p.to
		}
	}
	if p.to <= p.from {
		return ReasonEmpty, v4
	}
	p.data = p.data[:p.to-p.from]
	switch q.insert(p.from, p.to, p.data) {
	case duplicate:
		return ReasonDuplicate, false
	case overlap:
		return ReasonOverlap, true
	}
	tos := p.frame[p.info.Network+1]
	if !v4 {
		tos = p.frame[p.info.Network]<<4 | tos>>4
	}
	q.ecn |= 1 << (tos & 3)
	size := len(p.header) + len(p.data)
	if !v4 {
		size += 8
	}
	q.maxSize = max(q.maxSize, size)
	if v4 && p.frame[p.info.Network+6]&0x40 != 0 {
		q.maxDF = max(q.maxDF, size)
	}
	if p.from == 0 {
		q.first = true
		q.header = append([]byte(nil), p.header...)
		q.next, q.proto = p.next, p.proto
	}
	return ReasonNone, false
}

// ECN values as bits of queue.ecn.
const (
	ecnNot = 1 << 0
	ecnCE  = 1 << 3
)

// whole makes the packet of its pieces.
func (q *queue) whole(version uint8) Result {
	if q.ecn&ecnNot != 0 && q.ecn != ecnNot {
		return Result{Status: Dropped, Reason: ReasonECN}
	}
	length := len(q.header) + q.length
	if version == 4 && length > 65535 || version == 6 && length-40 > 65535 {
		return Result{Status: Dropped, Reason: ReasonTooLong}
	}
	b := make([]byte, 0, length)
	b = append(append(b, q.header...), q.bytes[:q.length]...)
	ce := q.ecn&ecnCE != 0
	if version == 4 {
		binary.BigEndian.PutUint16(b[2:], uint16(length))
		b[6], b[7] = 0, 0
		if q.maxDF == q.maxSize {
			b[6] = 0x40
		}
		if ce {
			b[1] |= 3
		}
		b[10], b[11] = 0, 0
		binary.BigEndian.PutUint16(b[10:], packet.Checksum(b[:len(q.header)]))
	} else {
		binary.BigEndian.PutUint16(b[4:], uint16(length-40))
		b[q.next] = q.proto
		if ce {
			b[1] |= 0x30
		}
	}
	return Result{Status: Whole, Packet: b, MaxFragment: q.maxSize}
}
