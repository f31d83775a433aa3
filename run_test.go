package bpfct_test

import (
	"bytes"
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bpfct/bpfct"
	"github.com/bpfct/bpfct/conntrack"
	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/netns"
	"github.com/bpfct/bpfct/vm"
)

//go:embed testdata/faults.o
var faultsObject []byte

// loadFaults loads testdata/faults.c past the verifier, which would refuse it.
func loadFaults(t testing.TB, opts bpfct.HostOptions) (*bpfct.Host, *bpfct.Collection) {
	t.Helper()
	spec, err := bpfct.LoadCollectionSpecFromReader(bytes.NewReader(faultsObject))
	if err != nil {
		t.Fatal(err)
	}
	host := newHost(t, opts)
	coll, err := host.LoadCollection(spec, bpfct.CollectionOptions{SkipVerifier: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(coll.Close)
	return host, coll
}

func TestFaultsAreErrors(t *testing.T) {
	host, coll := loadFaults(t, bpfct.HostOptions{MaxInsns: 100000})
	for name, want := range map[string]struct {
		kind vm.FaultKind
		text []string // of %+v
	}{
		"null_dereference":  {vm.NullDereference, []string{"faults.c", "return *n;", "read of 8 bytes at 0x0"}},
		"reference_leak":    {vm.ReferenceLeak, []string{"nf_conn___init", "acquired at"}},
		"use_after_release": {vm.UseAfterRelease, []string{"released at", "return ct->mark;"}},
		"endless":           {vm.LimitExceeded, []string{"more than 100000 instructions"}},
	} {
		t.Run(name, func(t *testing.T) {
			res, err := coll.Programs[name].Run(nil)
			var fault *vm.Fault
			if !errors.As(err, &fault) || fault.Kind != want.kind {
				t.Fatalf("%v", err)
			}
			if res == nil || len(res.Data) != 64 {
				t.Errorf("result %+v", res)
			}
			report := fmt.Sprintf("%+v", fault)
			for _, text := range want.text {
				if !strings.Contains(report, text) {
					t.Errorf("no %q in\n%s", text, report)
				}
			}
			if !strings.Contains(err.Error(), name) {
				t.Errorf("%v does not name the program", err)
			}
		})
	}
	// What a stopped program held is given back.
	for s := range host.Netns().Conntrack().Snapshots() {
		if s.Use != 1 {
			t.Errorf("%d references are left", s.Use)
		}
	}
	if ret, out, err := coll.Programs["reference_leak"].Test(nil); err == nil || ret != 0 || out != nil {
		t.Errorf("Test: %d, %v, %v", ret, out, err)
	}
}

func TestTimerFaultsAreKept(t *testing.T) {
	host, coll := loadFaults(t, bpfct.HostOptions{})
	run(t, coll, "arm_bad", nil)
	if err := host.TimerErrors(); err != nil {
		t.Errorf("before it is due: %v", err)
	}
	host.Clock().Advance(time.Second)
	var fault *vm.Fault
	if err := host.TimerErrors(); !errors.As(err, &fault) || fault.Kind != vm.NullDereference || !strings.Contains(err.Error(), "alarms") {
		t.Errorf("%v", err)
	}
	if err := host.TimerErrors(); err != nil {
		t.Errorf("told twice: %v", err)
	}
}

func TestRunOptions(t *testing.T) {
	host, coll := load(t, bpfct.HostOptions{CPUs: 2})
	p := coll.Programs["globals"]
	res := run(t, coll, "globals", &bpfct.RunOptions{Repeat: 5})
	if res.Return != 12 || res.Insns == 0 || len(res.Data) != 64 || !bytes.Equal(res.Data, make([]byte, 64)) {
		t.Errorf("%+v", res)
	}
	type start struct{ Len, PktType, Mark uint32 }
	if res := run(t, coll, "jump", &bpfct.RunOptions{Context: start{Mark: 1}}); res.Return != 41 {
		t.Errorf("a context as a struct: %d", res.Return)
	}
	if res := run(t, coll, "globals", &bpfct.RunOptions{CPU: bpfct.AnyCPU}); res.Return != 13 {
		t.Errorf("%+v", res)
	}
	for want, opts := range map[string]*bpfct.RunOptions{
		"must have 14":      {Data: make([]byte, 3)},
		"EINVAL":            {Data: make([]byte, 100000)},
		"CPU 2":             {CPU: 2},
		"context":           {Context: map[string]int{}},
		"EINVAL: invalid a": {Context: []byte{0, 0, 0, 0, 1}}, // pkt_type cannot be set
	} {
		if res, err := p.Run(opts); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "globals") {
			t.Errorf("%q: %v, %v", want, res, err)
		}
	}
	if p.Name() != "globals" || p.Type().String() != "SchedCLS" || p.Spec().SectionName != "tc" {
		t.Errorf("%v", p)
	}
	// Another namespace has connections of its own.
	other := host.NewNetns("other")
	packet := udp(`10.0.0.1:1 > 10.0.0.2:2 udp "x"`)
	run(t, coll, "track", &bpfct.RunOptions{Data: packet, Netns: other})
	if a, b := host.Netns().Conntrack().Count(), other.Conntrack().Count(); a != 0 || b != 1 {
		t.Errorf("%d and %d connections", a, b)
	}
	// A packet that arrived on a device.
	dev, err := other.AddDevice(netns.Device{Index: 5, Name: "eth0", MTU: 1500, Up: true})
	if err != nil {
		t.Fatal(err)
	}
	if res := run(t, coll, "track", &bpfct.RunOptions{Data: packet, Netns: other, Device: dev}); res.Return != 1 {
		t.Errorf("on a device: %d", res.Return)
	}
}

func TestConntrackLimit(t *testing.T) {
	host, coll := load(t, bpfct.HostOptions{ConntrackMax: 4, ConntrackBuckets: 1})
	for i := range 8 {
		run(t, coll, "track", &bpfct.RunOptions{Data: udp(fmt.Sprintf(`10.0.0.1:%d > 10.0.0.2:2 udp "x"`, i+1))})
	}
	if n := host.Netns().Conntrack().Count(); n > 4 {
		t.Errorf("%d connections of 4", n)
	}
}

func TestMemoryLimit(t *testing.T) {
	host := newHost(t, bpfct.HostOptions{MemoryLimit: 1 << 12})
	if _, err := host.LoadCollection(apiSpec(t), bpfct.CollectionOptions{}); !errors.Is(err, errno.ENOMEM) || !strings.Contains(err.Error(), "map ") {
		t.Errorf("%v", err)
	}
}

func TestConnectionsExpireOnTheClock(t *testing.T) {
	host, coll := load(t, bpfct.HostOptions{})
	packet := &bpfct.RunOptions{Data: udp(`10.0.0.1:1 > 10.0.0.2:2 udp "x"`)}
	for i, step := range []struct {
		advance time.Duration
		want    uint32
	}{{0, 0}, {0, 1}, {900 * time.Millisecond, 2}, {200 * time.Millisecond, 0}, {0, 1}} {
		host.Clock().Advance(step.advance)
		if res := run(t, coll, "track", packet); res.Return != step.want {
			t.Errorf("step %d returned %d, want %d", i, int32(res.Return), step.want)
		}
	}
	var marks []uint32
	for c := range host.Netns().Conntrack().Snapshots() {
		marks = append(marks, c.Mark)
		if c.Status != conntrack.IPSConfirmed || c.Seconds() != 1 {
			t.Errorf("%v, %d seconds", c.Status, c.Seconds())
		}
	}
	if !slices.Equal(marks, []uint32{1}) {
		t.Errorf("marks %v", marks)
	}
}

func TestTimersRunOnTheClock(t *testing.T) {
	host, coll := load(t, bpfct.HostOptions{})
	fired := func() (n uint32) {
		if err := coll.Variables["fired"].Get(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	run(t, coll, "arm", nil)
	for _, step := range []struct {
		advance time.Duration
		want    uint32
	}{{999 * time.Millisecond, 0}, {time.Millisecond, 1}, {10 * time.Second, 3}, {time.Hour, 3}} {
		host.Clock().Advance(step.advance)
		if n := fired(); n != step.want {
			t.Errorf("after %v: fired %d times, want %d", step.advance, n, step.want)
		}
	}
	if err := host.TimerErrors(); err != nil {
		t.Error(err)
	}
}

func TestReaders(t *testing.T) {
	_, coll := load(t, bpfct.HostOptions{CPUs: 2})
	ring, err := bpfct.NewRingbufReader(coll.Maps["ring"])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ring.Read(); !errors.Is(err, bpfct.ErrNoRecord) || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("an empty ring: %v", err)
	}
	perf, err := bpfct.NewPerfReader(coll.Maps["perf"], 4096)
	if err != nil {
		t.Fatal(err)
	}
	run(t, coll, "emit", &bpfct.RunOptions{CPU: 1})
	run(t, coll, "emit", &bpfct.RunOptions{CPU: 0, Data: make([]byte, 100)})
	for n := uint32(1); n <= 2; n++ {
		rec, err := ring.Read()
		if err != nil || len(rec.RawSample) != 16 || binary.LittleEndian.Uint32(rec.RawSample[4:]) != n {
			t.Errorf("record %d: %+v, %v", n, rec, err)
		}
		if want := 24 * (2 - int(n)); rec.Remaining != want || ring.AvailableBytes() != want {
			t.Errorf("%d and %d bytes remain, want %d", rec.Remaining, ring.AvailableBytes(), want)
		}
	}
	if ring.BufferSize() != 4096 || ring.Wakeups() == 0 {
		t.Errorf("size %d, %d wakeups", ring.BufferSize(), ring.Wakeups())
	}
	// CPU 0 first, with the bytes of the packet that the program asked for.
	for cpu := range 2 {
		rec, err := perf.Read()
		if err != nil || rec.CPU != cpu || len(rec.RawSample) != 20 || rec.LostSamples != 0 {
			t.Errorf("%+v, %v", rec, err)
		}
	}
	if _, err := perf.Read(); !errors.Is(err, bpfct.ErrNoRecord) {
		t.Errorf("an empty array: %v", err)
	}
	// What does not fit is counted.
	for range 4096/32 + 5 {
		run(t, coll, "emit", nil)
	}
	good, lost := 0, uint64(0)
	for {
		rec, err := perf.Read()
		if err != nil {
			break
		}
		if rec.LostSamples > 0 {
			lost += rec.LostSamples
		} else {
			good++
		}
	}
	run(t, coll, "emit", nil)
	for {
		rec, err := perf.Read()
		if err != nil {
			break
		}
		lost += rec.LostSamples
	}
	if good == 0 || lost == 0 || good+int(lost) != 4096/32+5 {
		t.Errorf("%d records, %d lost", good, lost)
	}
	if err := perf.Close(); err != nil {
		t.Error(err)
	}
	if err := perf.Close(); err != nil {
		t.Errorf("closed again: %v", err)
	}
	if _, err := bpfct.NewRingbufReader(coll.Maps["perf"]); err == nil {
		t.Error("a perf event array as a ring buffer")
	}
	if _, err := bpfct.NewPerfReader(coll.Maps["ring"], 4096); err == nil {
		t.Error("a ring buffer as a perf event array")
	}
	if _, err := bpfct.NewPerfReader(coll.Maps["perf"], 0); err == nil {
		t.Error("a perf buffer of no bytes")
	}
}
