package conntrack

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/bpfct/bpfct/conntrack/internal/oracle"
)

// model is the rules of insert and lookup said as simply as can be: a list of
// connections, newest first, searched from its head. It knows of no NAT: it is
// told the reply tuple that a connection got.
type model struct {
	conns []modelConn
	now   uint32
}

type modelConn struct {
	tuples  [2]Tuple
	zone    Zone
	expires uint32
}

// bucket walks what has tuple under the zone id, each with its direction.
func (m *model) bucket(tuple Tuple, id uint16, f func(i int, d Dir) (stop bool)) {
	for i := range m.conns {
		for _, d := range []Dir{Reply, Original} { // reply is added last
			if c := &m.conns[i]; c.tuples[d] == tuple && c.zone.IDFor(d) == id && f(i, d) {
				return
			}
		}
	}
}

func (m *model) lookup(tuple Tuple, zone Zone) (found *modelConn, dir Dir) {
	ids := []uint16{zone.IDFor(Original), zone.IDFor(Reply)}
	for _, id := range slices.Compact(ids) {
		var dead []int
		m.bucket(tuple, id, func(i int, d Dir) bool {
			c := &m.conns[i]
			if int32(c.expires-m.now) <= 0 {
				dead = append(dead, i)
				return false
			}
			if zone.IDFor(d) == id {
				cc := *c
				found, dir = &cc, d
			}
			return found != nil
		})
		for _, i := range slices.Backward(slices.Compact(dead)) {
			m.conns = slices.Delete(m.conns, i, i+1)
		}
		if found != nil {
			return found, dir
		}
	}
	return nil, 0
}

func (m *model) insert(c modelConn) bool {
	free := true
	for d := range Reply + 1 {
		id := c.zone.IDFor(d)
		m.bucket(c.tuples[d], id, func(_ int, od Dir) bool {
			free = free && c.zone.IDFor(od) != id
			return !free
		})
	}
	if free {
		m.conns = append([]modelConn{c}, m.conns...)
	}
	return free
}

// genAny is operations as genOps makes them, without what only the kernel's
// answer could judge: NAT, whose searches end expired connections on their way.
func genAny(t *rapid.T) []oracle.Op {
	ops := genOps(t, 0, false)
	for i := range ops {
		ops[i].A.Flags &= oracle.DoTimeout
		ops[i].Kind %= oracle.OpPair
	}
	return ops
}

// TestModel compares generated inserts and lookups with the model, with time
// that passes between them, and looks at the table's insides after each.
func TestModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := newPerformer(Options{Seed: rapid.Uint64().Draw(rt, "seed")})
		m := &model{now: p.t.now()}
		for i, o := range genAny(rt) {
			if step := rapid.SampledFrom([]uint32{0, 0, 1, 2499, 2500, 15000, 900000}).Draw(rt, "step"); step > 0 {
				p.clock.advance(uint64(step))
				m.now += step
			}
			r := p.do(&o, nil)
			switch o.Kind {
			case oracle.OpInsert:
				tu := tupleOf(&o.A)
				inv, _ := tu.Invert()
				ms := uint32(10000)
				if o.A.Flags&oracle.DoTimeout != 0 {
					ms = o.A.Timeout
				}
				c := modelConn{[2]Tuple{tu, inv}, zoneOf(&o.A), m.now + uint32(min(MsecsToJiffies(ms, 250), 1<<31-1))}
				if ok := m.insert(c); ok != (r.A.Inserted != 0) {
					rt.Fatalf("operation %d, insert %v %v: model %v, table %v", i, tu, zoneOf(&o.A), ok, !ok)
				}
			case oracle.OpLookup:
				c, d := m.lookup(tupleOf(&o.A), zoneOf(&o.A))
				if (c != nil) != (r.A.Got != 0) {
					rt.Fatalf("operation %d, lookup %v %v: model %v, table %v", i, tupleOf(&o.A), zoneOf(&o.A), c != nil, r.A.Got != 0)
				}
				if c != nil && (uint32(d) != r.A.Dir || c.expires != r.A.After.Timeout) {
					rt.Fatalf("operation %d: model found %v %v until %d, table %d until %d", i, c.tuples, d, c.expires, r.A.Dir, r.A.After.Timeout)
				}
			}
			if err := check(p.t); err != nil {
				rt.Fatalf("after operation %d: %v", i, err)
			}
			if p.t.Count() != len(m.conns) {
				rt.Fatalf("after operation %d: %d connections, model %d", i, p.t.Count(), len(m.conns))
			}
		}
	})
}

// TestSequencesHoldTogether performs everything, NAT too, and looks at the
// table's insides after each operation; when all is deleted nothing is left.
func TestSequencesHoldTogether(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) { holdTogether(rt, genOps(rt, 0, rapid.Bool().Draw(rt, "narrow"))) })
}

type failer interface {
	Fatalf(format string, args ...any)
}

func holdTogether(t failer, ops []oracle.Op) {
	p := newPerformer(Options{Seed: 7})
	for i := range ops {
		p.do(&ops[i], nil)
		if err := check(p.t); err != nil {
			t.Fatalf("after operation %d: %v", i, err)
		}
		p.clock.advance(100)
	}
	p.t.Flush()
	if err := check(p.t); err != nil {
		t.Fatalf("after flush: %v", err)
	}
	if n := p.t.Count(); n != 0 {
		t.Fatalf("%d connections left after flush", n)
	}
}

// FuzzOperations lets the fuzzer write the operations.
func FuzzOperations(f *testing.F) {
	f.Fuzz(rapid.MakeFuzz(func(rt *rapid.T) { holdTogether(rt, genOps(rt, 0, rapid.Bool().Draw(rt, "narrow"))) }))
}

// TestSameSeedSameRun wants equal results of equal seeds and operations, and
// other ports of another seed.
func TestSameSeedSameRun(t *testing.T) {
	run := func(seed uint64) (out []oracle.Results) {
		ops := collide(50, 5000)
		p := newPerformer(Options{Seed: seed})
		for i := range ops {
			out = append(out, p.do(&ops[i], nil))
		}
		return out
	}
	if !slices.Equal(run(1), run(1)) {
		t.Error("one seed, two runs")
	}
	if slices.Equal(run(1), run(2)) {
		t.Error("another seed, the same run")
	}
}
