package objects_test

import (
	"encoding/binary"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/bpfct/bpfct/internal/judge"
)

//go:generate go run github.com/bpfct/bpfct/internal/bpfbuild testdata/objects.c

var le = binary.LittleEndian

// op is the start of struct io of testdata/objects.c.
func op(x, y, z uint64) []byte {
	b := make([]byte, 24)
	le.PutUint64(b, x)
	le.PutUint64(b[8:], y)
	le.PutUint64(b[16:], z)
	return b
}

func load(t testing.TB) *judge.Pair {
	return judge.Load(t, "testdata/objects.o", judge.Options{})
}

var (
	slotOf  = rapid.Uint64Range(0, 3)
	bit     = rapid.Uint64Range(0, 1)
	holders = rapid.Uint64Range(0, 1)
)

// operations are the programs with what they are called on.
var operations = map[string]func(t *rapid.T) []byte{
	"make":         func(t *rapid.T) []byte { return op(slotOf.Draw(t, "slot"), rapid.Uint64Range(0, 30).Draw(t, "key"), 0) },
	"clear":        func(t *rapid.T) []byte { return op(slotOf.Draw(t, "slot"), 0, 0) },
	"share":        func(t *rapid.T) []byte { return op(slotOf.Draw(t, "from"), slotOf.Draw(t, "to"), 0) },
	"borrow":       func(t *rapid.T) []byte { return op(slotOf.Draw(t, "from"), slotOf.Draw(t, "to"), 0) },
	"push":         func(t *rapid.T) []byte { return op(bit.Draw(t, "list"), slotOf.Draw(t, "slot"), bit.Draw(t, "tail")) },
	"pop":          func(t *rapid.T) []byte { return op(bit.Draw(t, "list"), slotOf.Draw(t, "slot"), bit.Draw(t, "tail")) },
	"ends":         func(t *rapid.T) []byte { return op(bit.Draw(t, "list"), 0, 0) },
	"add":          func(t *rapid.T) []byte { return op(0, slotOf.Draw(t, "slot"), 0) },
	"remove_first": func(t *rapid.T) []byte { return op(0, slotOf.Draw(t, "slot"), 0) },
	"walk": func(t *rapid.T) []byte {
		return op(rapid.Uint64Range(0, 1023).Draw(t, "path"), rapid.Uint64Range(0, 7).Draw(t, "slot"), rapid.Uint64Range(0, 9).Draw(t, "depth"))
	},
	"remove_shared": func(t *rapid.T) []byte { return op(slotOf.Draw(t, "from"), slotOf.Draw(t, "to"), 0) },
	"hold": func(t *rapid.T) []byte {
		return op(holders.Draw(t, "holder"), slotOf.Draw(t, "slot"), rapid.Uint64Range(0, 2).Draw(t, "where"))
	},
	"holder": func(t *rapid.T) []byte {
		return op(holders.Draw(t, "holder"), rapid.Uint64Range(0, 3).Draw(t, "flags"), bit.Draw(t, "delete"))
	},
}

var names = []string{"make", "make", "make", "clear", "share", "borrow", "push", "push", "pop", "ends", "add", "add", "add",
	"remove_first", "walk", "walk", "remove_shared", "hold", "holder"}

// Random sequences of operations do the same on both sides, and leave nothing
// behind on the machine.
func TestSequences(t *testing.T) {
	p := load(t)
	// Stack frames are made when first needed and kept.
	for key := range uint64(2) {
		p.Compare(t, "make", op(0, key, 0), nil)
		p.Compare(t, "add", op(0, 0, 0), nil)
	}
	reset(t, p)
	idle := p.Host.Machine().Mem.Used()
	rapid.Check(t, func(t *rapid.T) {
		for i := range rapid.IntRange(1, 60).Draw(t, "operations") {
			name := rapid.SampledFrom(names).Draw(t, "operation")
			in := operations[name](t)
			p.Compare(fataler{t, fmt.Sprintf("operation %d: ", i)}, name, in, nil)
		}
		reset(t, p)
		if used := p.Host.Machine().Mem.Used(); used != idle {
			t.Fatalf("%d bytes of guest memory are used, %d before", used, idle)
		}
	})
}

type fataler struct {
	*rapid.T
	prefix string
}

func (f fataler) Fatalf(format string, args ...any) { f.T.Fatalf(f.prefix+format, args...) }

// reset empties slots, lists, tree and holders.
func reset(t judge.Fataler, p *judge.Pair) {
	for key := range uint64(2) {
		p.Compare(t, "holder", op(key, 0, 1), nil)
	}
	for list := range uint64(2) {
		for p.Compare(t, "pop", op(list, 0, 0), nil).Ret == 0 {
		}
	}
	for p.Compare(t, "remove_first", op(0, 0, 0), nil).Ret == 0 {
	}
	for i := range uint64(4) {
		p.Compare(t, "clear", op(i, 0, 0), nil)
	}
}

func TestPlainObjects(t *testing.T) {
	p := load(t)
	p.Compare(t, "plain", op(7, 0, 0), nil)
	p.Compare(t, "sizes", nil, nil)
	p.Compare(t, "percpu", op(5, 0, 0), nil)
	p.Compare(t, "percpu", op(6, 0, 0), nil)
}

// A tree of many nodes, with its shape compared down every path.
func TestTreeShape(t *testing.T) {
	p := load(t)
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 60).Draw(t, "nodes")
		for range n {
			p.Compare(t, "make", op(0, rapid.Uint64Range(0, 100).Draw(t, "key"), 0), nil)
			p.Compare(t, "add", op(0, 0, 0), nil)
			if rapid.IntRange(0, 3).Draw(t, "remove") == 0 {
				p.Compare(t, "walk", op(rapid.Uint64Range(0, 63).Draw(t, "path"), 1, rapid.Uint64Range(0, 6).Draw(t, "depth")), nil)
			}
		}
		for path := range uint64(64) {
			p.Compare(t, "walk", op(path, 9, 9), nil)
		}
		reset(t, p)
	})
}

// What a shared object remembers of a list or tree that was freed with its map
// value.
func TestNodeOfAFreedHead(t *testing.T) {
	p := load(t)
	for where := range uint64(2) {
		for _, then := range []string{"push", "add", "hold", "hold tree"} {
			p.Compare(t, "holder", op(0, 0, 0), nil)
			p.Compare(t, "make", op(0, 5, 0), nil)
			p.Compare(t, "share", op(0, 1, 0), nil)
			p.Compare(t, "hold", op(0, 1, where), nil)
			p.Compare(t, "holder", op(0, 0, 1), nil)
			var out judge.Outcome
			switch then {
			case "push":
				out = p.Compare(t, "push", op(0, 0, 0), nil)
			case "add":
				out = p.Compare(t, "add", op(0, 0, 0), nil)
			case "hold":
				p.Compare(t, "holder", op(1, 0, 0), nil)
				out = p.Compare(t, "hold", op(1, 0, 0), nil)
			case "hold tree":
				p.Compare(t, "holder", op(1, 0, 0), nil)
				out = p.Compare(t, "hold", op(1, 0, 1), nil)
			}
			if ret := int64(le.Uint64(out.IO[24:])); where == 0 && (then == "push" || then == "hold") && ret != -22 {
				t.Errorf("%s returned %d, want EINVAL", then, ret)
			}
			reset(t, p)
		}
	}
}
