package contract

import (
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"github.com/bpfct/bpfct"
	"github.com/bpfct/bpfct/conntrack"
	"github.com/bpfct/bpfct/contract/internal/ops"
	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/kernel"
)

func TestSeed_AllocatesAnEntry(t *testing.T) {
	claim(t, func(e *env) {
		r := e.good(e.alloc(), e.alloc2(3), do(ops.Insert, 0), e.lookup())
		orig := r[0].View.Tuple[conntrack.Original]
		equal(e, "source port", orig.SrcPort, [2]byte{sport >> 8, sport & 0xff})
		equal(e, "destination port", orig.DstPort, [2]byte{0, dport})
		equal(e, "protocol", orig.Proto, conntrack.ProtoTCP)
		equal(e, "reply", r[0].View.Tuple[conntrack.Reply].SrcPort, orig.DstPort)
		// It is in no table before insert, which 3 never is.
		equal(e, "not inserted", e.run(e.alloc(), e.lookup())[1].Ret, 0)
	})
}

// alloc2 is another connection in slot 2, from another host.
func (e *env) alloc2(host byte) ops.Op {
	op := e.alloc()
	op.Slot = 2
	op.SetTuple(e.at(host, sport), e.at(server, dport))
	return op
}

func TestSeed_CtxCannotBeNULL(t *testing.T) {
	wordsOf(t, "ctx_null", "ctx_on_stack")
}

// wordsOf are the rules that a sentence is about. TestFacts_Words holds them against
// the kernel; here it is seen that they are rules of that kind.
func wordsOf(t *testing.T, programs ...string) {
	t.Helper()
	for _, name := range programs {
		found := false
		for i := range Words {
			if w := &Words[i]; w.Program == name {
				found = true
				if got := w.machine(t); got == Runs || len(w.Kernel) == 0 {
					t.Errorf("%s: bpfct %s, kernel says %q", name, got, w.Kernel)
				}
			}
		}
		if !found {
			t.Errorf("there is no program %s", name)
		}
	}
}

func TestSeed_TupleCannotBeNULL(t *testing.T) {
	claim(t, func(e *env) {
		e.allFail(errno.EINVAL, e.both(func(op *ops.Op) { op.Flags = ops.NullTuple })...)
	})
}

func TestSeed_TupleSize(t *testing.T) {
	claim(t, func(e *env) {
		for size := range uint32(ops.TupleRoom + 1) {
			for _, op := range e.both(func(op *ops.Op) { op.TupleSize = size }) {
				r := e.run(op)[0]
				switch {
				case size != 12 && size != 36:
					e.fails(op, &r, errno.EAFNOSUPPORT)
				case op.Code == ops.Alloc:
					equal(e, "allocated", r.Ret, 1)
				default:
					e.fails(op, &r, errno.ENOENT)
				}
			}
		}
	})
}

func TestSeed_OptsCannotBeNULL(t *testing.T) {
	claim(t, func(e *env) {
		for _, op := range e.both(func(op *ops.Op) { op.Flags = ops.NullOpts }) {
			r := e.run(op)[0]
			equal(e, "returned", r.Ret, 0)
			equal(e, "what stands where options might be", r.Opts, op.Opts)
		}
	})
}

func TestSeed_CurrentNetns(t *testing.T) {
	claim(t, func(e *env) {
		e.good(e.alloc(), do(ops.Insert, 0), e.lookup())
		conns := e.dump()
		if len(conns) != 1 || conns[0].Netns != 0 {
			e.Errorf("tables: %v", conns)
		}
	})
}

// dump is all tables.
func (e *env) dump() []ops.Conn {
	e.Helper()
	conns, err := e.side.Dump()
	if err != nil {
		e.Fatal(err)
	}
	return conns
}

func TestSeed_NetnsID(t *testing.T) {
	claim(t, func(e *env) {
		for n, id := range ops.Peers {
			there := func(o *ops.Options) { o.NetnsID = id }
			e.good(with(e.alloc(), there), do(ops.Insert, 0), with(e.lookup(), there))
			conns := e.dump()
			if len(conns) != 1 || conns[0].Netns != n+1 {
				e.Errorf("id %d: tables %v", id, conns)
			}
			// And in no other.
			other := with(e.lookup(), func(o *ops.Options) { o.NetnsID = ops.Peers[1-n] })
			r := e.more(e.lookup(), other)
			equal(e, "found in the program's own", r[0].Ret, 0)
			equal(e, "found in the other", r[1].Ret, 0)
		}
	})
}

func TestSeed_OptsErrorIsSet(t *testing.T) {
	claim(t, func(e *env) {
		for _, before := range []int32{0, -1, 0x7fffffff} {
			l := with(e.lookup(), func(o *ops.Options) { o.Error = before })
			e.fails(l, &e.run(l)[0], errno.ENOENT)
			a := with(e.alloc(), func(o *ops.Options) { o.Error, o.Proto = before, 1 })
			e.fails(a, &e.run(a)[0], errno.EPROTO)
		}
	})
}

func TestSeed_OptsErrorEINVALTuple(t *testing.T) {
	claim(t, func(e *env) {
		e.allFail(errno.EINVAL, e.both(func(op *ops.Op) { op.Flags = ops.NullTuple })...)
		// Whatever else is wrong.
		e.allFail(errno.EINVAL, e.both(func(op *ops.Op) {
			*op = with(*op, func(o *ops.Options) { o.Proto = 1 })
			op.Flags = ops.NullTuple
		})...)
	})
}

func TestSeed_OptsErrorEINVALReserved(t *testing.T) {
	claim(t, func(e *env) {
		e.allFail(errno.EINVAL, e.reserved()...)
	})
}

// reserved are calls of which one reserved byte is not 0.
func (e *env) reserved() (calls []ops.Op) {
	for _, value := range []byte{1, 0x80, 0xff} {
		for _, byte := range []int{10, 11} {
			calls = append(calls, e.both(func(op *ops.Op) {
				*op = sized(*op, 12)
				op.Opts[byte] = value
			})...)
		}
		for _, byte := range []int{13, 14, 15} {
			if e.size == 16 {
				calls = append(calls, e.both(func(op *ops.Op) { op.Opts[byte] = value })...)
			}
		}
	}
	return calls
}

func TestSeed_OptsErrorEINVALNetns(t *testing.T) {
	claim(t, func(e *env) {
		for _, id := range []int32{-2, -3, -1 << 31} {
			e.allFail(errno.EINVAL, e.both(func(op *ops.Op) {
				*op = with(*op, func(o *ops.Options) { o.NetnsID = id })
			})...)
		}
	})
}

func TestSeed_OptsErrorEINVALSize(t *testing.T) {
	claim(t, func(e *env) {
		for size := range uint32(ops.OptsRoom + 1) {
			if size != 12 && size != e.size {
				e.allFail(errno.EINVAL, e.both(func(op *ops.Op) { *op = sized(*op, size) })...)
			}
		}
	})
}

func TestSeed_OptsErrorEPROTO(t *testing.T) {
	claim(t, func(e *env) {
		for proto := range 256 {
			if proto == conntrack.ProtoTCP || proto == conntrack.ProtoUDP {
				continue
			}
			e.allFail(errno.EPROTO, e.both(func(op *ops.Op) {
				*op = with(*op, func(o *ops.Options) { o.Proto = uint8(proto) })
			})...)
		}
	})
}

func TestSeed_OptsErrorENONET(t *testing.T) {
	claim(t, func(e *env) {
		for _, id := range []int32{1, 4, 6, 1000, 1<<31 - 1} {
			e.allFail(errno.ENONET, e.both(func(op *ops.Op) {
				*op = with(*op, func(o *ops.Options) { o.NetnsID = id })
			})...)
		}
	})
}

func TestSeed_OptsErrorENOENT(t *testing.T) {
	claim(t, func(e *env) {
		e.allFail(errno.ENOENT, e.lookup(), e.reversed(), sized(e.lookup(), 12))
		// Each part of a tuple counts.
		for _, change := range []func(*ops.Op){
			func(op *ops.Op) { op.SetTuple(e.at(3, sport), e.at(server, dport)) },
			func(op *ops.Op) { op.SetTuple(e.at(client, sport), e.at(3, dport)) },
			func(op *ops.Op) { op.SetTuple(e.at(client, sport+1), e.at(server, dport)) },
			func(op *ops.Op) { op.SetTuple(e.at(client, sport), e.at(server, dport+1)) },
			func(op *ops.Op) { *op = with(*op, func(o *ops.Options) { o.Proto = conntrack.ProtoUDP }) },
		} {
			l := e.lookup()
			change(&l)
			e.fails(l, &e.run(e.alloc(), do(ops.Insert, 0), l)[2], errno.ENOENT)
		}
	})
}

func TestSeed_OptsErrorEAFNOSUPPORT(t *testing.T) {
	claim(t, func(e *env) {
		for _, size := range []uint32{0, 1, 11, 13, 16, 35, 37, 40} {
			e.allFail(errno.EAFNOSUPPORT, e.both(func(op *ops.Op) { op.TupleSize = size })...)
		}
	})
}

func TestSeed_L4Proto(t *testing.T) {
	claim(t, func(e *env) {
		for _, proto := range []uint8{conntrack.ProtoTCP, conntrack.ProtoUDP} {
			is := func(o *ops.Options) { o.Proto = proto }
			r := e.good(with(e.alloc(), is), do(ops.Insert, 0), with(e.lookup(), is), with(e.reversed2(), is))
			equal(e, "protocol", r[2].View.Tuple[conntrack.Original].Proto, proto)
		}
	})
}

// reversed2 is reversed in slot 2.
func (e *env) reversed2() ops.Op {
	op := e.reversed()
	op.Slot = 2
	return op
}

func TestSeed_Reserved(t *testing.T) {
	claim(t, func(e *env) {
		e.good(e.alloc(), do(ops.Insert, 0), e.lookup(), sized(e.reversed2(), 12))
		e.allFail(errno.EINVAL, e.reserved()...)
	})
}

func TestSeed_OptsSize(t *testing.T) {
	claim(t, func(e *env) {
		e.good(e.alloc(), do(ops.Insert, 0), e.lookup())
		for size := range uint32(ops.OptsRoom + 1) {
			if size != 12 {
				e.allFail(errno.EINVAL, e.both(func(op *ops.Op) { *op = sized(*op, size) })...)
			}
		}
	})
}

func TestSeed_Prototype(t *testing.T) {
	for _, profile := range []string{"6.18", "documented"} {
		p, err := kernel.Lookup(profile)
		if err != nil {
			t.Fatal(err)
		}
		fn, _, _, err := p.KfuncType("bpf_skb_ct_alloc")
		if err != nil {
			t.Fatal(err)
		}
		proto := fn.Type.(*btf.FuncProto)
		got := pointee(proto.Return) + "("
		for i, a := range proto.Params {
			if i > 0 {
				got += ", "
			}
			got += pointee(a.Type) + a.Name
		}
		const want = "struct nf_conn___init *(struct __sk_buff *skb_ctx, struct bpf_sock_tuple *bpf_tuple, u32 tuple__sz, struct bpf_ct_opts *opts, u32 opts__sz)"
		if got+")" != want {
			t.Errorf("profile %s: %s), want %s", profile, got, want)
		}
	}
}

func pointee(t btf.Type) string {
	if p, ok := t.(*btf.Pointer); ok {
		return "struct " + p.Target.TypeName() + " *"
	}
	return t.TypeName() + " "
}

func TestSeed_ReferenceIsReleased(t *testing.T) {
	claim(t, func(e *env) {
		r := e.good(e.alloc(), do(ops.Insert, 0), e.lookup(), e.reversed2(),
			do(ops.Release, 0), ops.Op{Code: ops.Read, Slot: 1}, ops.Op{Code: ops.Release, Slot: 1}, ops.Op{Code: ops.Read, Slot: 2})
		for i, want := range map[int]uint32{1: 2, 2: 3, 3: 4, 5: 3, 7: 2} {
			equal(e, "references", r[i].View.Use, want)
		}
		conns := e.dump()
		if len(conns) != 1 || conns[0].Use != 1 {
			e.Errorf("table: %v", conns)
		}
	})
}

// TestSeed_ReferenceGoesIntoAMap runs with the profile documented only: the kernel
// refuses the map, which TestFacts_Words/put sees.
func TestSeed_ReferenceGoesIntoAMap(t *testing.T) {
	spec, err := bpfct.LoadCollectionSpec("testdata/kptr.o")
	if err != nil {
		t.Fatal(err)
	}
	host, err := bpfct.NewHost(bpfct.HostOptions{Profile: "documented"})
	if err != nil {
		t.Fatal(err)
	}
	coll, err := host.LoadCollection(spec, bpfct.CollectionOptions{})
	if err != nil {
		t.Fatal(err)
	}
	run := func(name string) uint32 {
		res, err := coll.Programs[name].Run(nil)
		if err != nil {
			t.Fatalf("%+v", err)
		}
		return res.Return
	}
	uses := func() (n []int) {
		for s := range host.Netns().Conntrack().Snapshots() {
			n = append(n, s.Use)
		}
		return n
	}
	if got := run("put"); got != 0 {
		t.Fatalf("put: %d", got)
	}
	if n := uses(); len(n) != 1 || n[0] != 2 {
		t.Errorf("references while the map holds one: %v", n)
	}
	if got := run("take"); got != 0 {
		t.Fatalf("take: %d", got)
	}
	for name, want := range map[string]uint32{"use": 2, "mark": 42} {
		var got uint32
		if err := coll.Variables[name].Get(&got); err != nil || got != want {
			t.Errorf("%s: %d, %v, want %d", name, got, err, want)
		}
	}
	if n := uses(); len(n) != 1 || n[0] != 1 {
		t.Errorf("references after it was taken out: %v", n)
	}
	if got := run("take"); got != 2 {
		t.Errorf("take from an empty map: %d", got)
	}
	// A map that goes gives up what it holds.
	host.Netns().Conntrack().Flush()
	if got := run("put"); got != 0 {
		t.Fatalf("put again: %d", got)
	}
	coll.Close()
	if n := uses(); len(n) != 1 || n[0] != 1 {
		t.Errorf("references after the map went: %v", n)
	}
}

func TestSeed_LeakIsRefused(t *testing.T) {
	wordsOf(t, "alloc_never_released", "lookup_never_released", "lost_in_subprogram", "insert_result_lost", "lost_in_callback")
}

func TestSeed_MayBeNULL(t *testing.T) {
	wordsOf(t, "read_of_null", "release_of_null", "insert_of_null")
}

func TestSeed_ProgramTypes(t *testing.T) {
	wordsOf(t, "from_cgroup_skb", "from_socket_filter", "skb_kfunc_from_xdp", "xdp_kfunc_from_tc")
	// Programs of the two types may, which all other tests show; the machine names
	// what it refuses.
	spec, err := bpfct.LoadCollectionSpec("testdata/words.o")
	if err != nil {
		t.Fatal(err)
	}
	host, err := bpfct.NewHost(bpfct.HostOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"from_cgroup_skb", "from_socket_filter"} {
		_, err := host.LoadCollection(spec, bpfct.CollectionOptions{Programs: []string{name}})
		if err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), spec.Programs[name].Type.String()) {
			t.Errorf("%s: the error names neither program nor type: %v", name, err)
		}
	}
	p, err := kernel.Lookup("6.18")
	if err != nil {
		t.Fatal(err)
	}
	for _, fn := range append([]string{"bpf_ct_insert_entry", "bpf_ct_release", "bpf_ct_set_timeout", "bpf_ct_change_timeout",
		"bpf_ct_set_status", "bpf_ct_change_status", "bpf_ct_set_nat_info"}, finders...) {
		proto, ok := p.Kfunc(fn)
		if !ok {
			t.Errorf("the profile has no %s", fn)
			continue
		}
		if got, want := proto.Programs&p.Measured, kernel.Programs(ebpf.SchedCLS, ebpf.XDP); got != want {
			t.Errorf("%s from %v, want %v", fn, got, want)
		}
	}
}

func TestSeed_Example(t *testing.T) { example(t) }
