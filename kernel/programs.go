package kernel

import (
	"fmt"
	"math/bits"
	"strings"

	"github.com/cilium/ebpf"
)

// ProgramSet is a set of program types: bit n stands for the type whose number
// in enum bpf_prog_type is n.
type ProgramSet uint64

// AllPrograms has every program type that this package can name.
const AllPrograms ProgramSet = 1<<33 - 2

// programNames are the names of enum bpf_prog_type in lower case and without
// their prefix, by number.
var programNames = [...]string{
	1: "socket_filter", 2: "kprobe", 3: "sched_cls", 4: "sched_act",
	5: "tracepoint", 6: "xdp", 7: "perf_event", 8: "cgroup_skb",
	9: "cgroup_sock", 10: "lwt_in", 11: "lwt_out", 12: "lwt_xmit",
	13: "sock_ops", 14: "sk_skb", 15: "cgroup_device", 16: "sk_msg",
	17: "raw_tracepoint", 18: "cgroup_sock_addr", 19: "lwt_seg6local",
	20: "lirc_mode2", 21: "sk_reuseport", 22: "flow_dissector",
	23: "cgroup_sysctl", 24: "raw_tracepoint_writable", 25: "cgroup_sockopt",
	26: "tracing", 27: "struct_ops", 28: "ext", 29: "lsm", 30: "sk_lookup",
	31: "syscall", 32: "netfilter",
}

// ProgramName is the kernel's name of a program type: "sched_cls" for
// BPF_PROG_TYPE_SCHED_CLS, "prog_type_99" for one without a name.
func ProgramName(t ebpf.ProgramType) string {
	if int(t) < len(programNames) && programNames[t] != "" {
		return programNames[t]
	}
	return fmt.Sprintf("prog_type_%d", uint32(t))
}

// ProgramByName is the inverse of [ProgramName].
func ProgramByName(name string) (ebpf.ProgramType, bool) {
	for i, n := range programNames {
		if n != "" && n == name {
			return ebpf.ProgramType(i), true
		}
	}
	return 0, false
}

// Programs is the set of the given types.
func Programs(types ...ebpf.ProgramType) ProgramSet {
	var s ProgramSet
	for _, t := range types {
		if t < 64 {
			s |= 1 << t
		}
	}
	return s
}

// Has reports whether t is in the set.
func (s ProgramSet) Has(t ebpf.ProgramType) bool { return t < 64 && s&(1<<t) != 0 }

// Types lists the set in the order of enum bpf_prog_type.
func (s ProgramSet) Types() []ebpf.ProgramType {
	var out []ebpf.ProgramType
	for w := uint64(s); w != 0; w &= w - 1 {
		out = append(out, ebpf.ProgramType(bits.TrailingZeros64(w)))
	}
	return out
}

// String lists the names, separated by spaces; "all" and "none" stand for
// themselves.
func (s ProgramSet) String() string {
	switch s {
	case 0:
		return "none"
	case AllPrograms:
		return "all"
	}
	var names []string
	for _, t := range s.Types() {
		names = append(names, ProgramName(t))
	}
	return strings.Join(names, " ")
}

// MarshalText is String.
func (s ProgramSet) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what String writes.
func (s *ProgramSet) UnmarshalText(text []byte) error {
	*s = 0
	switch string(text) {
	case "none", "":
		return nil
	case "all":
		*s = AllPrograms
		return nil
	}
	for _, name := range strings.Fields(string(text)) {
		t, ok := ProgramByName(name)
		if !ok {
			return fmt.Errorf("unknown program type %q", name)
		}
		*s |= 1 << t
	}
	return nil
}
