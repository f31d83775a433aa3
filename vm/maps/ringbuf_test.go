package maps

import (
	"testing"

	"github.com/cilium/ebpf"
)

// A record that a stopped program still held is discarded, and its memory is free
// again.
func TestRecordLeftBehind(t *testing.T) {
	m := newMachine(t, 1)
	ring := mustNew(t, m, &ebpf.MapSpec{Type: ebpf.RingBuf, MaxEntries: 4096}).(*RingBuf)
	before := m.Mem.Used()
	o, err := ring.Reserve(100)
	if err != nil || o == nil {
		t.Fatal(o, err)
	}
	o.Owner.(*Sample).ReleaseReference()
	if used := m.Mem.Used(); used != before {
		t.Errorf("%d bytes are used, before there were %d", used, before)
	}
	if data, ok := ring.Next(); ok {
		t.Errorf("the reader sees %x", data)
	}
}
