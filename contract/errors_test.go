package contract

import (
	"testing"

	"github.com/cilium/ebpf/btf"

	"github.com/bpfct/bpfct/contract/internal/ops"
	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/internal/testkernel"
	"github.com/bpfct/bpfct/kernel"
)

func TestFacts_OptsLayout(t *testing.T) {
	type member struct {
		name         string
		offset, size uint32
	}
	want := []member{{"netns_id", 0, 4}, {"error", 4, 4}, {"l4proto", 8, 1}, {"dir", 9, 1}, {"ct_zone_id", 10, 2}, {"ct_zone_dir", 12, 1}, {"reserved", 13, 3}}
	check := func(t *testing.T, types *btf.Spec) {
		var s *btf.Struct
		if err := types.TypeByName("bpf_ct_opts", &s); err != nil {
			t.Fatal(err)
		}
		if s.Size != 16 || len(s.Members) != len(want) {
			t.Errorf("%d bytes, %d members", s.Size, len(s.Members))
		}
		for i, m := range s.Members {
			size, err := btf.Sizeof(m.Type)
			if got := (member{m.Name, m.Offset.Bytes(), uint32(size)}); err != nil || i >= len(want) || got != want[i] {
				t.Errorf("member %d: %v, %v", i, got, err)
			}
		}
	}
	t.Run("bpfct", func(t *testing.T) {
		p, err := kernel.Lookup("6.18")
		if err != nil {
			t.Fatal(err)
		}
		types, err := p.Types()
		if err != nil {
			t.Fatal(err)
		}
		check(t, types)
	})
	t.Run("kernel", func(t *testing.T) {
		testkernel.Require(t)
		types, err := btf.LoadKernelSpec()
		if err != nil {
			t.Fatal(err)
		}
		check(t, types)
	})
}

func TestFacts_OptsOf12Bytes(t *testing.T) {
	claim(t, func(e *env) {
		// Found by both sizes, and what stands behind the twelve bytes stays.
		calls := []ops.Op{sized(e.alloc(), 12), do(ops.Insert, 0), sized(e.lookup(), 12), e.reversed2()}
		r := e.good(calls...)
		for _, i := range []int{0, 2} {
			if [20]byte(r[i].Opts[12:]) != [20]byte(calls[i].Opts[12:]) {
				e.Errorf("call %d: behind the options stands %x", i, r[i].Opts[12:])
			}
			equal(e, "zone", r[i].View.ZoneID, 0)
			equal(e, "zone direction", r[i].View.ZoneDir, 3)
		}
	})
}

func TestFacts_TupleSizeEAFNOSUPPORT(t *testing.T) {
	claim(t, func(e *env) {
		for size := range uint32(ops.TupleRoom + 1) {
			if size != 12 && size != 36 {
				e.allFail(errno.EAFNOSUPPORT, e.both(func(op *ops.Op) { op.TupleSize = size })...)
			}
		}
	})
}

func TestFacts_OptsSizeEINVAL(t *testing.T) {
	claim(t, func(e *env) {
		for size := range uint32(ops.OptsRoom + 1) {
			calls := e.both(func(op *ops.Op) { *op = sized(*op, size) })
			if size != 12 && size != 16 {
				e.allFail(errno.EINVAL, calls...)
				continue
			}
			equal(e, "alloc", e.run(calls[0])[0].Ret, 1)
			equal(e, "lookup", e.run(calls[1])[0].Error(), -int32(errno.ENOENT))
		}
	})
}

func TestFacts_Reserved12EINVAL(t *testing.T) {
	claim(t, func(e *env) {
		for value := 1; value < 256; value++ {
			e.allFail(errno.EINVAL, e.both(func(op *ops.Op) {
				*op = sized(*op, 12)
				op.Opts[10+value%2] = byte(value)
			})...)
		}
	})
}

func TestFacts_Reserved16EINVAL(t *testing.T) {
	claim(t, func(e *env) {
		for value := 1; value < 256; value++ {
			e.allFail(errno.EINVAL, e.both(func(op *ops.Op) { op.Opts[13+value%3] = byte(value) })...)
		}
	})
}

func TestFacts_DirIsIgnored(t *testing.T) {
	claim(t, func(e *env) {
		e.reset()
		for dir := range 256 {
			set := func(o *ops.Options) { o.Dir, o.ZoneDir = uint8(dir), 3 }
			if e.documented {
				set = func(o *ops.Options) { o.Dir = uint8(dir) }
			}
			miss := with(e.lookup(), set)
			e.fails(miss, &e.more(miss)[0], errno.ENOENT)
			a := with(e.from(0, 3, uint16(dir)), set)
			equal(e, "options after alloc", e.more(a)[0].Opts, a.Opts)
		}
	})
}

func TestFacts_AnyZone(t *testing.T) {
	claim(t, func(e *env) {
		e.reset()
		for dir := range 256 {
			for i, id := range []uint16{0, 1, 7, 256, 65535} {
				zone := func(o *ops.Options) { o.ZoneID, o.ZoneDir = id, uint8(dir) }
				port := uint16(1 + dir + 256*i)
				l := with(e.from(1, client, port), zone)
				l.Code = ops.Lookup
				r := e.more(l, with(e.from(0, client, port), zone))
				equal(e, "lookup", r[0].Error(), -int32(errno.ENOENT))
				equal(e, "alloc", r[1].Ret, 1)
				equal(e, "zone", r[1].View.ZoneID, id)
			}
		}
	})
}

func TestFacts_NetnsEINVAL(t *testing.T) {
	claim(t, func(e *env) {
		for _, id := range []int32{-2, -3, -1000, -1 << 31} {
			e.allFail(errno.EINVAL, e.both(func(op *ops.Op) {
				*op = with(*op, func(o *ops.Options) { o.NetnsID = id })
			})...)
		}
	})
}

func TestFacts_NetnsENONET(t *testing.T) {
	claim(t, func(e *env) {
		for _, id := range []int32{1, 2, 3, 4, 6, 65536, 1<<31 - 1} {
			e.allFail(errno.ENONET, e.both(func(op *ops.Op) {
				*op = with(*op, func(o *ops.Options) { o.NetnsID = id })
			})...)
		}
	})
}

func TestFacts_ProtoEPROTO(t *testing.T) {
	claim(t, func(e *env) {
		for _, proto := range []uint8{0, 1, 33, 47, 132, 136} {
			e.allFail(errno.EPROTO, e.both(func(op *ops.Op) {
				*op = with(*op, func(o *ops.Options) { o.Proto = proto })
			})...)
		}
	})
}

func TestFacts_NullTupleEINVAL(t *testing.T) {
	claim(t, func(e *env) {
		e.allFail(errno.EINVAL, e.both(func(op *ops.Op) { op.Flags = ops.NullTuple })...)
	})
}

func TestFacts_NothingFoundENOENT(t *testing.T) {
	claim(t, func(e *env) {
		e.allFail(errno.ENOENT, e.lookup(), sized(e.lookup(), 12), e.reversed())
	})
}

func TestFacts_ErrorIsLeftOnSuccess(t *testing.T) {
	claim(t, func(e *env) {
		for _, before := range []int32{0, -1, -22, 0x12345678} {
			set := func(o *ops.Options) { o.Error = before }
			r := e.good(with(e.alloc(), set), do(ops.Insert, 0), with(e.lookup(), set), with(e.reversed2(), set))
			for _, i := range []int{0, 2, 3} {
				equal(e, "error", r[i].Error(), before)
			}
		}
	})
}

func TestFacts_LookupWritesDir(t *testing.T) {
	claim(t, func(e *env) {
		r := e.good(e.alloc(), do(ops.Insert, 0), e.lookup(), e.reversed2())
		equal(e, "dir after alloc", r[0].Dir(), 9)
		equal(e, "dir of the tuple", r[2].Dir(), 0)
		equal(e, "dir of the answer's", r[3].Dir(), 1)
	})
}

func TestFacts_ZoneDirIsSettled(t *testing.T) {
	claim(t, func(e *env) {
		e.reset()
		for dir := range 256 {
			want := uint8(dir)
			if dir == 0 {
				want = 3
			}
			set := func(o *ops.Options) { o.ZoneDir = uint8(dir) }
			r := e.more(with(e.lookup(), set), with(e.from(0, 3, uint16(dir)), set))
			equal(e, "after a miss", r[0].Opts[12], want)
			equal(e, "after alloc", r[1].Opts[12], want)
			equal(e, "of the connection", r[1].View.ZoneDir, want)
		}
		for _, bad := range []func(*ops.Op){
			func(op *ops.Op) { op.TupleSize = 13 },
			func(op *ops.Op) { *op = with(*op, func(o *ops.Options) { o.NetnsID = 7 }) },
			func(op *ops.Op) { *op = with(*op, func(o *ops.Options) { o.Proto = 1 }) },
		} {
			for _, op := range e.both(bad) {
				equal(e, "after a fault", e.run(op)[0].Opts[12], 0)
			}
		}
	})
}

func TestFacts_ErrorIsWrittenWhateverTheSize(t *testing.T) {
	claim(t, func(e *env) {
		for size := range uint32(8) {
			for _, op := range e.both(func(op *ops.Op) { *op = sized(*op, size) }) {
				r := e.run(op)[0]
				e.fails(op, &r, errno.EINVAL)
				equal(e, "byte 8", r.Opts[8], ops.Canary)
			}
		}
	})
}

// fault is one thing that may be wrong with a call.
type fault struct {
	name string
	err  errno.Errno
	put  func(*ops.Op)
}

// option is a change of an option that leaves the other bytes alone.
func option(at int, b ...byte) func(*ops.Op) {
	return func(op *ops.Op) { copy(op.Opts[at:], b) }
}

// faults are in the order in which lookup finds them.
var faults = []fault{
	{"NULL tuple", errno.EINVAL, func(op *ops.Op) { op.Flags = ops.NullTuple }},
	{"size of options", errno.EINVAL, func(op *ops.Op) { op.OptsSize = 11 }},
	{"reserved bytes", errno.EINVAL, func(op *ops.Op) {
		if op.OptsSize == 12 {
			op.Opts[10] = 1
		}
		op.Opts[13] = 1
	}},
	{"protocol", errno.EPROTO, option(8, 1)},
	{"negative namespace", errno.EINVAL, option(0, 0xfe, 0xff, 0xff, 0xff)},
	{"size of tuple", errno.EAFNOSUPPORT, func(op *ops.Op) { op.TupleSize = 13 }},
	{"unknown namespace", errno.ENONET, option(0, 7, 0, 0, 0)},
}

func TestFacts_SizesAndReservedWin(t *testing.T) {
	claim(t, func(e *env) {
		for _, first := range faults[1:3] {
			for _, second := range faults[3:] {
				e.allFail(errno.EINVAL, e.both(func(op *ops.Op) {
					second.put(op)
					first.put(op)
				})...)
			}
		}
	})
}

func TestFacts_LookupProtoBeforeNetns(t *testing.T) {
	claim(t, func(e *env) {
		e.allFail(errno.EPROTO, with(e.lookup(), func(o *ops.Options) { o.NetnsID, o.Proto = -2, 1 }))
	})
}

func TestFacts_AllocNetnsBeforeProto(t *testing.T) {
	claim(t, func(e *env) {
		e.allFail(errno.EINVAL, with(e.alloc(), func(o *ops.Options) { o.NetnsID, o.Proto = -2, 1 }))
	})
}

func TestFacts_TupleSizeBeforeNamespace(t *testing.T) {
	claim(t, func(e *env) {
		e.allFail(errno.EAFNOSUPPORT, e.both(func(op *ops.Op) {
			*op = with(*op, func(o *ops.Options) { o.NetnsID = 7 })
			op.TupleSize = 13
		})...)
		e.allFail(errno.EPROTO, e.both(func(op *ops.Op) {
			*op = with(*op, func(o *ops.Options) { o.NetnsID, o.Proto = 7, 1 })
		})...)
	})
}

func TestFacts_EveryPairOfFaults(t *testing.T) {
	claim(t, func(e *env) {
		for i, first := range faults {
			for j, second := range faults {
				if first.name != second.name && (i >= 4 && i != 5 && j >= 4 && j != 5) {
					continue // one namespace cannot be both
				}
				for _, op := range e.both(func(op *ops.Op) {
					first.put(op)
					second.put(op)
				}) {
					want := faults[min(i, j)].err
					if op.Code == ops.Alloc && min(i, j) == 3 && max(i, j) == 4 {
						want = errno.EINVAL
					}
					e.fails(op, &e.run(op)[0], want)
				}
			}
		}
	})
}
