package bpfct_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/bpfct/bpfct"
	"github.com/bpfct/bpfct/conntrack"
)

// event is a step of a generated run.
type event struct {
	program string
	data    []byte
	mark    uint32
	cpu     int
	advance time.Duration
}

// history carries events out on a fresh host and writes down everything that can be
// seen of it.
func history(t rapid.TB, seed uint64, events []event) string {
	host, err := bpfct.NewHost(bpfct.HostOptions{CPUs: 2, Seed: seed})
	if err != nil {
		t.Fatal(err)
	}
	spec := apiSpec(t)
	coll, err := host.LoadCollection(spec, bpfct.CollectionOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer coll.Close()
	var b strings.Builder
	for _, ev := range events {
		host.Clock().Advance(ev.advance)
		res, err := coll.Programs[ev.program].Run(&bpfct.RunOptions{Data: ev.data, Context: marked(ev.mark), CPU: ev.cpu})
		if err != nil {
			t.Fatalf("%+v", err)
		}
		fmt.Fprintf(&b, "%s %d %x %x %q %d\n", ev.program, res.Return, res.Data, res.Context, res.Trace, res.Insns)
	}
	ring, err := bpfct.NewRingbufReader(coll.Maps["ring"])
	if err != nil {
		t.Fatal(err)
	}
	for rec, err := ring.Read(); err == nil; rec, err = ring.Read() {
		fmt.Fprintf(&b, "ring %x\n", rec.RawSample)
	}
	for _, name := range []string{"hits", "percpu", "first", "second", ".bss", ".data"} {
		for k, v := range coll.Maps[name].All() {
			fmt.Fprintf(&b, "%s %x %x\n", name, k, v) // in the map's own order, which is part of it
		}
	}
	if err := host.Netns().Conntrack().Dump(&b, conntrack.DumpOptions{Extended: true, ID: true}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func drawEvents(t *rapid.T) []event {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) event {
		ev := event{
			program: rapid.SampledFrom([]string{"globals", "emit", "tally", "nested", "jump", "arm", "track", "draw"}).Draw(t, "program"),
			mark:    rapid.Uint32Range(0, 5).Draw(t, "mark"), cpu: rapid.IntRange(0, 1).Draw(t, "cpu"),
			advance: time.Duration(rapid.IntRange(0, 2000).Draw(t, "ms")) * time.Millisecond,
		}
		ev.data = udp(fmt.Sprintf(`10.0.0.%d:%d > 10.0.0.2:2 udp "x"`, rapid.IntRange(1, 3).Draw(t, "host"), rapid.IntRange(1, 3).Draw(t, "port")))
		return ev
	}), 1, 20).Draw(t, "events")
}

// TestTheSameAgainGivesTheSameBytes: a run is a function of object, packets,
// configuration and seed.
func TestTheSameAgainGivesTheSameBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		events, seed := drawEvents(t), rapid.Uint64().Draw(t, "seed")
		if a, b := history(t, seed, events), history(t, seed, events); a != b {
			t.Fatalf("two runs differ:\n%s\nand\n%s", a, b)
		}
	})
}

func TestTheSeedDecidesWhatIsRandom(t *testing.T) {
	draws := []event{{program: "draw"}, {program: "draw"}}
	if a, b := history(t, 1, draws), history(t, 2, draws); a == b {
		t.Errorf("seeds 1 and 2 both give %s", a)
	}
}

// TestParallelRuns lets programs run on all CPUs at once on one namespace and the
// same maps. Atomic counts come out right, and no connection is there twice.
func TestParallelRuns(t *testing.T) {
	const cpus, each = 4, 300
	host, coll := load(t, bpfct.HostOptions{CPUs: cpus})
	var wg sync.WaitGroup
	errs := make(chan error, cpus)
	for cpu := range cpus {
		wg.Go(func() {
			for i := range each {
				data := udp(fmt.Sprintf(`10.0.0.1:%d > 10.0.0.2:2 udp "x"`, i%50+1))
				for _, name := range []string{"tally", "track"} {
					if _, err := coll.Programs[name].Run(&bpfct.RunOptions{Data: data, CPU: cpu, Context: marked(uint32(cpu))}); err != nil {
						errs <- err
						return
					}
				}
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		t.Errorf("%+v", err)
	}
	var count uint64
	if err := coll.Variables["count"].Get(&count); err != nil || count != cpus*each {
		t.Errorf("count %d, %v, want %d", count, err, cpus*each)
	}
	if n := host.Netns().Conntrack().Count(); n != 50 {
		t.Errorf("%d connections, want 50", n)
	}
	for cpu := range cpus {
		var n []uint32
		if err := coll.Maps["percpu"].Lookup(uint32(cpu), &n); err != nil {
			t.Error(err)
			continue
		}
		want := make([]uint32, cpus)
		want[cpu] = each
		if !slices.Equal(n, want) {
			t.Errorf("CPU %d counted %v, want %v", cpu, n, want)
		}
	}
}

// TestAnyCPU runs more at once than there are CPUs.
func TestAnyCPU(t *testing.T) {
	_, coll := load(t, bpfct.HostOptions{CPUs: 2})
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if _, err := coll.Programs["tally"].Run(&bpfct.RunOptions{Data: udp(`10.0.0.1:1 > 10.0.0.2:2 udp "x"`), CPU: bpfct.AnyCPU}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	var count uint64
	if err := coll.Variables["count"].Get(&count); err != nil || count != 16 {
		t.Errorf("count %d, %v", count, err)
	}
}
