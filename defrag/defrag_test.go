package defrag

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"pgregory.net/rapid"

	"github.com/bpfct/bpfct/packet"
)

type clock uint64

func (c *clock) Jiffies() uint64 { return uint64(*c) }

func parse(t testing.TB, b []byte) *packet.Info {
	t.Helper()
	info, err := packet.Parse(b, packet.LinkRaw)
	if err != nil && info.Version == 0 {
		t.Fatal(err)
	}
	return &info
}

func text(t testing.TB, s string) []byte {
	t.Helper()
	b, _, err := packet.ParseTextLink("raw " + s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestRoundTrip takes packets apart and puts them together again, in any order.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		texts := []string{
			"10.0.0.1:1 > 10.0.0.2:2 ipid 7 udp len 1999",
			"10.0.0.1:1 > 10.0.0.2:2 ipid 7 ipopt <rr 10.0.0.9, ra> tcp . seq 1 len 3000",
			"[2001:db8::1]:1 > [2001:db8::2]:2 udp len 2999",
			"[2001:db8::1]:1 > [2001:db8::2]:2 hbh <ra 0> udp len 2999",
			"[2001:db8::1]:1 > [2001:db8::2]:2 dstopts <> udp len 2999",
		}
		whole := text(t, rapid.SampledFrom(texts).Draw(rt, "packet"))
		size := rapid.IntRange(80, 1500).Draw(rt, "size")
		parts, err := Fragment(whole, size, 9, false)
		if err != nil {
			rt.Fatal(err)
		}
		r := New(Options{})
		for n, i := range rapid.Permutation(index(len(parts))).Draw(rt, "order") {
			if len(parts[i]) > size {
				rt.Fatalf("a fragment has %d bytes, %d are allowed", len(parts[i]), size)
			}
			got := r.Push(parts[i], parse(t, parts[i]), 0)
			if last := n == len(parts)-1; last != (got.Status == Whole) || !last && got.Status != Queued {
				rt.Fatalf("fragment %d of %d: %v, %v", n, len(parts), got.Status, got.Reason)
			}
			if got.Status == Whole && !bytes.Equal(got.Packet, whole) {
				rt.Fatalf("got\n%x\nwant\n%x", got.Packet, whole)
			}
		}
		if r.Pending() != 0 || r.memory != 0 {
			rt.Fatalf("%d packets and %d bytes stay", r.Pending(), r.memory)
		}
	})
}

func index(n int) (out []int) {
	for i := range n {
		out = append(out, i)
	}
	return out
}

func TestTimeout(t *testing.T) {
	for _, c := range []struct {
		text    string
		seconds int
	}{{"10.0.0.1 > 10.0.0.2 ipid 7 frag 0+ proto 99 hex:0001020304050607", 30}, {"2001:db8::1 > 2001:db8::2 frag 0+ fragid 7 proto 99 hex:0001020304050607", 60}} {
		now := new(clock)
		r := New(Options{Clock: now})
		b := text(t, c.text)
		if got := r.Push(b, parse(t, b), 0); got.Status != Queued {
			t.Fatalf("%s: %v, %v", c.text, got.Status, got.Reason)
		}
		*now = clock(c.seconds*250 - 1)
		if got := r.Push(b, parse(t, b), 0); got.Reason != ReasonDuplicate || r.Pending() != 1 {
			t.Errorf("%s: %v", c.text, got.Reason)
		}
		*now++ // what came meanwhile does not keep it
		if n := r.Expire(); n != 1 || r.Pending() != 0 {
			t.Errorf("%s: %d expired", c.text, n)
		}
	}
}

func TestUsersApart(t *testing.T) {
	r := New(Options{})
	b := text(t, "10.0.0.1 > 10.0.0.2 ipid 7 frag 0+ proto 99 hex:0001020304050607")
	for user := range uint32(3) {
		if got := r.Push(b, parse(t, b), user); got.Status != Queued {
			t.Error(got)
		}
	}
	if r.Pending() != 3 {
		t.Error(r.Pending())
	}
}

func TestMemory(t *testing.T) {
	r := New(Options{HighThreshold: 10000})
	b := text(t, "10.0.0.1 > 10.0.0.2 ipid 7 frag 0+ proto 99 len 800")
	refused := 0
	for id := range 100 {
		binary.BigEndian.PutUint16(b[4:], uint16(id))
		if got := r.Push(b, parse(t, b), 0); got.Reason == ReasonMemory {
			refused++
		}
	}
	if r.Pending()+refused != 100 || refused == 0 || r.memory > 10000+800+overhead {
		t.Errorf("%d pending, %d refused, %d bytes", r.Pending(), refused, r.memory)
	}
}

func TestFragmentErrors(t *testing.T) {
	long := text(t, "10.0.0.1:1 > 10.0.0.2:2 df udp len 2000")
	if _, err := Fragment(long, 1000, 0, false); !errors.Is(err, ErrDontFragment) {
		t.Error(err)
	}
	if _, err := Fragment(long, 1000, 0, true); err != nil {
		t.Error(err)
	}
	if _, err := Fragment(long, 27, 0, true); !errors.Is(err, ErrMTU) {
		t.Error(err)
	}
	if _, err := Fragment([]byte{1, 2, 3}, 2, 0, true); err == nil {
		t.Error("three bytes are a packet")
	}
}

// FuzzPush gives anything to a reassembler; what comes out whole must parse,
// and memory must be given back.
func FuzzPush(f *testing.F) {
	for _, s := range []string{
		"10.0.0.1:1 > 10.0.0.2:2 ipid 7 udp len 99", "[2001:db8::1]:1 > [2001:db8::2]:2 hbh <ra 0> udp len 99",
	} {
		parts, err := Fragment(text(f, s), 80, 1, false)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(parts[0], parts[1])
		f.Add(parts[1], parts[0])
	}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		now := new(clock)
		r := New(Options{Clock: now})
		for _, p := range [][]byte{a, b, a} {
			info, err := packet.Parse(p, packet.LinkRaw)
			if err != nil {
				continue
			}
			got := r.Push(p, &info, 0)
			if (got.Status == Whole) != (got.Packet != nil) {
				t.Fatalf("%v with %d bytes", got.Status, len(got.Packet))
			}
			if got.Status == Whole {
				if whole, _ := packet.Parse(got.Packet, packet.LinkRaw); whole.Version != info.Version || whole.Version == 4 && whole.Fragment {
					t.Fatalf("whole: %+v", whole)
				}
			}
		}
		*now = 1 << 20
		r.Expire()
		if r.Pending() != 0 || r.memory != 0 || len(r.queues) != 0 {
			t.Fatalf("%d packets and %d bytes stay", r.Pending(), r.memory)
		}
	})
}
