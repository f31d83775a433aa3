package kernel

import (
	"errors"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
)

func mustLookup(t testing.TB, name string) *Profile {
	t.Helper()
	p, err := Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestEveryProfileReads(t *testing.T) {
	all, err := profiles()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 2 || all[0].Name != "6.18" {
		t.Fatalf("profiles are %v, want 6.18 first", all)
	}
	for _, p := range all {
		if _, err := p.Types(); err != nil {
			t.Error(err)
		}
		protos, err := p.Prototypes()
		if err != nil {
			t.Error(err)
		}
		if len(protos) < 400 {
			t.Errorf("%s has %d prototypes, want the whole kernel's", p, len(protos))
		}
		if _, ok := p.Constant("BPF_F_CURRENT_NETNS"); !ok {
			t.Errorf("%s lacks BPF_F_CURRENT_NETNS", p)
		}
		if p.HZ == 0 || p.VersionCode == 0 || p.Limits.Stack == 0 {
			t.Errorf("%s is incomplete: %+v", p, p)
		}
	}
}

func TestLookupOfAnUnknownNameListsTheKnown(t *testing.T) {
	_, err := Lookup("2.6")
	if err == nil {
		t.Fatal("found 2.6")
	}
	for _, want := range []string{`"2.6"`, "6.18", "documented"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %s", err, want)
		}
	}
}

func TestFields(t *testing.T) {
	for _, c := range []struct {
		profile, typ, path string
		off, size          uint32
	}{
		{"6.18", "bpf_ct_opts", "l4proto", 8, 1},
		{"6.18", "bpf_ct_opts", "ct_zone_id", 10, 2},
		{"6.18", "bpf_ct_opts", "reserved", 13, 3},
		{"6.18", "bpf_ct_opts", "reserved[1]", 14, 1},
		{"documented", "bpf_ct_opts", "dir", 9, 1},
		{"documented", "bpf_ct_opts", "reserved", 10, 2},
		{"6.18", "nf_conn", "status", 128, 8},
		{"6.18", "nf_conn", "timeout", 8, 4},
		{"6.18", "nf_conn", "tuplehash[1]", 72, 56},
		{"6.18", "nf_conn___init", "ct.timeout", 8, 4},
		{"6.18", "bpf_sock_tuple", "ipv4.dport", 10, 2},
		{"6.18", "bpf_sock_tuple", "ipv6.dport", 34, 2},
	} {
		off, size, err := mustLookup(t, c.profile).Field(c.typ, c.path)
		if err != nil || off != c.off || size != c.size {
			t.Errorf("%s: %s.%s is at %d, size %d, error %v; want %d, %d", c.profile, c.typ, c.path, off, size, err, c.off, c.size)
		}
	}
	p := mustLookup(t, "6.18")
	for _, c := range [][2]string{{"nf_conn", "nothing"}, {"nf_conn", "tuplehash[2]"}, {"nf_conn", "mark[0]"}, {"nf_conn", "tuplehash[x]"}, {"no_such_struct", "a"}, {"nf_conn", "tuplehash[0"}} {
		if _, _, err := p.Field(c[0], c[1]); err == nil {
			t.Errorf("found %s.%s", c[0], c[1])
		} else if !strings.Contains(err.Error(), c[0]) {
			t.Errorf("error %q does not name %s", err, c[0])
		}
	}
	if n, err := mustLookup(t, "documented").Sizeof("bpf_ct_opts"); err != nil || n != 12 {
		t.Errorf("documented bpf_ct_opts has %d bytes, error %v", n, err)
	}
	if n, err := p.Sizeof("bpf_ct_opts"); err != nil || n != 16 {
		t.Errorf("6.18 bpf_ct_opts has %d bytes, error %v", n, err)
	}
}

func TestBitFields(t *testing.T) {
	f, err := mustLookup(t, "6.18").FieldInfo("tcphdr", "syn")
	if err != nil {
		t.Fatal(err)
	}
	if f.Offset != 13 || f.Shift != 1 || f.Bits != 1 || f.Size != 1 {
		t.Errorf("tcphdr.syn is %+v", f)
	}
	f, err = mustLookup(t, "6.18").FieldInfo("iphdr", "version")
	if err != nil {
		t.Fatal(err)
	}
	if f.Offset != 0 || f.Shift != 4 || f.Bits != 4 {
		t.Errorf("iphdr.version is %+v", f)
	}
}

func TestMemberAt(t *testing.T) {
	typ, err := mustLookup(t, "6.18").TypeByName("nf_conn")
	if err != nil {
		t.Fatal(err)
	}
	for off, want := range map[uint32]string{8: "timeout", 128: "status", 131: "status"} {
		if got := MemberAt(typ, off); got != want {
			t.Errorf("byte %d of nf_conn is %q, want %q", off, got, want)
		}
	}
	off, _, err := mustLookup(t, "6.18").Field("nf_conn", "tuplehash[1].tuple.src.u3.ip")
	if err != nil {
		t.Fatal(err)
	}
	if got := MemberAt(typ, off); !strings.HasPrefix(got, "tuplehash[1].tuple.src.u3") {
		t.Errorf("byte %d of nf_conn is %q", off, got)
	}
}

func TestKfuncTypes(t *testing.T) {
	p := mustLookup(t, "6.18")
	fn, id, spec, err := p.KfuncType("bpf_skb_ct_lookup")
	if err != nil || fn.Name != "bpf_skb_ct_lookup" || id == 0 || spec != 0 {
		t.Fatalf("%v %d %d %v", fn, id, spec, err)
	}
	if proto, ok := p.KfuncByID(id); !ok || proto.Name != fn.Name {
		t.Errorf("BTF ID %d is %v", id, proto)
	}
	if _, _, _, err := p.KfuncType("bpf_no_such"); !errors.Is(err, btf.ErrNotFound) {
		t.Errorf("unknown kfunc: %v", err)
	}
	if v, err := p.Enum("nf_nat_manip_type", "NF_NAT_MANIP_DST"); err != nil || v != 1 {
		t.Errorf("NF_NAT_MANIP_DST is %d, %v", v, err)
	}
}

func TestTextFormsRoundTrip(t *testing.T) {
	p := mustLookup(t, "6.18")
	protos, err := p.Prototypes()
	if err != nil {
		t.Fatal(err)
	}
	for _, proto := range protos {
		var flags Flags
		if err := flags.UnmarshalText([]byte(proto.Flags.String())); err != nil || flags != proto.Flags {
			t.Errorf("%s: flags %v read back as %v, %v", proto.Name, proto.Flags, flags, err)
		}
		var progs ProgramSet
		if err := progs.UnmarshalText([]byte(proto.Programs.String())); err != nil || progs != proto.Programs {
			t.Errorf("%s: programs %v read back as %v, %v", proto.Name, proto.Programs, progs, err)
		}
		for _, a := range proto.Args {
			var typ ArgType
			if err := typ.UnmarshalText([]byte(a.Type.String())); err != nil || typ != a.Type {
				t.Errorf("%s: class %v read back as %v, %v", proto.Name, a.Type, typ, err)
			}
		}
		var ret RetType
		if err := ret.UnmarshalText([]byte(proto.Return.Type.String())); err != nil || ret != proto.Return.Type {
			t.Errorf("%s: return %v read back as %v, %v", proto.Name, proto.Return.Type, ret, err)
		}
	}
	for _, bad := range []string{"nonsense", "mem|nonsense"} {
		if err := new(ArgType).UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("read argument class %q", bad)
		}
	}
}

func TestDocumentedContract(t *testing.T) {
	doc, new := mustLookup(t, "documented"), mustLookup(t, "6.18")
	if c := doc.Conntrack; c.Zones || !c.KptrXchg || len(c.OptsSizes) != 1 || c.OptsSizes[0].Size != 12 {
		t.Errorf("documented conntrack is %+v", c)
	}
	if doc.Destructors["nf_conn"] == "" || new.Destructors["nf_conn"] != "" || doc.Destructors["task_struct"] == "" {
		t.Errorf("destructors are %v and %v", doc.Destructors, new.Destructors)
	}
	for prof, want := range map[*Profile]uint32{doc: 12, new: 16} {
		for _, name := range []string{"bpf_skb_ct_lookup", "bpf_xdp_ct_alloc"} {
			p, ok := prof.Kfunc(name)
			if !ok || p.Args[3].Size != want {
				t.Errorf("%s: %v takes options of %d bytes, want %d", prof, p, p.Args[3].Size, want)
			}
		}
	}
	// Whatever is reserved lies in the struct, at its end.
	for _, prof := range []*Profile{doc, new} {
		for _, o := range prof.Conntrack.OptsSizes {
			if o.ReservedFrom >= o.ReservedTo || o.ReservedTo != o.Size {
				t.Errorf("%s: %+v", prof, o)
			}
		}
	}
}

func TestPrototypeLookups(t *testing.T) {
	p := mustLookup(t, "6.18")
	get, ok := p.HelperByName("bpf_sk_storage_get")
	if !ok || get.ID != 107 {
		t.Fatalf("bpf_sk_storage_get is %v", get)
	}
	// The same helper takes a socket in one program type, the context in another.
	if f := get.For(ebpf.SchedCLS); f == nil || f.Args[1].Type.Base() != ArgBTFIDSockCommon || f.Name != get.Name || f.ID != 107 {
		t.Errorf("from sched_cls it is %+v", f)
	}
	if f := get.For(ebpf.CGroupSock); f == nil || f.Args[1].Type.Base() != ArgCtx {
		t.Errorf("from cgroup_sock it is %+v", f)
	}
	if f := get.For(ebpf.XDP); f != nil || get.Allowed(ebpf.XDP) {
		t.Errorf("from xdp it is %+v", f)
	}
	alloc, _ := p.Kfunc("bpf_skb_ct_alloc")
	if alloc.SizeArg(1) != 2 || alloc.SizeArg(3) != 4 || alloc.SizeArg(0) != -1 || alloc.SizeArg(4) != -1 || alloc.ReleaseArg() != -1 {
		t.Errorf("sizes of %v", alloc)
	}
	if want := "struct nf_conn___init *bpf_skb_ct_alloc(struct __sk_buff *skb_ctx, struct bpf_sock_tuple *bpf_tuple, u32 tuple__sz, struct bpf_ct_opts *opts, u32 opts__sz)"; alloc.String() != want {
		t.Errorf("declaration is\n%s, want\n%s", alloc, want)
	}
	if release, _ := p.Kfunc("bpf_ct_release"); release.ReleaseArg() != 0 || !release.Flags.Has(Release) {
		t.Errorf("%v releases argument %d", release, release.ReleaseArg())
	}
	if _, ok := p.Helper(212); ok {
		t.Error("helper 212 exists")
	}
	if s := Programs(ebpf.XDP, ebpf.SchedCLS); s.String() != "sched_cls xdp" || !s.Has(ebpf.XDP) || s.Has(ebpf.Kprobe) || s.Has(99) {
		t.Errorf("set is %v", s)
	}
}

func BenchmarkReadProfile(b *testing.B) {
	for b.Loop() {
		all, err := readProfiles(data)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := all[0].Types(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkField(b *testing.B) {
	p := mustLookup(b, "6.18")
	for b.Loop() {
		if _, _, err := p.Field("nf_conn", "tuplehash[1].tuple.dst.u3.ip"); err != nil {
			b.Fatal(err)
		}
	}
}
