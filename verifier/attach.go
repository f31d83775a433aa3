package verifier

import (
	"fmt"

	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct/internal/errno"
)

// Flags of BPF_PROG_LOAD.
const (
	flagStrictAlignment  = 1 << 0
	flagAnyAlignment     = 1 << 1
	flagTestRandomHigh32 = 1 << 2
	flagTestStateFreq    = 1 << 3
	flagSleepable        = 1 << 4
	flagXDPHasFrags      = 1 << 5
	flagXDPDeviceBound   = 1 << 6
	flagTestRegInvariant = 1 << 7

	knownFlags = 1<<8 - 1
)

// admit checks what BPF_PROG_LOAD looks at before anything else: flags and attach
// type. It refuses without a word (bpf_prog_load, bpf_prog_load_check_attach).
func (e *env) admit() error {
	e.insn = -1
	switch e.prog.Type {
	case ebpf.SocketFilter, ebpf.SchedCLS, ebpf.SchedACT, ebpf.XDP, ebpf.CGroupSKB:
	default:
		return fmt.Errorf("program %s: programs of type %v cannot be verified: only tc, XDP, socket filter and cgroup_skb ones can",
			e.prog.Name, e.prog.Type)
	}
	bad := e.prog.Flags&^uint32(knownFlags) != 0
	switch e.prog.Type {
	case ebpf.CGroupSKB:
		bad = bad || e.prog.AttachType != ebpf.AttachCGroupInetIngress && e.prog.AttachType != ebpf.AttachCGroupInetEgress
	case ebpf.XDP:
	default:
		bad = bad || e.prog.Flags&flagXDPDeviceBound != 0
	}
	if bad {
		return &refusal{errno: errno.EINVAL, insn: -1}
	}
	if n := len(e.slots); n == 0 || n > e.prof.Limits.Instructions {
		return &refusal{errno: errno.E2BIG, insn: -1}
	}
	return nil
}

// checkAttach checks flags that not every program may have (check_attach_btf_id).
func (e *env) checkAttach() error {
	if e.prog.Flags&flagSleepable != 0 {
		return e.reject(errno.EINVAL, "Only fentry/fexit/fmod_ret, lsm, iter, uprobe, and struct_ops programs can be sleepable")
	}
	return nil
}
