package conntrack

import (
	"errors"
	"net/netip"
	"sync/atomic"
	"testing"
	"unsafe"

	"github.com/bpfct/bpfct/internal/errno"
)

// testClock is a clock that a test moves.
type testClock struct{ j atomic.Uint64 }

func (c *testClock) Jiffies() uint64  { return c.j.Load() }
func (c *testClock) advance(n uint64) { c.j.Add(n) }

func newTest(o Options) (*Table, *testClock) {
	c := new(testClock)
	c.j.Store(1<<32 - 75000) // the low 32 bits wrap after five minutes, as in Linux
	o.Clock = c
	return New(o), c
}

func ap(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

func tcp(src, dst string) Tuple { return TupleFrom(ProtoTCP, ap(src), ap(dst)) }
func udp(src, dst string) Tuple { return TupleFrom(ProtoUDP, ap(src), ap(dst)) }

func mustAlloc(tb testing.TB, t *Table, tuple Tuple, z Zone) Conn {
	tb.Helper()
	c, err := t.Alloc(tuple, z)
	if err != nil {
		tb.Fatalf("alloc %v: %v", tuple, err)
	}
	return c
}

func mustInsert(tb testing.TB, t *Table, tuple Tuple) Conn {
	tb.Helper()
	c := mustAlloc(tb, t, tuple, DefaultZone)
	if err := t.Insert(c); err != nil {
		tb.Fatalf("insert %v: %v", tuple, err)
	}
	return c
}

func TestLife(t *testing.T) {
	tab, clock := newTest(Options{})
	tuple := tcp("10.0.0.1:1", "10.0.0.2:80")
	c := mustAlloc(t, tab, tuple, DefaultZone)
	if c.Status() != 0 || c.Timeout() != 2500 || c.Use() != 0 || tab.Count() != 1 {
		t.Errorf("after alloc: status %v timeout %d use %d count %d", c.Status(), c.Timeout(), c.Use(), tab.Count())
	}
	if _, _, err := tab.Lookup(tuple, DefaultZone); !errors.Is(err, errno.ENOENT) {
		t.Errorf("lookup before insert: %v", err)
	}
	if err := tab.Insert(c); err != nil {
		t.Fatal(err)
	}
	if want := uint32(clock.Jiffies()) + 2500; c.Status() != IPSConfirmed || c.Timeout() != want || c.Use() != 2 {
		t.Errorf("after insert: status %v timeout %d (want %d) use %d", c.Status(), c.Timeout(), want, c.Use())
	}
	inv, _ := tuple.Invert()
	for d, tu := range []Tuple{tuple, inv} {
		f, got, err := tab.Lookup(tu, DefaultZone)
		if err != nil || got != Dir(d) || !f.Same(c) {
			t.Fatalf("lookup %v: %v %v", tu, got, err)
		}
		f.Release()
	}
	c.Release()
	clock.advance(2499)
	if f, _, err := tab.Lookup(tuple, DefaultZone); err != nil {
		t.Errorf("one jiffy before its end: %v", err)
	} else {
		f.Release()
	}
	clock.advance(1)
	if _, _, err := tab.Lookup(tuple, DefaultZone); !errors.Is(err, errno.ENOENT) {
		t.Errorf("at its end: %v", err)
	}
	if tab.Count() != 0 || c.Valid() || c.Release() == nil {
		t.Errorf("count %d, handle valid %v", tab.Count(), c.Valid())
	}
}

func TestEntrySize(t *testing.T) {
	if n := unsafe.Sizeof(entry{}); n != 128 {
		t.Errorf("an entry is %d bytes, not two cache lines", n)
	}
	if n := unsafe.Sizeof(chunk{}); n%8192 != 0 {
		t.Errorf("a chunk of %d bytes leaves part of a page unused", n)
	}
}
