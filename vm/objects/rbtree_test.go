package objects

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/bpfct/bpfct/vm"
)

const nodeSize = 40 // a node and its key

func newTree(tb testing.TB) *tree {
	mem := vm.NewMemory(0)
	root, err := mem.Alloc(vm.ObjectSpec{Kind: vm.KindMapValue, Size: 16})
	if err != nil {
		tb.Fatal(err)
	}
	return &tree{words: words{mem: mem}, root: root.Addr()}
}

func (t *tree) addKey(tb testing.TB, key uint64) uint64 {
	o, err := t.mem.Alloc(vm.ObjectSpec{Kind: vm.KindAlloc, Size: nodeSize})
	if err != nil {
		tb.Fatal(err)
	}
	n := o.Addr()
	t.set(n+32, key)
	p, side, leftmost := uint64(0), uint64(left), true
	for at := t.get(t.root + rootTop); at != 0; at = t.get(p + side) {
		p, side = at, left
		if key >= t.get(at+32) {
			side, leftmost = right, false
		}
	}
	t.steps = 0
	t.insert(n, p, side, leftmost)
	return n
}

// check returns the keys in order and fails where the tree is no red-black tree.
func (t *tree) check(tb judgeT) []uint64 {
	var keys []uint64
	var walk func(n, p uint64) int
	walk = func(n, p uint64) int {
		if n == 0 {
			return 1
		}
		if t.parent(n) != p {
			tb.Fatalf("node %#x has parent %#x, hangs below %#x", n, t.parent(n), p)
		}
		if t.isRed(n) && (p == 0 || t.isRed(p)) {
			tb.Fatalf("node %#x and its parent %#x are red", n, p)
		}
		l := walk(t.get(n+left), n)
		keys = append(keys, t.get(n+32))
		if r := walk(t.get(n+right), n); l != r {
			tb.Fatalf("node %#x has %d black nodes to the left and %d to the right", n, l, r)
		}
		if !t.isRed(n) {
			l++
		}
		return l
	}
	top := t.get(t.root + rootTop)
	walk(top, 0)
	want := uint64(0)
	for n := top; n != 0; n = t.get(n + left) {
		want = n
	}
	if got := t.get(t.root + rootLeftmost); got != want || t.bad {
		tb.Fatalf("leftmost is %#x, want %#x; links are bad: %v", got, want, t.bad)
	}
	return keys
}

type judgeT interface {
	Fatalf(format string, args ...any)
}

func TestTreeAgainstASlice(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		tr := newTree(t)
		var nodes []uint64
		for range rapid.IntRange(1, 200).Draw(rt, "operations") {
			if len(nodes) == 0 || rapid.IntRange(0, 4).Draw(rt, "operation") > 1 {
				nodes = append(nodes, tr.addKey(t, rapid.Uint64Range(0, 100).Draw(rt, "key")))
			} else {
				i := rapid.IntRange(0, len(nodes)-1).Draw(rt, "node")
				tr.steps = 0
				tr.erase(nodes[i])
				nodes = slices.Delete(nodes, i, i+1)
			}
			var want []uint64
			for _, n := range nodes {
				want = append(want, tr.get(n+32))
			}
			slices.Sort(want)
			if got := tr.check(rt); !slices.Equal(got, want) {
				rt.Fatalf("%v, want %v", got, want)
			}
		}
	})
}

// Links that lead in circles or nowhere end a walk.
func TestTreeOfNonsense(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		tr := newTree(t)
		var nodes []uint64
		for i := range 20 {
			nodes = append(nodes, tr.addKey(t, uint64(i)))
		}
		for range rapid.IntRange(1, 10).Draw(rt, "writes") {
			n := rapid.SampledFrom(nodes).Draw(rt, "node")
			to := rapid.OneOf(rapid.SampledFrom(nodes), rapid.Uint64(), rapid.Just(uint64(0))).Draw(rt, "link")
			tr.set(n+rapid.SampledFrom([]uint64{0, 8, 16}).Draw(rt, "which"), to)
		}
		for _, n := range nodes {
			tr.steps = 0
			tr.erase(n)
		}
	})
}

func BenchmarkTree(b *testing.B) {
	tr := newTree(b)
	var nodes []uint64
	for i := range 1000 {
		nodes = append(nodes, tr.addKey(b, uint64(i*7919%1000)))
	}
	for i := 0; b.Loop(); i++ {
		n := nodes[i%len(nodes)]
		tr.steps = 0
		tr.erase(n)
		key, p, side, leftmost := tr.get(n+32), uint64(0), uint64(left), true
		for at := tr.get(tr.root + rootTop); at != 0; at = tr.get(p + side) {
			p, side = at, left
			if key >= tr.get(at+32) {
				side, leftmost = right, false
			}
		}
		tr.insert(n, p, side, leftmost)
	}
}
