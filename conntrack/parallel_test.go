package conntrack

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// TestContention lets goroutines do everything at once to few connections.
// The race detector watches; afterwards all must be in order.
func TestContention(t *testing.T) {
	const workers, rounds = 6, 3000
	tab, clock := newTest(Options{Max: 40, Buckets: 512})
	var events [3]atomic.Int64
	cancel := tab.Subscribe(func(e Event) {
		events[e.Type].Add(1)
		if e.Conn.Tuples[Original].Family != IPv4 {
			t.Errorf("event of %v", e.Conn)
		}
	})
	var inserted atomic.Int64
	tuple := func(r *rand.Rand) Tuple {
		return Tuple{Src: Addr{10, 0, 0, byte(r.IntN(3))}, Dst: Addr{10, 0, 0, byte(r.IntN(3))},
			SrcPort: uint16(1000 + r.IntN(3)), DstPort: uint16(1000 + r.IntN(3)), Family: IPv4, Proto: ProtoUDP}
	}
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(w), 1))
			for range rounds {
				switch r.IntN(12) {
				case 0, 1, 2, 3:
					c, err := tab.Alloc(tuple(r), DefaultZone)
					if err != nil {
						continue
					}
					c.SetTimeout(uint32(r.IntN(100)))
					c.SetMark(r.Uint32())
					for _, m := range rand.Perm(2)[:r.IntN(3)] {
						if err := c.SetNATInfo(Addr{5, 5, 5, byte(r.IntN(2))}, int32(r.IntN(2)*2000), Manip(m)); err != nil {
							t.Error(err)
						}
					}
					if r.IntN(8) == 0 { // never inserted
						c.Release()
						continue
					}
					if err := tab.Insert(c); err == nil {
						inserted.Add(1)
						c.ChangeStatus(c.Status() | IPSSeenReply | Status(r.IntN(2))*IPSAssured)
						c.Release()
					}
				case 4, 5, 6, 7:
					if c, _, err := tab.Lookup(tuple(r), DefaultZone); err == nil {
						if s, ok := c.Snapshot(); !ok || s.Use < 1 {
							t.Errorf("found %v", s)
						}
						c.ChangeTimeout(uint32(r.IntN(100)))
						c.SetLabels([16]byte{1}, [16]byte{byte(r.IntN(2))})
						if r.IntN(3) == 0 {
							c.Delete()
						}
						if err := c.Release(); err != nil {
							t.Error(err)
						}
					}
				case 8:
					clock.advance(1)
				case 9:
					tab.GC(r.IntN(40))
				case 10:
					for c := range tab.All() {
						if tu := c.Tuple(Original); tu.Proto != ProtoUDP {
							t.Errorf("met %v", tu)
						}
						if r.IntN(10) == 0 {
							break
						}
					}
				case 11:
					if r.IntN(50) == 0 {
						tab.SetSysctl("nf_conntrack_buckets", 512*(1+r.IntN(3)))
					}
					tab.Stats()
				}
			}
		})
	}
	wg.Wait()
	if err := check(tab); err != nil {
		t.Error(err)
	}
	clock.advance(1 << 20)
	tab.GC(0)
	if n := tab.Count(); n != 0 {
		t.Errorf("%d connections left", n)
	}
	cancel()
	if n := inserted.Load(); events[EventNew].Load() != n || events[EventDestroy].Load() != n || int64(tab.Stats().Insert) != n {
		t.Errorf("%d inserted, but %d new, %d destroyed, %d counted", n, events[EventNew].Load(), events[EventDestroy].Load(), tab.Stats().Insert)
	}
	if inserted.Load() == 0 {
		t.Error("nothing was inserted")
	}
}

// What the linearizability check is about: few keys, each with a connection or
// none.
const linKeys = 2

type linInput struct {
	op  string
	key int
	n   uint32 // jiffies of a timeout, or that pass; id to delete
}

type linOutput struct {
	ok bool
	id uint32
}

type linState struct {
	now     uint32
	id      [linKeys]uint32 // 0 is none
	expires [linKeys]uint32
}

// linModel is the table with one worker beside it that may collect what has
// expired at any moment: so does a lookup that meets it.
var linModel = porcupine.NondeterministicModel{
	Init: func() []any { return []any{linState{}} },
	Step: func(state, input, output any) (next []any) {
		s, in, out := state.(linState), input.(linInput), output.(linOutput)
		// The states before the operation: as it is, and with the key collected.
		before := []linState{s}
		if s.id[in.key] != 0 && s.expires[in.key] <= s.now {
			c := s
			c.id[in.key] = 0
			before = append(before, c)
		}
		for _, s := range before {
			has := s.id[in.key] != 0
			switch in.op {
			case "insert":
				if out.ok == has {
					continue
				}
				if out.ok {
					s.id[in.key], s.expires[in.key] = out.id, s.now+in.n
				}
			case "lookup":
				live := has && s.expires[in.key] > s.now
				if live != out.ok || live && s.id[in.key] != out.id {
					continue
				}
			case "delete":
				if out.ok != (has && s.id[in.key] == in.n) {
					continue
				}
				if out.ok {
					s.id[in.key] = 0
				}
			case "pass":
				s.now += in.n
			}
			next = append(next, s)
		}
		return next
	},
	DescribeOperation: func(in, out any) string { return fmt.Sprint(in, out) },
	Equal:             func(a, b any) bool { return a == b },
}

// TestLinearizable records what goroutines did at once and wants an order in
// which one after the other could have done it.
func TestLinearizable(t *testing.T) {
	const workers, each, runs = 3, 10, 300
	overlaps := 0
	for run := range runs {
		tab, clock := newTest(Options{Seed: uint64(run)})
		start := time.Now()
		var mu sync.Mutex
		var history []porcupine.Operation
		var wg, ready sync.WaitGroup
		ready.Add(workers)
		for w := range workers {
			wg.Go(func() {
				r := rand.New(rand.NewPCG(uint64(run), uint64(w)))
				ready.Done()
				ready.Wait()
				var held [linKeys]Conn
				record := func(in linInput, f func() linOutput) linOutput {
					call := time.Since(start).Nanoseconds()
					out := f()
					op := porcupine.Operation{ClientId: w, Input: in, Output: out, Call: call, Return: time.Since(start).Nanoseconds()}
					mu.Lock()
					history = append(history, op)
					mu.Unlock()
					return out
				}
				for range each {
					key := r.IntN(linKeys)
					tuple := nthTuple(uint32(key))
					if r.IntN(2) == 0 { // by its other tuple
						tuple, _ = tuple.Invert()
					}
					n := 1 + r.Uint32N(3)
					switch r.IntN(5) {
					case 0, 1:
						c := mustAlloc(t, tab, tuple, DefaultZone)
						c.SetTimeout(4 * n)
						id := c.ID()
						if record(linInput{"insert", key, n}, func() linOutput {
							ok := tab.Insert(c) == nil
							return linOutput{ok, id}
						}).ok {
							c.Release()
						}
					case 2:
						var c Conn
						if record(linInput{"lookup", key, 0}, func() linOutput {
							var err error
							if c, _, err = tab.Lookup(tuple, DefaultZone); err != nil {
								return linOutput{}
							}
							return linOutput{true, c.ID()}
						}).ok {
							held[key].Release()
							held[key] = c
						}
					case 3:
						if c := held[key]; c.Valid() {
							record(linInput{"delete", key, c.ID()}, func() linOutput { return linOutput{ok: c.Delete()} })
						}
					case 4:
						record(linInput{"pass", 0, 1}, func() linOutput { clock.advance(1); return linOutput{} })
					}
				}
				for _, c := range held {
					c.Release()
				}
			})
		}
		wg.Wait()
		m := linModel.ToModel()
		if !porcupine.CheckOperations(m, history) {
			for _, o := range history {
				t.Logf("%d: %d-%d %v %v", o.ClientId, o.Call, o.Return, o.Input, o.Output)
			}
			t.Fatalf("run %d has no order", run)
		}
		for i := range history {
			for j := range i {
				if a, b := &history[i], &history[j]; a.Call < b.Return && b.Call < a.Return {
					overlaps++
				}
			}
		}
	}
	if overlaps == 0 {
		t.Error("no operation met another: nothing was tested")
	}
	t.Logf("%d pairs of operations met", overlaps)
}
