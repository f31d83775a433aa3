package live_test

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"github.com/bpfct/bpfct/live"
)

func TestRunInsns(t *testing.T) {
	h := newHost(t, live.Options{})
	m, err := h.NewMap(&ebpf.MapSpec{Name: "out", Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	store := asm.Instructions{
		asm.LoadImm(asm.R6, 0x1122334455667788, asm.DWord),
		asm.StoreImm(asm.RFP, -4, 0, asm.Word),
		asm.LoadMapPtr(asm.R1, 0).WithReference("out"),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, -4),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "exit"),
		asm.StoreMem(asm.R0, 0, asm.R6, asm.DWord),
		asm.Mov.Imm(asm.R0, 5).WithSymbol("exit"),
		asm.Return(),
	}
	for _, typ := range []ebpf.ProgramType{ebpf.SchedCLS, ebpf.XDP, ebpf.SocketFilter} {
		if err := m.Put(uint32(0), uint64(0)); err != nil {
			t.Fatal(err)
		}
		res, err := h.RunInsns(typ, store, live.RunOptions{Maps: map[string]*ebpf.Map{"out": m}})
		if err != nil || res.Ret != 5 {
			t.Fatalf("%s: %+v, %v", typ, res, err)
		}
		var got uint64
		if err := m.Lookup(uint32(0), &got); err != nil || got != 0x1122334455667788 {
			t.Errorf("%s: the map has %#x, %v", typ, got, err)
		}
	}
	if store[2].Map() != nil {
		t.Error("the caller's instructions were changed")
	}
	_, err = h.RunInsns(ebpf.SchedCLS, store, live.RunOptions{})
	if err == nil || !strings.Contains(err.Error(), `map "out", which is not given`) {
		t.Errorf("without the map: %v", err)
	}
	_, err = h.RunInsns(ebpf.SchedCLS, asm.Instructions{asm.Return()}, live.RunOptions{})
	var ve *ebpf.VerifierError
	if !errors.As(err, &ve) || !errors.Is(err, unix.EACCES) {
		t.Errorf("R0 unset: %v", err)
	}
}

func TestRunInsnsKfunc(t *testing.T) {
	h := newHost(t, live.Options{})
	lookup := asm.Instructions{
		asm.StoreImm(asm.RFP, -16, -1, asm.Word), // opts: netns_id, error, l4proto
		asm.StoreImm(asm.RFP, -12, 0, asm.Word),
		asm.StoreImm(asm.RFP, -8, 6, asm.Word),
		asm.StoreImm(asm.RFP, -32, 0, asm.Word), // tuple
		asm.StoreImm(asm.RFP, -28, 0, asm.Word),
		asm.StoreImm(asm.RFP, -24, 0, asm.Word),
		asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, -32), asm.Mov.Imm(asm.R3, 12),
		asm.Mov.Reg(asm.R4, asm.RFP), asm.Add.Imm(asm.R4, -16), asm.Mov.Imm(asm.R5, 12),
		live.KfuncCall("bpf_skb_ct_lookup"),
		asm.JEq.Imm(asm.R0, 0, "miss"),
		asm.Mov.Reg(asm.R1, asm.R0),
		live.KfuncCall("bpf_ct_release"),
		asm.LoadMem(asm.R0, asm.RFP, -12, asm.Word).WithSymbol("miss"),
		asm.Return(),
	}
	res, err := h.RunInsns(ebpf.SchedCLS, lookup, live.RunOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got := int32(res.Ret); got != -int32(unix.ENOENT) {
		t.Errorf("opts.error is %d, want ENOENT", got)
	}
	_, err = h.RunInsns(ebpf.SchedCLS, asm.Instructions{live.KfuncCall("bpf_none"), asm.Return()}, live.RunOptions{})
	if !errors.Is(err, live.ErrNotSupported) || !strings.Contains(err.Error(), "bpf_none") {
		t.Errorf("unknown kfunc: %v", err)
	}
}

// The kernel's rules for the input of a run.
func TestRunInput(t *testing.T) {
	h := newHost(t, live.Options{NamespaceOptions: live.NamespaceOptions{Devices: []live.Device{{Name: "d0", Index: 77}}}})
	load := func(typ ebpf.ProgramType) *ebpf.Program {
		p, err := h.LoadInsns(typ, asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()}, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { p.Close() })
		return p
	}
	tc, xdp := load(ebpf.SchedCLS), load(ebpf.XDP)
	with := func(n, at int, v uint32) []byte {
		b := make([]byte, n)
		binary.NativeEndian.PutUint32(b[at:], v)
		return b
	}
	for name, tt := range map[string]struct {
		prog *ebpf.Program
		opts live.RunOptions
		want error
	}{
		"tc 14 bytes":                  {tc, live.RunOptions{Data: make([]byte, 14)}, nil},
		"tc 13 bytes":                  {tc, live.RunOptions{Data: make([]byte, 13)}, unix.EINVAL},
		"tc no bytes":                  {tc, live.RunOptions{Data: []byte{}}, unix.EINVAL},
		"xdp 14 bytes":                 {xdp, live.RunOptions{Data: make([]byte, 14)}, nil},
		"xdp 13 bytes":                 {xdp, live.RunOptions{Data: make([]byte, 13)}, unix.EINVAL},
		"tc all allowed":               {tc, live.RunOptions{Ctx: (&live.SkBuff{Mark: 1, Priority: 2, IngressIfindex: 3, Ifindex: 77, CB: [5]uint32{1, 2, 3, 4, 5}, Tstamp: 6, WireLen: 64, GSOSegs: 7, GSOSize: 8, HWTstamp: 9}).Bytes()}, nil},
		"tc device that is not there":  {tc, live.RunOptions{Ctx: (&live.SkBuff{Ifindex: 78}).Bytes()}, unix.ENODEV},
		"tc wire_len below the length": {tc, live.RunOptions{Ctx: (&live.SkBuff{WireLen: 63}).Bytes()}, unix.EINVAL},
		"tc len":                       {tc, live.RunOptions{Ctx: with(live.SkBuffSize, 0, 64)}, unix.EINVAL},
		"tc hash":                      {tc, live.RunOptions{Ctx: with(live.SkBuffSize, 68, 1)}, unix.EINVAL},
		"tc data":                      {tc, live.RunOptions{Ctx: with(live.SkBuffSize, 76, 1)}, unix.EINVAL},
		"tc context too long, zero":    {tc, live.RunOptions{Ctx: make([]byte, live.SkBuffSize+8)}, nil},
		"tc context too long":          {tc, live.RunOptions{Ctx: with(live.SkBuffSize+8, live.SkBuffSize, 1)}, unix.E2BIG},
		"tc batch":                     {tc, live.RunOptions{BatchSize: 1}, unix.EINVAL},
		"tc live frames":               {tc, live.RunOptions{Flags: live.FlagXDPLiveFrames}, unix.EINVAL},
		"tc on the second CPU":         {tc, live.RunOptions{Flags: live.FlagRunOnCPU, CPU: 0}, nil},
		"tc on no CPU":                 {tc, live.RunOptions{Flags: live.FlagRunOnCPU, CPU: 1000}, unix.EINVAL},
		"xdp metadata":                 {xdp, live.RunOptions{Ctx: (&live.XDPMD{Data: 4, DataEnd: 64}).Bytes()}, nil},
		"xdp metadata not of 4":        {xdp, live.RunOptions{Ctx: (&live.XDPMD{Data: 3, DataEnd: 64}).Bytes()}, unix.EINVAL},
		"xdp end beyond the packet":    {xdp, live.RunOptions{Ctx: (&live.XDPMD{DataEnd: 65}).Bytes()}, unix.EINVAL},
		"xdp device":                   {xdp, live.RunOptions{Ctx: (&live.XDPMD{DataEnd: 64, IngressIfindex: 77}).Bytes()}, nil},
		"xdp no device":                {xdp, live.RunOptions{Ctx: (&live.XDPMD{DataEnd: 64, IngressIfindex: 78}).Bytes()}, unix.ENODEV},
		"xdp queue":                    {xdp, live.RunOptions{Ctx: (&live.XDPMD{DataEnd: 64, IngressIfindex: 77, RxQueueIndex: 1000}).Bytes()}, unix.EINVAL},
		"xdp data_meta":                {xdp, live.RunOptions{Ctx: with(live.XDPMDSize, 8, 4)}, unix.EINVAL},
		"xdp live frames":              {xdp, live.RunOptions{Flags: live.FlagXDPLiveFrames, BatchSize: 2, Repeat: 4}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			res, err := h.Run(tt.prog, tt.opts)
			if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
				t.Fatalf("%v, want %v", err, tt.want)
			}
			if (res == nil) != (err != nil) {
				t.Fatalf("result %v with error %v", res, err)
			}
		})
	}
	res, err := h.Run(tc, live.RunOptions{DataOutSize: 10})
	if err != nil || !res.Truncated || len(res.Data) != 10 {
		t.Errorf("little room: %+v, %v", res, err)
	}
	res, err = h.Run(tc, live.RunOptions{Repeat: 1000})
	if err != nil || res.Duration <= 0 {
		t.Errorf("repeated: %+v, %v", res, err)
	}
	in := live.SkBuff{Mark: 1, Ifindex: 77, CB: [5]uint32{1, 2, 3, 4, 5}, Tstamp: 1 << 40, WireLen: 70}
	res, err = h.Run(tc, live.RunOptions{Ctx: in.Bytes()})
	if err != nil {
		t.Fatal(err)
	}
	if out, err := live.ParseSkBuff(res.Ctx); err != nil || *out != in {
		t.Errorf("context out %+v, %v; in %+v", out, err, in)
	}
}

func BenchmarkRunInsns(b *testing.B) {
	h := newHost(b, live.Options{})
	insns := asm.Instructions{asm.Mov.Imm(asm.R0, 1), asm.Add.Imm(asm.R0, 2), asm.Return()}
	for b.Loop() {
		if _, err := h.RunInsns(ebpf.SchedCLS, insns, live.RunOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRun(b *testing.B) {
	h := newHost(b, live.Options{})
	p, err := h.LoadInsns(ebpf.SchedCLS, asm.Instructions{asm.Mov.Imm(asm.R0, 1), asm.Return()}, nil)
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	for b.Loop() {
		if _, err := h.Run(p, live.RunOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLoadCollection(b *testing.B) {
	h := newHost(b, live.Options{})
	for _, object := range []string{"ct", "maps", "graph"} {
		b.Run(object, func(b *testing.B) {
			spec := loadSpec(b, "testdata/"+object+".o")
			for b.Loop() {
				coll, err := h.LoadCollection(spec, &live.CollectionOptions{KeepGoing: true})
				if err != nil {
					b.Fatal(err)
				}
				if err := coll.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkNewHost(b *testing.B) {
	require(b)
	for b.Loop() {
		h, err := live.NewHost(live.Options{})
		if err != nil {
			b.Fatal(err)
		}
		if err := h.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
