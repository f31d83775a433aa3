package trial

import (
	"slices"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"pgregory.net/rapid"

	"github.com/bpfct/bpfct/packet"
)

var u32 = &btf.Int{Name: "u32", Size: 4}

// report is a report that has one of everything.
func report() *Report {
	in := packet.MustParseText(`10.0.0.1:1 > 10.0.0.2:2 udp "x"`)
	return &Report{
		Programs: []Program{{
			Program: "p", Type: ebpf.SchedCLS,
			Runs:      []Run{{Retval: 2, Packet: slices.Clone(in), In: in, Trace: []string{"only bpfct knows"}, Redirect: 3}},
			Variables: Variables{{Name: "v", Type: u32, Bytes: []byte{1, 0, 0, 0}}},
		}},
		Maps: []Map{
			{Name: "m", Type: ebpf.Hash, Key: u32, Value: u32, Items: []Item{
				{Key: []byte{1, 0, 0, 0}, Value: []byte{10, 0, 0, 0}}, {Key: []byte{2, 0, 0, 0}, Value: []byte{20, 0, 0, 0}}}},
			{Name: "c", Type: ebpf.PerCPUArray, Key: u32, Value: u32, Items: []Item{
				{Key: []byte{0, 0, 0, 0}, PerCPU: [][]byte{{7, 0, 0, 0}}}}},
		},
		Entries: []Entry{{Proto: 6, Family: "ipv4", Orig: Tuple{"10.0.0.1", "10.0.0.2", 1, 80}, Reply: Tuple{"10.0.0.2", "10.0.0.1", 80, 1},
			Status: []string{"CONFIRMED"}, Timeout: 30, Mark: 5, Use: 1, Text: "the entry"}},
	}
}

func TestCompare(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*Report)
		want   []string
	}{
		{"nothing", func(*Report) {}, nil},
		{"what only bpfct knows", func(r *Report) { r.Programs[0].Runs[0].Trace, r.Programs[0].Runs[0].Redirect = nil, 0 }, nil},
		{"CPUs that count nothing", func(r *Report) {
			r.Maps[1].Items[0].PerCPU = append(r.Maps[1].Items[0].PerCPU, make([]byte, 4))
		}, nil},
		{"a second of the clock", func(r *Report) { r.Entries[0].Timeout = 29 }, nil},
		{"return value", func(r *Report) { r.Programs[0].Runs[0].Retval = 0 }, []string{"program p: return value: 2 (TC_ACT_SHOT) != 0 (TC_ACT_OK)"}},
		{"packet", func(r *Report) { r.Programs[0].Runs[0].Packet[33] = 9 }, []string{"program p: ipv4.dst: 10.0.0.2 != 10.0.0.9"}},
		{"fault", func(r *Report) { r.Programs[0].Runs[0].Fault = "leak" }, []string{"program p: fault: (nothing) != leak"}},
		{"runs", func(r *Report) { r.Programs[0].Runs = nil }, []string{"program p: runs: 1 != 0"}},
		{"variable", func(r *Report) { r.Programs[0].Variables[0].Bytes = []byte{2, 0, 0, 0} }, []string{"program p: variable v: 1 != 2"}},
		{"no variable", func(r *Report) { r.Programs[0].Variables = nil }, []string{"program p: variable v: 1 != (nothing)"}},
		{"programs", func(r *Report) { r.Programs = nil }, []string{"programs: 1 != 0"}},
		{"element", func(r *Report) { r.Maps[0].Items[1].Value[0] = 21 }, []string{"map m[2]: 20 != 21"}},
		{"an element less", func(r *Report) { r.Maps[0].Items = r.Maps[0].Items[1:] }, []string{"map m[1]: 10 != (nothing)"}},
		{"an element more", func(r *Report) {
			r.Maps[0].Items = append(r.Maps[0].Items, Item{Key: []byte{3, 0, 0, 0}, Value: []byte{30, 0, 0, 0}})
		}, []string{"map m[3]: (nothing) != 30"}},
		{"per CPU", func(r *Report) { r.Maps[1].Items[0].PerCPU[0][0] = 8 }, []string{"map c[0]: [7] != [8]"}},
		{"map", func(r *Report) { r.Maps = r.Maps[:1] }, []string{"map c: present != (nothing)"}},
		{"status", func(r *Report) { r.Entries[0].Status = nil }, []string{"connection 10.0.0.1:1 -> 10.0.0.2:80: status: CONFIRMED != (nothing)"}},
		{"mark", func(r *Report) { r.Entries[0].Mark = 6 }, []string{"connection 10.0.0.1:1 -> 10.0.0.2:80: mark: 5 != 6"}},
		{"timeout", func(r *Report) { r.Entries[0].Timeout = 300 }, []string{"connection 10.0.0.1:1 -> 10.0.0.2:80: timeout: 30 != 300"}},
		{"no entry", func(r *Report) { r.Entries = nil }, []string{"connection: the entry != (nothing)"}},
		{"another entry", func(r *Report) { r.Entries[0].Reply.Sport, r.Entries[0].Text = 81, "another" },
			[]string{"connection: the entry != (nothing)", "connection: (nothing) != another"}},
		{"a zone that no dump shows", func(r *Report) { r.Entries[0].Zone, r.Entries[0].ZoneDir = 7, 5 }, nil},
		{"a zone", func(r *Report) { r.Entries[0].Zone, r.Entries[0].ZoneDir, r.Entries[0].Text = 7, 3, "zone=7" },
			[]string{"connection: the entry != (nothing)", "connection: (nothing) != zone=7"}},
		{"another namespace", func(r *Report) { r.Entries[0].Netns = new(int32) },
			[]string{"connection: the entry != (nothing)", "connection in netns 0: (nothing) != the entry"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := report()
			tt.change(b)
			var got []string
			for _, d := range Compare(report(), b, CompareOptions{}) {
				got = append(got, d.String())
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
			// The other way round it is as many.
			if back := Compare(b, report(), CompareOptions{}); len(back) != len(tt.want) && tt.name != "no variable" && tt.name != "map" {
				t.Errorf("the other way round: %v", back)
			}
		})
	}
}

func TestCompareIgnores(t *testing.T) {
	b := report()
	b.Programs[0].Variables[0].Bytes[0] = 9
	b.Maps[0].Items = nil
	if d := Compare(report(), b, CompareOptions{Ignore: []string{"v", "m"}}); len(d) != 0 {
		t.Errorf("%v", d)
	}
}

// TestCompareItems: what Compare finds in two maps is what differs between them.
func TestCompareItems(t *testing.T) {
	items := rapid.Custom(func(t *rapid.T) []Item {
		m := rapid.MapOfN(rapid.ByteRange(0, 8), rapid.ByteRange(0, 2), 0, 8).Draw(t, "map")
		var out []Item
		for k := range byte(9) {
			if v, ok := m[k]; ok {
				out = append(out, Item{Key: []byte{k}, Value: []byte{v}})
			}
		}
		return out
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := items.Draw(t, "a"), items.Draw(t, "b")
		want := 0
		for k := range byte(9) {
			var va, vb []byte
			for _, it := range a {
				if it.Key[0] == k {
					va = it.Value
				}
			}
			for _, it := range b {
				if it.Key[0] == k {
					vb = it.Value
				}
			}
			if string(va) != string(vb) {
				want++
			}
		}
		got := Compare(&Report{Maps: []Map{{Name: "m", Items: a}}}, &Report{Maps: []Map{{Name: "m", Items: b}}}, CompareOptions{})
		if len(got) != want {
			t.Fatalf("%d differences, want %d: %v", len(got), want, got)
		}
	})
}
