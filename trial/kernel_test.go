package trial_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"pgregory.net/rapid"

	"github.com/bpfct/bpfct"
	"github.com/bpfct/bpfct/examples/natgw"
	"github.com/bpfct/bpfct/internal/testkernel"
	"github.com/bpfct/bpfct/packet"
	"github.com/bpfct/bpfct/trial"
)

//go:generate go run github.com/bpfct/bpfct/internal/bpfbuild testdata/both.c testdata/long.c

// TestBoth runs what was once different.
func TestBoth(t *testing.T) {
	testkernel.Require(t)
	for _, object := range []string{"both", "long"} {
		spec, err := bpfct.LoadCollectionSpec("testdata/" + object + ".o")
		if err != nil {
			t.Fatal(err)
		}
		for program := range spec.Programs {
			t.Run(program, func(t *testing.T) {
				same(t, &trial.Plan{Spec: spec, Programs: []string{program}, Netns: []int32{3, 4}})
			})
		}
	}
}

// TestLongArray lists no more of an array than can be looked at.
func TestLongArray(t *testing.T) {
	spec, err := bpfct.LoadCollectionSpec("testdata/long.o")
	if err != nil {
		t.Fatal(err)
	}
	plan := &trial.Plan{Spec: spec, Programs: []string{"long_arrays"}}
	host, err := plan.NewHost(bpfct.HostOptions{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := plan.Run(host)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range r.Maps {
		last := m.Items[len(m.Items)-1]
		if len(m.Items) != 1<<18 || !m.Start || !bytes.Equal(last.Key, []byte{0xff, 0xff, 3, 0}) {
			t.Errorf("map %s: %d elements to key %x, start %v", m.Name, len(m.Items), last.Key, m.Start)
		}
	}
}

// same carries a plan out on both sides.
func same(t rapid.TB, plan *trial.Plan) {
	host, err := plan.NewHost(bpfct.HostOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ours, err := plan.Run(host)
	if err != nil {
		t.Fatalf("on bpfct: %+v", err)
	}
	kernels, err := plan.RunKernel()
	if err != nil {
		t.Fatalf("on the kernel: %v", err)
	}
	for _, d := range trial.Compare(ours, kernels, trial.CompareOptions{}) {
		t.Errorf("%v", d)
	}
}

func packets(texts ...string) (out []trial.Packet) {
	for _, text := range texts {
		out = append(out, trial.Packet{Data: packet.MustParseText(text)})
	}
	return out
}

// TestGatewayOnBoth runs the programs of examples/natgw, one after the other on the
// same packets.
func TestGatewayOnBoth(t *testing.T) {
	testkernel.Require(t)
	spec, err := natgw.Load(natgw.Config{
		Pool4: netip.MustParsePrefix("203.0.113.1/32"), Inside4: netip.MustParsePrefix("10.0.0.0/24"),
		Pool6: netip.MustParsePrefix("2001:db8:1::1/128"), Inside6: netip.MustParsePrefix("fd00::/64"),
	})
	if err != nil {
		t.Fatal(err)
	}
	same(t, &trial.Plan{
		Spec: spec, Programs: []string{natgw.Egress, natgw.Ingress, natgw.Egress},
		Packets: packets(
			"10.0.0.7:40000 > 198.51.100.9:443 tcp S seq 1",
			"198.51.100.9:443 > 203.0.113.1:40000 tcp S. seq 1 ack 2",
			`[fd00::7]:5353 > [2001:db8::53]:53 udp "query"`,
			`[2001:db8::53]:53 > [2001:db8:1::1]:5353 udp "answer"`,
			"192.0.2.1 > 203.0.113.1 icmp time-exceeded in-transit (203.0.113.1:40000 > 198.51.100.9:443 tcp S seq 1 cut 8)",
			"10.0.0.7 > 198.51.100.9 icmp echo request id 1 seq 1",
			"10.0.0.7 > 198.51.100.9 ipid 7 frag 1480 udp hex:00112233",
			"198.51.100.66:1 > 203.0.113.1:2 tcp S seq 1",
		),
	})
}

// TestExamplesOnBoth runs every object of the examples on 64 zero bytes and on packets
// of both families.
func TestExamplesOnBoth(t *testing.T) {
	testkernel.Require(t)
	objects, err := filepath.Glob("../examples/*/*.o")
	if err != nil || len(objects) < 10 {
		t.Fatalf("%d objects, %v", len(objects), err)
	}
	for _, object := range objects {
		t.Run(filepath.Base(object), func(t *testing.T) {
			spec, err := bpfct.LoadCollectionSpec(object)
			if err != nil {
				t.Fatal(err)
			}
			same(t, &trial.Plan{Spec: spec})
			same(t, &trial.Plan{Spec: spec, Netns: []int32{7}, Repeat: 2, Packets: packets(
				"10.0.0.7:40000 > 198.51.100.9:443 tcp S seq 1", `[fd00::7]:5353 > [2001:db8::53]:53 udp "query"`)})
		})
	}
}

// TestMapsBeforeTheRun fills a map on both sides and sets variables.
func TestMapsBeforeTheRun(t *testing.T) {
	testkernel.Require(t)
	spec, err := bpfct.LoadCollectionSpec("../cmd/bpfct/testdata/cli.o")
	if err != nil {
		t.Fatal(err)
	}
	if err := trial.SetVariable(spec, `state={"name":"set","pair":{"low":3}}`); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "states.json")
	if err := os.WriteFile(file, []byte(`[{"key":64,"value":{"last_len":9,"mode":"BUSY"}}]`), 0o644); err != nil {
		t.Fatal(err)
	}
	items, err := trial.ReadMap(file, spec.Maps["states"])
	if err != nil {
		t.Fatal(err)
	}
	same(t, &trial.Plan{Spec: spec, Programs: []string{"count", "track"}, Repeat: 3, Maps: map[string][]trial.Item{"states": items}})
}

// TestReportsSurviveFiles writes what a run left and reads it back.
func TestReportsSurviveFiles(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		var r trial.Report
		r.Programs = []trial.Program{{Program: "p", Type: ebpf.XDP}}
		var want []string
		var captured []time.Time
		for i := range rapid.IntRange(1, 5).Draw(t, "packets") {
			data := packet.MustParseText(fmt.Sprintf(`10.0.0.1:%d > 10.0.0.2:2 udp len %d`, i+1, rapid.IntRange(0, 100).Draw(t, "len")))
			verdict := rapid.Uint32Range(0, 5).Draw(t, "verdict")
			if i == 0 {
				verdict = 2 // a file without packets is no capture
			}
			r.Programs[0].Runs = append(r.Programs[0].Runs, trial.Run{Retval: verdict, Packet: data, Time: time.Unix(1_700_000_000, int64(i))})
			if verdict >= 2 && verdict <= 4 { // PASS, TX, REDIRECT
				want = append(want, packet.Format(data))
				captured = append(captured, time.Unix(1_700_000_000, int64(i)))
			}
		}
		for _, name := range []string{"out.pcap", "out.pcapng", "out.txt", "out.pcap.gz"} {
			file := filepath.Join(dir, name)
			if err := trial.WritePackets(file, &r); err != nil {
				t.Fatal(err)
			}
			back, err := trial.ReadPackets(file)
			if err != nil || len(back) != len(want) {
				t.Fatalf("%s: %d packets, %v, want %d", name, len(back), err, len(want))
			}
			for i := range back {
				if got := packet.Format(back[i].Data); got != want[i] {
					t.Fatalf("%s: packet %d is %s, want %s", name, i, got, want[i])
				}
				if !back[i].Time.Equal(captured[i]) {
					t.Fatalf("%s: packet %d was captured at %v, want %v", name, i, back[i].Time, captured[i])
				}
			}
		}
	})
}
