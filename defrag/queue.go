package defrag

import "slices"

// A run is fragments that follow each other without a gap.
type run struct{ from, to int }

// queue is the fragments of one packet.
type queue struct {
	runs    []run // by from
	tail    run   // the fragment that ends last
	bytes   []byte
	header  []byte // of the fragment at offset 0, without the fragment header
	next    int    // where in header the byte stands that names the protocol, IPv6
	proto   uint8  // what it must be
	ecn     uint8  // a bit for each value of the ECN field that was met
	first   bool   // the fragment at offset 0 is there
	last    bool   // the one that ends the packet
	length  int    // as far as is known
	have    int
	maxSize int // the longest fragment, with its header
	maxDF   int // the longest that must not be fragmented
	expires uint64
	cost    int
}

type insertion int

const (
	inserted insertion = iota
	duplicate
	overlap
)

// insert puts a fragment in its place. One that is wholly in a run is a
// duplicate; any other that meets what is there overlaps it. Runs that come to
// touch each other stay two, and a fragment over both overlaps.
func (q *queue) insert(from, to int, b []byte) insertion {
	switch {
	case len(q.runs) == 0:
		q.runs = append(q.runs, run{from, to})
		q.tail = run{from, to}
	case q.tail.to < to:
		if from < q.tail.to {
			return overlap
		}
		if from == q.tail.to {
			q.runs[len(q.runs)-1].to = to
		} else {
			q.runs = append(q.runs, run{from, to})
		}
		q.tail = run{from, to}
	default:
		i := 0
		for ; i < len(q.runs) && to > q.runs[i].from; i++ {
			if r := q.runs[i]; from < r.to {
				if from >= r.from && to <= r.to {
					return duplicate
				}
				return overlap
			}
		}
		q.runs = slices.Insert(q.runs, i, run{from, to})
	}
	if need := to; need > len(q.bytes) {
		q.bytes = slices.Grow(q.bytes, need-len(q.bytes))[:need]
	}
	copy(q.bytes[from:to], b)
	q.have += to - from
	return inserted
}
