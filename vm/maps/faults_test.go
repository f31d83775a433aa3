package maps

import (
	"testing"

	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/vm"
)

// What the verifier would not let pass ends the run.
func TestMisuseIsAFault(t *testing.T) {
	m := newMachine(t, 1)
	hash := mustNew(t, m, &ebpf.MapSpec{Type: ebpf.Hash, KeySize: 8, ValueSize: 8, MaxEntries: 1})
	rdonly := mustNew(t, m, &ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1, Flags: ReadOnlyProg})
	wronly := mustNew(t, m, &ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1, Flags: WriteOnlyProg})
	progs := mustNew(t, m, &ebpf.MapSpec{Type: ebpf.ProgramArray, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	queue := mustNew(t, m, &ebpf.MapSpec{Type: ebpf.Queue, ValueSize: 8, MaxEntries: 1})
	ring := mustNew(t, m, &ebpf.MapSpec{Type: ebpf.RingBuf, MaxEntries: 4096})
	key, short := guest(t, m, make([]byte, 8)), guest(t, m, make([]byte, 7))
	zero := guest(t, m, make([]byte, 8))
	value, err := call(t, m, 0, "bpf_map_lookup_elem", rdonly.Handle().Addr(), zero)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what, helper string
		args         []uint64
		want         vm.FaultKind
	}{
		{"no map", "bpf_map_lookup_elem", []uint64{key, key}, vm.BadArgument},
		{"a number as map", "bpf_map_lookup_elem", []uint64{12345678, key}, vm.WildAddress},
		{"NULL as map", "bpf_map_lookup_elem", []uint64{0, key}, vm.NullDereference},
		{"an address inside a map", "bpf_map_lookup_elem", []uint64{hash.Handle().Addr() + 8, key}, vm.BadArgument},
		{"a value as map", "bpf_map_lookup_elem", []uint64{value, key}, vm.BadArgument},
		{"NULL as key", "bpf_map_lookup_elem", []uint64{hash.Handle().Addr(), 0}, vm.NullDereference},
		{"a short key", "bpf_map_lookup_elem", []uint64{hash.Handle().Addr(), short}, vm.OutOfBounds},
		{"a short value", "bpf_map_update_elem", []uint64{hash.Handle().Addr(), key, short, 0}, vm.OutOfBounds},
		{"lookup in a program array", "bpf_map_lookup_elem", []uint64{progs.Handle().Addr(), key}, vm.BadArgument},
		{"lookup in a queue", "bpf_map_lookup_elem", []uint64{queue.Handle().Addr(), key}, vm.BadArgument},
		{"push into a hash", "bpf_map_push_elem", []uint64{hash.Handle().Addr(), key, 0}, vm.BadArgument},
		{"value of a CPU of a plain hash", "bpf_map_lookup_percpu_elem", []uint64{hash.Handle().Addr(), key, 0}, vm.BadArgument},
		{"update of a read-only map", "bpf_map_update_elem", []uint64{rdonly.Handle().Addr(), key, key, 0}, vm.BadArgument},
		{"delete in a read-only map", "bpf_map_delete_elem", []uint64{rdonly.Handle().Addr(), key}, vm.BadArgument},
		{"walk of a queue", "bpf_for_each_map_elem", []uint64{queue.Handle().Addr(), key, 0, 0}, vm.BadArgument},
		{"walk with a bad callback", "bpf_for_each_map_elem", []uint64{rdonly.Handle().Addr(), 77, 0, 0}, vm.BadArgument},
		{"output to a hash", "bpf_ringbuf_output", []uint64{hash.Handle().Addr(), key, 8, 0}, vm.BadArgument},
		{"output of too much", "bpf_ringbuf_output", []uint64{ring.Handle().Addr(), key, 9, 0}, vm.OutOfBounds},
		{"submit of a value", "bpf_ringbuf_submit", []uint64{value, 0}, vm.BadArgument},
		{"a timer that is none", "bpf_timer_start", []uint64{value, 0, 0}, vm.BadArgument},
		{"a timer on a stack", "bpf_timer_start", []uint64{key, 0, 0}, vm.BadArgument},
		{"perf output to a hash", "bpf_perf_event_output", []uint64{key, hash.Handle().Addr(), 0, key, 8}, vm.BadArgument},
	} {
		if _, err := call(t, m, 0, c.helper, c.args...); !isFault(err, c.want) {
			t.Errorf("%s: %v, want %v", c.what, err, c.want)
		}
	}
	if v, err := call(t, m, 0, "bpf_map_lookup_elem", wronly.Handle().Addr(), zero); v == 0 || err != nil {
		t.Errorf("lookup in a map that is only written: %#x, %v", v, err)
	}
	if _, _, f := m.Mem.Store(value, 4); f == nil || f.Kind != vm.WriteProtected {
		t.Errorf("store to a read-only value: %v", f)
	}
}

func TestReservedRecordsAreReferences(t *testing.T) {
	m := newMachine(t, 1)
	ring := mustNew(t, m, &ebpf.MapSpec{Type: ebpf.RingBuf, MaxEntries: 4096}).(*RingBuf)
	reserve, submit := m.Registry.Lookup("bpf_ringbuf_reserve"), m.Registry.Lookup("bpf_ringbuf_submit")
	_, err := onCPU(t, m, 0, func(c *vm.CPU) (uint64, error) {
		return reserve(c, &[5]uint64{ring.Handle().Addr(), 16})
	})
	if !isFault(err, vm.ReferenceLeak) {
		t.Errorf("a record that is not submitted: %v", err)
	}
	_, err = onCPU(t, m, 0, func(c *vm.CPU) (uint64, error) {
		addr, err := reserve(c, &[5]uint64{ring.Handle().Addr(), 16})
		if err != nil {
			return 0, err
		}
		if _, err := submit(c, &[5]uint64{addr}); err != nil {
			return 0, err
		}
		if _, f := c.M.Mem.Load(addr, 4); f == nil || f.Kind != vm.UseAfterRelease {
			t.Errorf("a read after submit: %v", f)
		}
		_, err = submit(c, &[5]uint64{addr})
		return 0, err
	})
	if !isFault(err, vm.UseAfterRelease) {
		t.Errorf("submit twice: %v", err)
	}
	// The record that leaked was discarded and does not hold back the other.
	if data, ok := ring.Next(); !ok || len(data) != 16 {
		t.Errorf("record %v, %v", data, ok)
	}
	if n := ring.Buffered(); n != 0 {
		t.Errorf("%d bytes are left", n)
	}
}

func TestRingBufWakeups(t *testing.T) {
	m := newMachine(t, 1)
	ring := mustNew(t, m, &ebpf.MapSpec{Type: ebpf.RingBuf, MaxEntries: 4096}).(*RingBuf)
	for i, c := range []struct {
		flags uint64
		read  bool
		want  uint64
	}{
		{0, false, 1},                  // the reader waits for it
		{0, false, 1},                  // it has not come to this one
		{ringForceWakeup, false, 2},    // asked for
		{ringNoWakeup, true, 2},        // asked not to
		{0, false, 3},                  // it has read all before
		{ringForceWakeup | 1, true, 4}, // force wins
		{0, false, 5},
	} {
		ring.output([]byte{1}, c.flags)
		if got := ring.Wakeups(); got != c.want {
			t.Errorf("record %d: %d wakeups, want %d", i, got, c.want)
		}
		for c.read {
			if _, ok := ring.Next(); !ok {
				break
			}
		}
	}
}

// Values and walks of a per-CPU map are those of the CPU.
func TestForEach(t *testing.T) {
	for _, spec := range []*ebpf.MapSpec{
		{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 5},
		{Type: ebpf.PerCPUArray, KeySize: 4, ValueSize: 8, MaxEntries: 5},
		{Type: ebpf.Hash, KeySize: 4, ValueSize: 8, MaxEntries: 5},
		{Type: ebpf.PerCPUHash, KeySize: 4, ValueSize: 8, MaxEntries: 5},
		{Type: ebpf.LRUHash, KeySize: 4, ValueSize: 8, MaxEntries: 50},
	} {
		t.Run(spec.Type.String(), func(t *testing.T) {
			m := newMachine(t, 2)
			mp := mustNew(t, m, spec)
			for i := range uint32(5) {
				_, err := onCPU(t, m, 1, func(c *vm.CPU) (uint64, error) {
					return 0, mp.UpdateElem(c, uint32Bytes(i), []byte{byte(i + 100), 0, 0, 0, 0, 0, 0, 0}, 0)
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			var seen [5]bool
			cb := callback(t, m, func(c *vm.CPU, a [5]uint64) (uint64, error) {
				key, err := c.Read("R2", a[1], 4)
				if err != nil {
					return 0, err
				}
				value, err := c.Read("R3", a[2], 8)
				if err != nil {
					return 0, err
				}
				if a[0] != mp.Handle().Addr() || a[3] != 42 || value[0] != key[0]+100 || seen[key[0]] {
					t.Errorf("callback(%v) with key %v, value %v", a, key, value)
				}
				if _, err := c.Write("R2", a[1], 4); !isFault(err, vm.WriteProtected) {
					t.Errorf("write to the key: %v", err)
				}
				seen[key[0]] = true
				return uint64(key[0] / 4), nil
			})
			n, err := call(t, m, 1, "bpf_for_each_map_elem", mp.Handle().Addr(), cb, 42, 0)
			count := uint64(0)
			for _, s := range seen {
				if s {
					count++
				}
			}
			if err != nil || n != count || !seen[4] {
				t.Errorf("%d calls for %v, %v; the callback that returned 1 is the last", n, seen, err)
			}
			if r, err := call(t, m, 1, "bpf_for_each_map_elem", mp.Handle().Addr(), cb, 42, 1); err != nil || r != errno.EINVAL.Neg() {
				t.Errorf("flags 1: %#x, %v", r, err)
			}
		})
	}
}

func TestRedirectTargets(t *testing.T) {
	m := newMachine(t, 2)
	xdp := &vm.Program{Name: "out", Type: ebpf.XDP, AttachType: ebpf.AttachXDPDevMap}
	for _, typ := range []ebpf.MapType{ebpf.DevMap, ebpf.DevMapHash} {
		mp := mustNew(t, m, &ebpf.MapSpec{Type: typ, KeySize: 4, ValueSize: 8, MaxEntries: 4})
		r := mp.(interface {
			RedirectTarget(uint32) any
			CanBroadcast() bool
			Targets() []DevTarget
			RemoveDevice(uint32)
		})
		want := DevTarget{Ifindex: 3, Program: Prog{xdp, 9}}
		wantErrno(t, "update", mp.UpdateRef(uint32Bytes(1), want, 0), 0)
		wantErrno(t, "update", mp.Update(uint32Bytes(2), []byte{5, 0, 0, 0, 0, 0, 0, 0}, 0), 0)
		wantErrno(t, "a program of another type", mp.UpdateRef(uint32Bytes(3), DevTarget{3, Prog{&vm.Program{Type: ebpf.XDP}, 1}}, 0), errno.EINVAL)
		if got := r.RedirectTarget(1); got != any(want) {
			t.Errorf("%v: target %v", typ, got)
		}
		if got := r.RedirectTarget(3); got != nil {
			t.Errorf("%v: target %v", typ, got)
		}
		if got := r.Targets(); len(got) != 2 || !r.CanBroadcast() {
			t.Errorf("%v: targets %v", typ, got)
		}
		if v, err := mp.Lookup(uint32Bytes(1), 0); err != nil || v[0] != 3 || v[4] != 9 {
			t.Errorf("%v: value %v, %v", typ, v, err)
		}
		r.RemoveDevice(3)
		if got := r.Targets(); len(got) != 1 || got[0].Ifindex != 5 {
			t.Errorf("%v: targets after the device went: %v", typ, got)
		}
	}
	cpus := mustNew(t, m, &ebpf.MapSpec{Type: ebpf.CPUMap, KeySize: 4, ValueSize: 4}).(*CPUMap)
	wantErrno(t, "update", cpus.Update(uint32Bytes(1), uint32Bytes(64), 0), 0)
	if got := cpus.RedirectTarget(1); got != any(CPUTarget{CPU: 1, QueueSize: 64}) || cpus.CanBroadcast() {
		t.Errorf("target %v", got)
	}
	socks := mustNew(t, m, &ebpf.MapSpec{Type: ebpf.XSKMap, KeySize: 4, ValueSize: 4, MaxEntries: 2}).(*XSKMap)
	xsk := &XSK{QueueID: 6}
	wantErrno(t, "update", socks.UpdateRef(uint32Bytes(1), xsk, Exist), errno.ENOENT)
	wantErrno(t, "update", socks.UpdateRef(uint32Bytes(1), xsk, NoExist), 0)
	wantErrno(t, "update", socks.UpdateRef(uint32Bytes(1), &XSK{}, NoExist), errno.EEXIST)
	if got := socks.RedirectTarget(1); got != any(xsk) || socks.RedirectTarget(0) != nil {
		t.Errorf("target %v", got)
	}
	addr, err := call(t, m, 0, "bpf_map_lookup_elem", socks.Handle().Addr(), guest(t, m, uint32Bytes(1)))
	if b, f := m.Mem.Load(addr, 4); err != nil || f != nil || b[0] != 6 {
		t.Errorf("a program finds queue %v, %v, %v", b, f, err)
	}
}

func TestPerfOutputWithoutAPacket(t *testing.T) {
	m := newMachine(t, 2)
	mp := mustNew(t, m, &ebpf.MapSpec{Type: ebpf.PerfEventArray})
	data := guest(t, m, []byte("sample"))
	out := func(cpu int, flags uint64) errno.Errno {
		t.Helper()
		r, err := call(t, m, cpu, "bpf_perf_event_output", 0, mp.Handle().Addr(), flags, data, 6)
		if err != nil {
			t.Fatal(err)
		}
		return errno.Errno(-int64(r))
	}
	ring := NewPerfRing(1, 1)
	wantErrno(t, "update", mp.UpdateRef(uint32Bytes(1), ring, 0), 0)
	for _, c := range []struct {
		cpu   int
		flags uint64
		want  errno.Errno
	}{
		{1, perfCurrentCPU, 0}, {1, 1, 0}, {0, 1, errno.EOPNOTSUPP}, {0, perfCurrentCPU, errno.ENOENT}, {0, 2, errno.E2BIG},
		{1, 1 | 8<<32, errno.EFAULT}, {1, 1 << 52, errno.EINVAL},
	} {
		if got := out(c.cpu, c.flags); got != c.want {
			t.Errorf("CPU %d flags %#x: %v, want %v", c.cpu, c.flags, got, c.want)
		}
	}
	for range 2 {
		if rec, ok := ring.Next(); !ok || string(rec.Data) != "sample" || rec.CPU != 1 {
			t.Errorf("record %+v, %v", rec, ok)
		}
	}
}
