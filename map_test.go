package bpfct_test

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"pgregory.net/rapid"

	"github.com/bpfct/bpfct"
	"github.com/bpfct/bpfct/internal/errno"
)

// hostPort marshals itself: an address and port in network order.
type hostPort netip.AddrPort

func (k hostPort) MarshalBinary() ([]byte, error) {
	b := netip.AddrPort(k).Addr().AsSlice()
	return append(binary.BigEndian.AppendUint16(b, netip.AddrPort(k).Port()), 0, 0), nil
}

func (k *hostPort) UnmarshalBinary(b []byte) error {
	if len(b) != 8 {
		return errors.New("not 8 bytes")
	}
	*k = hostPort(netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[:4])), binary.BigEndian.Uint16(b[4:])))
	return nil
}

func TestMapMarshalling(t *testing.T) {
	_, coll := load(t, bpfct.HostOptions{})
	m := coll.Maps["hits"]
	type key struct {
		Addr [4]byte
		Port [2]byte
		_    uint16
	}
	own := hostPort(netip.MustParseAddrPort("10.0.0.1:4242"))
	plain := key{Addr: [4]byte{10, 0, 0, 1}, Port: [2]byte{0x10, 0x92}}
	raw := []byte{10, 0, 0, 1, 0x10, 0x92, 0, 0}
	// Every form of a key and value means the same bytes.
	for i, put := range []struct{ key, value any }{
		{own, uint64(1)}, {plain, []byte{2, 0, 0, 0, 0, 0, 0, 0}}, {raw, int64(3)}, {&plain, [2]uint32{4, 0}},
	} {
		if err := m.Put(put.key, put.value); err != nil {
			t.Fatalf("put %d: %v", i, err)
		}
		var n uint64
		var b []byte
		var fixed [8]byte
		var anything any
		for _, out := range []any{&n, &b, fixed[:], &anything} {
			if err := m.Lookup(raw, out); err != nil {
				t.Fatalf("lookup into %T: %v", out, err)
			}
		}
		want := uint64(i + 1)
		if n != want || b[0] != byte(want) || fixed[0] != byte(want) || anything.([]byte)[0] != byte(want) {
			t.Errorf("put %d: read %d, %v, %v, %v", i, n, b, fixed, anything)
		}
	}
	var back hostPort
	if err := m.NextKey(nil, &back); err != nil || back != own {
		t.Errorf("first key %v, %v", netip.AddrPort(back), err)
	}
	if err := m.NextKey(&back, &back); !errors.Is(err, bpfct.ErrKeyNotExist) || !errors.Is(err, ebpf.ErrKeyNotExist) {
		t.Errorf("after the last key: %v", err)
	}
	for what, err := range map[string]error{
		"marshals to 4 bytes, want 8": m.Put(uint32(1), uint64(1)),
		"a string has no fixed size":  m.Put("10.0.0.1", uint64(1)),
		"value: uint8 marshals to 1":  m.Put(raw, uint8(1)),
		"key: nil":                    m.Put(nil, uint64(1)),
		"8 bytes do not fit a []byte": m.Lookup(raw, make([]byte, 4)),
		"into int":                    m.Lookup(raw, 5),
		"takes 4 of 8 bytes":          m.Lookup(raw, new(uint32)),
	} {
		if err == nil || !strings.Contains(err.Error(), what) || !strings.Contains(err.Error(), "hits") {
			t.Errorf("%q: %v", what, err)
		}
	}
}

func TestMapErrorsAreThoseOfTheKernelAndOfEbpf(t *testing.T) {
	host, coll := load(t, bpfct.HostOptions{})
	m := coll.Maps["hits"]
	k := make([]byte, 8)
	if err := m.Lookup(k, new(uint64)); !errors.Is(err, ebpf.ErrKeyNotExist) || !errors.Is(err, errno.ENOENT) {
		t.Errorf("lookup: %v", err)
	}
	if b, err := m.LookupBytes(k); b != nil || err != nil {
		t.Errorf("lookup of raw bytes: %v, %v", b, err)
	}
	if err := m.Delete(k); !errors.Is(err, ebpf.ErrKeyNotExist) {
		t.Errorf("delete: %v", err)
	}
	if err := m.Update(k, uint64(1), ebpf.UpdateExist); !errors.Is(err, ebpf.ErrKeyNotExist) {
		t.Errorf("update of what is not there: %v", err)
	}
	if err := m.Update(k, uint64(1), ebpf.UpdateNoExist); err != nil {
		t.Error(err)
	}
	if err := m.Update(k, uint64(1), ebpf.UpdateNoExist); !errors.Is(err, ebpf.ErrKeyExist) || !errors.Is(err, errno.EEXIST) {
		t.Errorf("update of what is there: %v", err)
	}
	var n uint64
	if err := m.LookupAndDelete(k, &n); err != nil || n != 1 {
		t.Errorf("take: %d, %v", n, err)
	}
	for i := range 64 {
		k[0] = byte(i)
		if err := m.Put(k, uint64(i)); err != nil {
			t.Fatal(err)
		}
	}
	k[0] = 64
	if err := m.Put(k, uint64(1)); !errors.Is(err, errno.E2BIG) {
		t.Errorf("a full map: %v", err)
	}
	if _, err := host.NewMap(&ebpf.MapSpec{Name: "bad", Type: ebpf.Hash, KeySize: 0, ValueSize: 4, MaxEntries: 1}); !errors.Is(err, errno.EINVAL) || !strings.Contains(err.Error(), "bad") {
		t.Errorf("a key of no bytes: %v", err)
	}
}

func TestPerCPUValuesAreSlices(t *testing.T) {
	_, coll := load(t, bpfct.HostOptions{CPUs: 3})
	m := coll.Maps["percpu"]
	if err := m.Put(uint32(5), []uint32{1, 2, 3}); err != nil {
		t.Fatal(err)
	}
	run(t, coll, "tally", &bpfct.RunOptions{Data: udp(`10.0.0.1:1 > 10.0.0.2:2 udp "x"`), CPU: 2, Context: marked(5)})
	var got []uint32
	if err := m.Lookup(uint32(5), &got); err != nil || !slices.Equal(got, []uint32{1, 2, 4}) {
		t.Errorf("%v, %v", got, err)
	}
	inPlace := make([]uint32, 3)
	if err := m.Lookup(uint32(5), inPlace); err != nil || !slices.Equal(inPlace, got) {
		t.Errorf("in place: %v, %v", inPlace, err)
	}
	var raw []byte
	if err := m.Lookup(uint32(5), &raw); err != nil || len(raw) != 24 { // every value takes 8 bytes
		t.Errorf("raw: %v, %v", raw, err)
	}
	if err := m.Put(uint32(6), []uint32{9}); err != nil {
		t.Error(err)
	}
	if err := m.Lookup(uint32(6), &got); err != nil || !slices.Equal(got, []uint32{9, 0, 0}) {
		t.Errorf("fewer values than CPUs: %v, %v", got, err)
	}
	for _, bad := range []any{uint32(1), []uint32{1, 2, 3, 4}, []uint64{1}} {
		if err := m.Put(uint32(5), bad); err == nil {
			t.Errorf("put %T %v", bad, bad)
		}
	}
	if err := m.Lookup(uint32(5), new(uint32)); err == nil {
		t.Error("lookup into one number")
	}
}

func TestIterate(t *testing.T) {
	_, coll := load(t, bpfct.HostOptions{CPUs: 2})
	m := coll.Maps["hits"]
	want := map[[8]byte]uint64{}
	for i := range 10 {
		k := [8]byte{byte(i)}
		want[k] = uint64(i) * 10
		if err := m.Put(k, want[k]); err != nil {
			t.Fatal(err)
		}
	}
	var k [8]byte
	var v uint64
	seen := 0
	it := m.Iterate()
	for it.Next(&k, &v) {
		if want[k] != v {
			t.Errorf("%v has %d", k, v)
		}
		seen++
	}
	if it.Err() != nil || seen != 10 {
		t.Errorf("%d elements, %v", seen, it.Err())
	}
	seen = 0
	for key, value := range m.All() {
		if want[[8]byte(key)] != binary.LittleEndian.Uint64(value) {
			t.Errorf("%v has %v", key, value)
		}
		if seen++; seen == 3 {
			break
		}
	}
	it = m.Iterate()
	if it.Next(new(uint16), &v) || it.Err() == nil {
		t.Error("a key of the wrong size is no error")
	}
	// Elements that go while the walk is on end it at worst, and never twice.
	it = m.Iterate()
	for it.Next(&k, &v) {
		if err := m.Delete(k); err != nil {
			t.Fatal(err)
		}
	}
	if err := it.Err(); err != nil && !errors.Is(err, ebpf.ErrIterationAborted) {
		t.Error(err)
	}
}

// TestMapIsAMap compares a hash map with Go's on generated operations.
func TestMapIsAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		host, err := bpfct.NewHost(bpfct.HostOptions{})
		if err != nil {
			t.Fatal(err)
		}
		m, err := host.NewMap(&ebpf.MapSpec{Name: "m", Type: ebpf.Hash, KeySize: 2, ValueSize: 4, MaxEntries: 8})
		if err != nil {
			t.Fatal(err)
		}
		model := map[uint16]uint32{}
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				k, v := rapid.Uint16Range(0, 12).Draw(t, "key"), rapid.Uint32().Draw(t, "value")
				err := m.Put(k, v)
				if _, have := model[k]; !have && len(model) == 8 {
					if !errors.Is(err, errno.E2BIG) {
						t.Fatalf("full: %v", err)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				model[k] = v
			},
			"delete": func(t *rapid.T) {
				k := rapid.Uint16Range(0, 12).Draw(t, "key")
				_, have := model[k]
				if err := m.Delete(k); have != (err == nil) || !have && !errors.Is(err, ebpf.ErrKeyNotExist) {
					t.Fatalf("there %v: %v", have, err)
				}
				delete(model, k)
			},
			"": func(t *rapid.T) {
				n := 0
				var k uint16
				var v uint32
				for it := m.Iterate(); it.Next(&k, &v); n++ {
					if model[k] != v {
						t.Fatalf("%d has %d, want %d", k, v, model[k])
					}
				}
				if n != len(model) {
					t.Fatalf("%d elements, want %d", n, len(model))
				}
			},
		})
	})
}

func TestQueueAndFreeze(t *testing.T) {
	host, coll := load(t, bpfct.HostOptions{})
	for range 3 {
		run(t, coll, "emit", nil)
	}
	q := coll.Maps["queue"]
	var n uint32
	for want := uint32(1); want <= 3; want++ {
		if err := q.LookupAndDelete(nil, &n); err != nil || n != want {
			t.Errorf("%d, %v, want %d", n, err, want)
		}
	}
	if err := q.LookupAndDelete(nil, &n); !errors.Is(err, ebpf.ErrKeyNotExist) {
		t.Errorf("an empty queue: %v", err)
	}
	m, err := host.NewMap(&ebpf.MapSpec{Name: "frozen", Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 2,
		Contents: []ebpf.MapKV{{Key: uint32(1), Value: uint32(5)}}})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := m.Lookup(uint32(1), &n); err != nil || n != 5 {
		t.Errorf("contents: %d, %v", n, err)
	}
	if err := m.Freeze(); err != nil {
		t.Fatal(err)
	}
	if err := m.Put(uint32(1), uint32(6)); !errors.Is(err, errno.EPERM) {
		t.Errorf("put into a frozen map: %v", err)
	}
}
