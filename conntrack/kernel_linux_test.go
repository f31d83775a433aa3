package conntrack

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/bpfct/bpfct/conntrack/internal/oracle"
)

// slack is by how many jiffies time stamps may differ beside the time that the kernel
// took: the two sides look at the clock at different moments.
const slack = 25

// sameStamps makes time stamps of b those of a where they differ by no more
// than the slack.
func sameStamps(a, b *oracle.Results) {
	for _, p := range [][2]*oracle.View{
		{&a.A.After, &b.A.After}, {&a.A.Last, &b.A.Last}, {&a.B.After, &b.B.After}, {&a.B.Last, &b.B.Last},
	} {
		most := slack + int32(a.Jiffies1-a.Jiffies0)
		if d := int32(p[0].Timeout - p[1].Timeout); d >= -most && d <= most {
			p[1].Timeout = p[0].Timeout
		}
	}
	b.Jiffies0, b.Jiffies1 = a.Jiffies0, a.Jiffies1
}

// compare performs ops on both sides and says where they differ.
func compare(k *oracle.Kernel, p *performer, ops []oracle.Op) error {
	before, ours := k.Stats(), p.t.Stats()
	want := k.Run(ops)
	after := k.Stats()
	for i := range ops {
		p.clock.j.Store(want[i].Jiffies0)
		got := p.do(&ops[i], &want[i])
		sameStamps(&want[i], &got)
		if want[i] != got {
			return fmt.Errorf("operation %d of %d:\n%s\n(-kernel +ours)\n%s", i, len(ops), describe(&ops[i]), cmp.Diff(want[i], got))
		}
	}
	st := p.t.Stats()
	for _, c := range []struct {
		name string
		got  uint32
	}{{"insert", st.Insert - ours.Insert}, {"found", st.Found - ours.Found}, {"early_drop", st.EarlyDrop - ours.EarlyDrop}, {"insert_failed", st.InsertFailed}, {"drop", st.Drop}} {
		want := after[c.name] - before[c.name]
		if c.name == "found" && p.rand.drawn > 0 && want > c.got {
			continue // the kernel's search began elsewhere and met more
		}
		if want != c.got {
			return fmt.Errorf("counter %s: kernel %d, ours %d", c.name, want, c.got)
		}
	}
	return check(p.t)
}

func describe(o *oracle.Op) string {
	one := func(s *oracle.Spec) string {
		return fmt.Sprintf("%v zone %d/%d do %#x timeout %d status %#x mark %#x then %d %#x %#x nat %v", tupleOf(s), s.ZoneID, s.ZoneDir,
			s.Flags, s.Timeout, s.Status, s.Mark, s.Timeout2, s.Status2, s.Mark2, s.NAT)
	}
	return fmt.Sprintf("kind %d\n A %s\n B %s", o.Kind, one(&o.A), one(&o.B))
}

// withLookups adds a look at everything that ops may have left.
func withLookups(ops []oracle.Op) []oracle.Op {
	type key struct {
		t Tuple
		z Zone
	}
	seen := map[key]bool{}
	out := ops
	look := func(s oracle.Spec) {
		s.Flags = 0
		t := tupleOf(&s)
		inv, _ := t.Invert()
		for _, tu := range []Tuple{t, inv} {
			s := s
			putTuple(&s, tu, s.V6 != 0)
			if k := (key{tu, zoneOf(&s)}); !seen[k] {
				seen[k] = true
				out = append(out, oracle.Op{Kind: oracle.OpLookup, A: s})
			}
		}
	}
	for _, o := range ops {
		look(o.A)
		if o.Kind >= oracle.OpPair {
			look(o.B)
		}
	}
	return out
}

// TestKernelSequences generates sequences of operations and wants every result
// and counter to be the kernel's.
func TestKernelSequences(t *testing.T) {
	t.Run("wide", func(t *testing.T) { kernelSequences(t, false) })
	t.Run("narrow", func(t *testing.T) { kernelSequences(t, true) })
}

func kernelSequences(t *testing.T, narrow bool) {
	k := oracle.New(t)
	var u universe
	rapid.Check(t, func(rt *rapid.T) {
		u++
		ops := withLookups(genOps(rt, u, narrow))
		if err := compare(k, newPerformer(Options{}), ops); err != nil {
			rt.Fatal(err)
		}
	})
}
