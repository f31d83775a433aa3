package kernel_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"

	"github.com/bpfct/bpfct/kernel"
)

var entry = regexp.MustCompile(`(?:frame\d+|call \S+ \d+): (R1=.*) R10=fp0 (async_)?cb`)

// Callbacks get the registers that the table says and may return what it says.
func TestCallbacks(t *testing.T) {
	sameKernel(t)
	prof := kernel.Default()
	c := newCaller(t)
	ring := newMap(t, &ebpf.MapSpec{Type: ebpf.UserRingbuf, MaxEntries: 4096})
	setup := map[string]asm.Instructions{
		"bpf_loop":               {asm.Mov.Imm(asm.R1, 4)},
		"bpf_for_each_map_elem":  {asm.LoadMapPtr(asm.R1, c.maps[0].FD())},
		"bpf_user_ringbuf_drain": {asm.LoadMapPtr(asm.R1, ring.FD())},
		"bpf_timer_set_callback": {asm.LoadMapValue(asm.R1, c.locks.FD(), 8)},
		"bpf_find_vma":           {asm.FnGetCurrentTaskBtf.Call(), asm.Mov.Reg(asm.R1, asm.R0), asm.Mov.Imm(asm.R2, 0)},
	}
	seen := 0
	for name, before := range setup {
		p, ok := prof.HelperByName(name)
		if !ok || p.Callback == nil {
			t.Errorf("%s has no callback", name)
			continue
		}
		cb := p.Callback
		if p.Args[cb.Arg].Type.Base() != kernel.ArgFunc {
			t.Errorf("argument %d of %s is no function", cb.Arg, p)
		}
		try := func(ret int64) (bool, string) {
			insns := append(asm.Instructions{}, before...)
			for i := cb.Arg; i < len(p.Args); i++ {
				r := asm.R1 + asm.Register(i)
				switch {
				case i == cb.Arg:
					fn := asm.LoadImm(r, -1, asm.DWord).WithReference("callback")
					fn.Src = asm.PseudoFunc
					insns = append(insns, fn)
				case i == cb.Context:
					insns = append(insns, asm.Mov.Reg(r, asm.R10))
				default:
					insns = append(insns, asm.Mov.Imm(r, 0))
				}
			}
			insns = append(insns, asm.BuiltinFunc(p.ID).Call(), asm.Mov.Imm(asm.R0, 0), asm.Return(),
				btf.WithFuncMetadata(asm.Mov.Imm(asm.R0, int32(ret)).WithSymbol("callback"), loopFunc), asm.Return())
			insns[0] = btf.WithFuncMetadata(insns[0].WithSymbol("main"), mainFunc)
			return accepted(t, insns...)
		}
		ok, log := try(cb.ReturnMax)
		if !ok {
			t.Errorf("%s: a callback that returns %d: %s", name, cb.ReturnMax, log)
		}
		if ok, words := try(cb.ReturnMax + 1); ok || !strings.Contains(words, fmt.Sprintf("should have been in [0, %d]", cb.ReturnMax)) {
			t.Errorf("%s: a callback that returns %d: accepted %v: %s", name, cb.ReturnMax+1, ok, words)
		}
		_, log = try(cb.ReturnMax + 1)
		m := entry.FindStringSubmatch(log)
		if m == nil {
			t.Errorf("%s: no callback in %s", name, log)
			continue
		}
		if async := m[2] != ""; async != cb.Async {
			t.Errorf("%s: callback runs later: %v, table says %v", name, async, cb.Async)
		}
		for i, arg := range cb.Args {
			want := map[kernel.ArgType]string{
				kernel.ArgScalar: "scalar()", kernel.ArgConstMapPtr: "map_ptr(", kernel.ArgMapKey: "map_key(",
				kernel.ArgMapValue: "map_value(", kernel.ArgAnything: "fp", kernel.ArgDynptr: "dynptr_ptr",
				kernel.ArgBTFID: "ptr_" + arg.BTF,
			}[arg.Type.Base()]
			if got := fmt.Sprintf("R%d=", i+1); !strings.Contains(m[1], got+want) && !strings.Contains(m[1], got+"trusted_"+want) {
				t.Errorf("%s: callback's argument %d is %v, the kernel has %s", name, i+1, arg.Type, m[1])
			}
			seen++
		}
		if strings.Contains(m[1], fmt.Sprintf("R%d=", len(cb.Args)+1)) {
			t.Errorf("%s: callback has more arguments: %s", name, m[1])
		}
	}
	if seen != 14 {
		t.Errorf("saw %d arguments", seen)
	}
}
