package live_test

import (
	"encoding/binary"
	"net/netip"
	"os/exec"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/bpfct/bpfct/live"
)

func udpEntry(src, dst string, sport, dport uint16) live.Entry {
	s, d := netip.MustParseAddr(src), netip.MustParseAddr(dst)
	return live.Entry{
		Orig:    live.Tuple{Src: s, Dst: d, Proto: 17, SrcPort: sport, DstPort: dport},
		Reply:   live.Tuple{Src: d, Dst: s, Proto: 17, SrcPort: dport, DstPort: sport},
		Timeout: 100,
	}
}

var addrs = cmp.Comparer(func(a, b netip.Addr) bool { return a == b })

func TestEntriesAfterInsert(t *testing.T) {
	for _, program := range []string{"insert_tc", "insert_xdp"} {
		t.Run(program, func(t *testing.T) {
			h := newHost(t, live.Options{})
			spec := loadSpec(t, "testdata/ct.o")
			set(t, spec, "tuple", append([]byte{10, 0, 0, 1, 10, 0, 0, 2, 0, 199, 0, 80}, make([]byte, 24)...))
			set(t, spec, "mark", uint32(77))
			set(t, spec, "status", uint32(1<<1))
			set(t, spec, "snat", append([]byte{5, 5, 5, 5}, make([]byte, 12)...))
			set(t, spec, "snat_port", int32(5555))
			coll, err := h.LoadCollection(spec, &live.CollectionOptions{KeepGoing: true})
			if err != nil {
				t.Fatal(err)
			}
			res, err := h.Run(coll.Programs[program], live.RunOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if res.Ret != 0 {
				t.Fatalf("returned %d", res.Ret)
			}
			entries, err := h.Entries()
			if err != nil {
				t.Fatal(err)
			}
			a := netip.MustParseAddr
			want := []live.Entry{{
				Orig:  live.Tuple{Src: a("10.0.0.1"), Dst: a("10.0.0.2"), Proto: 6, SrcPort: 199, DstPort: 80},
				Reply: live.Tuple{Src: a("10.0.0.2"), Dst: a("5.5.5.5"), Proto: 6, SrcPort: 80, DstPort: 5555},
				// SEEN_REPLY, CONFIRMED, SRC_NAT, SRC_NAT_DONE
				Status: 0x9a, Mark: 77, Use: 1, TCP: &live.TCPInfo{},
			}}
			if d := cmp.Diff(want, entries, addrs, cmpopts.IgnoreFields(live.Entry{}, "Timeout", "ID")); d != "" {
				t.Errorf("entries (-want +got):\n%s", d)
			}
			if n := len(entries); n == 1 && (entries[0].Timeout < 55 || entries[0].Timeout > 60 || entries[0].ID == 0) {
				t.Errorf("timeout %d, id %d", entries[0].Timeout, entries[0].ID)
			}
			st, err := h.Stats()
			if err != nil || st.Entries != 1 || st.Max == 0 {
				t.Errorf("statistics %+v, %v", st, err)
			}
			if _, ok := st.Counters["insert_failed"]; !ok {
				t.Errorf("no counter insert_failed in %v", st.Counters)
			}
			if v, err := coll.Variable("got_mark"); err != nil || !cmp.Equal(v, []byte{77, 0, 0, 0}) {
				t.Errorf("got_mark %v, %v", v, err)
			}
			// The spec is the caller's still.
			if got := spec.Variables["got_mark"].Value; !cmp.Equal(got, make([]byte, 4)) {
				t.Errorf("the caller's spec has got_mark %v", got)
			}
		})
	}
}

func set(t *testing.T, spec *ebpf.CollectionSpec, name string, value any) {
	t.Helper()
	if err := spec.Variables[name].Set(value); err != nil {
		t.Fatal(err)
	}
}

func TestCreateDeleteFlush(t *testing.T) {
	h := newHost(t, live.Options{})
	one, two := udpEntry("192.0.2.1", "192.0.2.2", 1, 2), udpEntry("2001:db8::1", "2001:db8::2", 3, 4)
	one.Mark, one.Zone, one.Status = 9, 7, 1<<1
	two.Orig.Zone = 3
	tcp := udpEntry("192.0.2.3", "192.0.2.4", 5, 6)
	tcp.Orig.Proto, tcp.Reply.Proto = 6, 6
	tcp.TCP = &live.TCPInfo{State: 3, OrigWScale: 7, ReplyWScale: 8, OrigFlags: 0x01, ReplyFlags: 0x03}
	icmp := live.Entry{
		Orig:    live.Tuple{Src: one.Orig.Src, Dst: one.Orig.Dst, Proto: 1, ICMPType: 8, ICMPID: 55},
		Reply:   live.Tuple{Src: one.Orig.Dst, Dst: one.Orig.Src, Proto: 1, ICMPType: 0, ICMPID: 55},
		Timeout: 100,
	}
	all := []live.Entry{one, two, tcp, icmp}
	for i := range all {
		if err := h.CreateEntry(&all[i]); err != nil {
			t.Fatalf("entry %d: %v", i, err)
		}
	}
	if err := h.CreateEntry(&one); err == nil {
		t.Error("the same entry was created twice")
	}
	byPort := cmpopts.SortSlices(func(a, b live.Entry) bool { return a.Orig.SrcPort < b.Orig.SrcPort })
	compare := func(want ...live.Entry) {
		t.Helper()
		got, err := h.Entries()
		if err != nil {
			t.Fatal(err)
		}
		ignore := cmpopts.IgnoreFields(live.Entry{}, "Timeout", "ID", "Status", "Use")
		if d := cmp.Diff(want, got, addrs, ignore, byPort, cmpopts.EquateEmpty()); d != "" {
			t.Errorf("entries (-want +got):\n%s", d)
		}
	}
	compare(all...)
	if err := h.DeleteEntry(&two); err != nil {
		t.Fatal(err)
	}
	compare(one, tcp, icmp)
	if err := h.FlushEntries(); err != nil {
		t.Fatal(err)
	}
	compare()
	if err := h.DeleteEntry(&one); err == nil {
		t.Error("an entry that is not there was deleted")
	}
}

// The tool of the same name sees what Entries sees.
func TestEntriesAsTheToolSeesThem(t *testing.T) {
	tool, err := exec.LookPath("conntrack")
	if err != nil {
		if tool, err = exec.LookPath("/usr/sbin/conntrack"); err != nil {
			t.Skip("conntrack is not installed")
		}
	}
	h := newHost(t, live.Options{})
	e := udpEntry("192.0.2.1", "192.0.2.2", 1, 2)
	e.Zone, e.Mark = 7, 9
	if err := h.CreateEntry(&e); err != nil {
		t.Fatal(err)
	}
	var out []byte
	if err := h.Do(func() (err error) { out, err = exec.Command(tool, "-L", "-o", "extended").Output(); return err }); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"ipv4     2 udp      17 ", "src=192.0.2.1 dst=192.0.2.2 sport=1 dport=2", "zone=7", "mark=9"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("%q is not in %s", want, out)
		}
	}
}

// A program in the main namespace makes an entry in another one by its id.
func TestNetnsID(t *testing.T) {
	h := newHost(t, live.Options{Namespaces: []live.NamespaceOptions{{Name: "zero", ID: 0}, {Name: "five", ID: 5}}})
	for _, tt := range []struct {
		id    int32
		name  string
		ret   uint32
		errno int32
	}{{-1, "", 0, 0}, {0, "zero", 0, 0}, {5, "five", 0, 0}, {6, "", 1, -64}, {-2, "", 1, -22}} {
		spec := loadSpec(t, "testdata/ct.o")
		set(t, spec, "tuple", append([]byte{10, 0, 0, 1, 10, 0, 0, 2, 0, 199, 0, 80}, make([]byte, 24)...))
		opts := append(binary.NativeEndian.AppendUint32(nil, uint32(tt.id)), 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0)
		set(t, spec, "opts", opts)
		coll, err := h.LoadCollection(spec, &live.CollectionOptions{Programs: []string{"insert_tc"}})
		if err != nil {
			t.Fatal(err)
		}
		res, err := h.Run(coll.Programs["insert_tc"], live.RunOptions{})
		if err != nil {
			t.Fatal(err)
		}
		var got int32
		if err := coll.Variables["error"].Get(&got); err != nil || res.Ret != tt.ret || got != tt.errno {
			t.Errorf("id %d: returned %d, error %d, %v; want %d, %d", tt.id, res.Ret, got, err, tt.ret, tt.errno)
		}
		for _, name := range []string{"", "zero", "five"} {
			want := 0
			if name == tt.name && tt.ret == 0 {
				want = 1
			}
			if entries, err := h.Namespace(name).Entries(); err != nil || len(entries) != want {
				t.Errorf("id %d: namespace %q has %d entries, %v; want %d", tt.id, name, len(entries), err, want)
			}
			if err := h.Namespace(name).FlushEntries(); err != nil {
				t.Fatal(err)
			}
		}
	}
}
