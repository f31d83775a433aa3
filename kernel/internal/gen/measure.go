//go:build linux

package main

import (
	"errors"
	"fmt"
	"log"
	"reflect"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"

	"github.com/bpfct/bpfct/kernel"
	"github.com/bpfct/bpfct/kernel/internal/probe"
)

// forms are the kernel's functions behind a helper, where they are not one
// function of the helper's name: some program types see another one.
var forms = map[string][]string{
	"bpf_get_prandom_u32":      {"bpf_user_rnd_u32"},
	"bpf_get_smp_processor_id": {"bpf_get_smp_processor_id", "bpf_get_raw_cpu_id"},
	"bpf_get_cgroup_classid":   {"bpf_get_cgroup_classid", "bpf_get_cgroup_classid_curr"},
	"bpf_perf_event_output": {
		"bpf_skb_event_output", "bpf_xdp_event_output", "bpf_event_output_data",
		"bpf_perf_event_output", "bpf_perf_event_output_tp", "bpf_perf_event_output_raw_tp",
	},
	"bpf_skb_output":              {"bpf_skb_event_output"},
	"bpf_xdp_output":              {"bpf_xdp_event_output"},
	"bpf_get_stackid":             {"bpf_get_stackid", "bpf_get_stackid_tp", "bpf_get_stackid_raw_tp", "bpf_get_stackid_pe"},
	"bpf_get_stack":               {"bpf_get_stack", "bpf_get_stack_sleepable", "bpf_get_stack_tp", "bpf_get_stack_raw_tp", "bpf_get_stack_pe"},
	"bpf_get_task_stack":          {"bpf_get_task_stack", "bpf_get_task_stack_sleepable"},
	"bpf_redirect":                {"bpf_redirect", "bpf_xdp_redirect"},
	"bpf_redirect_map":            {"bpf_xdp_redirect_map"},
	"bpf_skb_load_bytes":          {"bpf_skb_load_bytes", "bpf_flow_dissector_load_bytes", "sk_reuseport_load_bytes"},
	"bpf_skb_load_bytes_relative": {"bpf_skb_load_bytes_relative", "sk_reuseport_load_bytes_relative"},
	"bpf_skb_pull_data":           {"bpf_skb_pull_data", "sk_skb_pull_data"},
	"bpf_skb_adjust_room":         {"bpf_skb_adjust_room", "sk_skb_adjust_room"},
	"bpf_skb_change_head":         {"bpf_skb_change_head", "sk_skb_change_head"},
	"bpf_skb_change_tail":         {"bpf_skb_change_tail", "sk_skb_change_tail"},
	"bpf_check_mtu":               {"bpf_skb_check_mtu", "bpf_xdp_check_mtu"},
	"bpf_fib_lookup":              {"bpf_skb_fib_lookup", "bpf_xdp_fib_lookup"},
	"bpf_sk_lookup_tcp":           {"bpf_tc_sk_lookup_tcp", "bpf_xdp_sk_lookup_tcp", "bpf_sk_lookup_tcp", "bpf_sock_addr_sk_lookup_tcp"},
	"bpf_sk_lookup_udp":           {"bpf_tc_sk_lookup_udp", "bpf_xdp_sk_lookup_udp", "bpf_sk_lookup_udp", "bpf_sock_addr_sk_lookup_udp"},
	"bpf_skc_lookup_tcp":          {"bpf_tc_skc_lookup_tcp", "bpf_xdp_skc_lookup_tcp", "bpf_skc_lookup_tcp", "bpf_sock_addr_skc_lookup_tcp"},
	"bpf_sk_assign":               {"bpf_sk_assign", "bpf_sk_lookup_assign"},
	"bpf_sk_select_reuseport":     {"sk_select_reuseport"},
	"bpf_getsockopt":              {"bpf_sk_getsockopt", "bpf_unlocked_sk_getsockopt", "bpf_sock_addr_getsockopt", "bpf_sock_ops_getsockopt"},
	"bpf_setsockopt":              {"bpf_sk_setsockopt", "bpf_unlocked_sk_setsockopt", "bpf_sock_addr_setsockopt", "bpf_sock_ops_setsockopt"},
	"bpf_load_hdr_opt":            {"bpf_sock_ops_load_hdr_opt"},
	"bpf_store_hdr_opt":           {"bpf_sock_ops_store_hdr_opt"},
	"bpf_reserve_hdr_opt":         {"bpf_sock_ops_reserve_hdr_opt"},
	"bpf_lwt_push_encap":          {"bpf_lwt_xmit_push_encap", "bpf_lwt_in_push_encap"},
	"bpf_get_netns_cookie":        {"bpf_get_netns_cookie", "bpf_get_netns_cookie_sock", "bpf_get_netns_cookie_sockopt", "bpf_get_netns_cookie_sk_msg", "bpf_get_netns_cookie_sock_ops", "bpf_get_netns_cookie_sock_addr"},
	"bpf_get_socket_cookie":       {"bpf_get_socket_cookie", "bpf_get_socket_cookie_sock", "bpf_get_socket_cookie_sock_addr", "bpf_get_socket_cookie_sock_ops", "bpf_get_socket_ptr_cookie"},
	"bpf_sk_storage_get":          {"bpf_sk_storage_get", "bpf_sk_storage_get_tracing"},
	"bpf_sk_storage_delete":       {"bpf_sk_storage_delete", "bpf_sk_storage_delete_tracing"},
	"bpf_task_storage_get":        {"bpf_task_storage_get", "bpf_task_storage_get_recur"},
	"bpf_task_storage_delete":     {"bpf_task_storage_delete", "bpf_task_storage_delete_recur"},
	"bpf_get_attach_cookie":       {"bpf_get_attach_cookie_trace", "bpf_get_attach_cookie_pe", "bpf_get_attach_cookie_tracing", "bpf_get_attach_cookie_kprobe_multi", "bpf_get_attach_cookie_uprobe_multi"},
	"bpf_get_func_ip":             {"bpf_get_func_ip_tracing", "bpf_get_func_ip_kprobe", "bpf_get_func_ip_kprobe_multi", "bpf_get_func_ip_uprobe_multi"},
	"bpf_get_func_arg":            {"get_func_arg"},
	"bpf_get_func_ret":            {"get_func_ret"},
	"bpf_get_func_arg_cnt":        {"get_func_arg_cnt"},
	"bpf_probe_read":              {"bpf_probe_read_compat"},
	"bpf_probe_read_str":          {"bpf_probe_read_compat_str"},
}

func formsOf(name string) []string {
	if f, ok := forms[name]; ok {
		return f
	}
	return []string{name}
}

// measure fills in what the kernel knows.
func measure(spec *btf.Spec, helpers, kfuncs []*kernel.Prototype, contexts []probe.Context) error {
	mem, err := probe.NewMemory()
	if err != nil {
		return err
	}
	defer mem.Close()
	syms, err := probe.ReadSymbols()
	if err != nil {
		return err
	}
	base, data, err := mem.Constants(syms)
	if err != nil {
		return err
	}
	if err := measureKfuncs(spec, kfuncs, data, contexts); err != nil {
		return err
	}
	return measureHelpers(spec, helpers, mem, syms, base, data, contexts)
}

// usable are the contexts that this kernel knows.
func usable() []probe.Context {
	var out []probe.Context
	for _, c := range probe.Contexts() {
		if c.Usable() {
			out = append(out, c)
		} else {
			log.Printf("this kernel loads no program of type %v", c)
		}
	}
	return out
}

func measureKfuncs(spec *btf.Spec, kfuncs []*kernel.Prototype, data []byte, contexts []probe.Context) error {
	ids := make(map[uint32]string)
	for _, k := range kfuncs {
		var fn *btf.Func
		if err := spec.TypeByName(k.Name, &fn); err != nil {
			return err
		}
		id, err := spec.TypeID(fn)
		if err != nil {
			return err
		}
		ids[uint32(id)] = k.Name
	}
	flags, err := probe.KfuncFlags(data, ids)
	if err != nil {
		return err
	}
	byName := make(map[string]*kernel.Prototype)
	for _, k := range kfuncs {
		byName[k.Name] = k
		f, ok := flags[k.Name]
		if !ok {
			return fmt.Errorf("kfunc %s is in no set of the kernel", k.Name)
		}
		k.Flags |= f
		finishKfunc(k)
	}
	for id, name := range ids {
		if name == "__bpf_trap" {
			byName[name].Unavailable = "only the verifier calls it"
			continue
		}
		for _, c := range contexts {
			ok, err := c.MayCallKfunc(id)
			if err != nil {
				return err
			}
			if ok {
				byName[name].Programs |= kernel.Programs(c.Type)
			}
		}
		if byName[name].Programs == 0 {
			byName[name].Unavailable = "no program type that was measured may call it"
		}
	}
	return nil
}

// finishKfunc derives from the flags what the verifier makes of them.
func finishKfunc(k *kernel.Prototype) {
	k.Flags |= kernel.GPLOnly // the verifier asks for the licence before it looks which kfunc it is
	if k.Name == "bpf_xdp_pull_data" {
		k.Flags |= kernel.ChangesPacket
	}
	if k.Flags.Has(kernel.RetNull) && k.Return.Type.Base() != kernel.RetInteger {
		k.Return.Type |= kernel.RetMaybeNull
	}
	if k.Flags.Has(kernel.Release) {
		// The one argument that may hold a reference: an object, not its size.
		for i := range k.Args {
			switch k.Args[i].Type.Base() {
			case kernel.ArgKernelPtr, kernel.ArgAlloc, kernel.ArgMem:
				k.Args[i].Type |= kernel.ArgRelease
				return
			}
		}
	}
}

func measureHelpers(spec *btf.Spec, helpers []*kernel.Prototype, mem *probe.Memory, syms *probe.Symbols, base uint64, data []byte, contexts []probe.Context) error {
	wanted := make(map[string]bool)
	for _, h := range helpers {
		for _, f := range formsOf(h.Name) {
			wanted[f] = true
		}
	}
	protos, err := probe.FindHelpers(spec, mem, syms, base, data, func(s string) bool { return wanted[s] })
	if err != nil {
		return err
	}
	maps, err := newStorage()
	if err != nil {
		return err
	}
	defer maps.Close()
	for _, h := range helpers {
		var found []probe.HelperProto
		for _, f := range formsOf(h.Name) {
			for _, p := range protos {
				if slices.Contains(p.Func, f) && !contains(found, p) && plausible(h.Name, p) {
					found = append(found, p)
				}
			}
		}
		if h.Name == "bpf_tail_call" { // no function: the verifier makes it an instruction
			found = []probe.HelperProto{{
				Args:   []kernel.Arg{{Type: kernel.ArgCtx}, {Type: kernel.ArgConstMapPtr}, {Type: kernel.ArgAnything}},
				Return: kernel.Return{Type: kernel.RetVoid},
			}}
		}
		if len(found) == 0 {
			h.Unavailable = "the kernel was built without it"
			h.Programs = 0
			continue
		}
		if err := assign(h, found, contexts, maps); err != nil {
			return fmt.Errorf("%s: %w", h.Name, err)
		}
	}
	return nil
}

func contains(list []probe.HelperProto, p probe.HelperProto) bool {
	return slices.ContainsFunc(list, func(q probe.HelperProto) bool {
		return reflect.DeepEqual(p.Args, q.Args) && p.Return == q.Return && p.Flags == q.Flags
	})
}

// plausible sorts out the forms of two helpers that share their functions.
func plausible(name string, p probe.HelperProto) bool {
	btfCtx := len(p.Args) > 0 && p.Args[0].Type.Base() == kernel.ArgBTFID
	switch name {
	case "bpf_perf_event_output":
		return !btfCtx
	case "bpf_skb_output", "bpf_xdp_output":
		return btfCtx
	}
	return true
}

// assign gives each program type the form that it sees.
func assign(h *kernel.Prototype, found []probe.HelperProto, contexts []probe.Context, maps *storage) error {
	sets := make([]kernel.ProgramSet, len(found))
	for _, c := range contexts {
		ok, err := c.MayCallHelper(h.ID)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		n, err := choose(h, found, c, maps)
		if err != nil {
			return err
		}
		sets[n] |= kernel.Programs(c.Type)
	}
	first := true
	var taken kernel.ProgramSet
	for i, p := range found {
		set := sets[i] &^ taken
		taken |= set
		if set == 0 && !(first && i == len(found)-1) {
			continue
		}
		form := h
		if !first {
			form = &kernel.Prototype{Args: slices.Clone(h.Args), Return: kernel.Return{C: h.Return.C}}
			h.Variants = append(h.Variants, form)
		}
		first = false
		if err := fill(form, h.Name, p); err != nil {
			return err
		}
		form.Programs = set
	}
	if h.AllPrograms() == 0 {
		h.Unavailable = "no program type that was measured may call it"
	}
	return nil
}

// fill writes a form of the kernel's into a prototype.
func fill(form *kernel.Prototype, name string, p probe.HelperProto) error {
	if len(p.Args) < len(form.Args) && form.Args[len(p.Args)].Name != "ctx" {
		// Declared with arguments that the kernel does not look at.
		form.Args = form.Args[:len(p.Args)]
	}
	form.Args = form.Args[:min(len(form.Args), len(p.Args))]
	for len(form.Args) < len(p.Args) {
		form.Args = append(form.Args, kernel.Arg{Name: fmt.Sprintf("arg%d", len(form.Args)+1), C: "__u64"})
	}
	for i, a := range p.Args {
		form.Args[i].Type, form.Args[i].BTF, form.Args[i].Size = a.Type, a.BTF, a.Size
	}
	form.Return.Type, form.Return.BTF = p.Return.Type, p.Return.BTF
	form.Flags = p.Flags
	if acquires[name] {
		form.Flags |= kernel.Acquire
	}
	if changesPacket[name] {
		form.Flags |= kernel.ChangesPacket
	}
	if slices.ContainsFunc(form.Args, func(a kernel.Arg) bool { return a.Type.Has(kernel.ArgRelease) }) {
		form.Flags |= kernel.Release
	}
	return nil
}

// choose tells which form a context sees, by what the verifier wants in the
// first argument that differs.
func choose(h *kernel.Prototype, found []probe.HelperProto, c probe.Context, maps *storage) (int, error) {
	if len(found) == 1 {
		return 0, nil
	}
	fits := make([]int, 0, len(found))
	for i := range found {
		fits = append(fits, i)
	}
	for arg := range 5 {
		if !differ(found, fits, arg) {
			continue
		}
		var before []asm.Instruction
		if arg > 0 {
			if found[0].Args[0].Type.Base() != kernel.ArgConstMapPtr {
				break
			}
			before = append(before, asm.LoadMapPtr(asm.R1, maps.sk.FD()))
		}
		text, err := c.Expected(h.ID, arg+1, before...)
		if err != nil {
			return 0, err
		}
		var left []int
		for _, i := range fits {
			class := kernel.ArgNone
			if arg < len(found[i].Args) {
				class = found[i].Args[arg].Type
			}
			if probe.Fits(class, text) {
				left = append(left, i)
			}
		}
		if len(left) == 0 {
			return 0, fmt.Errorf("%v: R%d is none of the known forms: %q", c, arg+1, text)
		}
		fits = left
	}
	if len(fits) > 1 {
		// Only flags differ: those of the form made for the type.
		for _, i := range fits {
			if madeFor(found[i], c) {
				return i, nil
			}
		}
	}
	return fits[0], nil
}

func differ(found []probe.HelperProto, fits []int, arg int) bool {
	class := func(i int) kernel.ArgType {
		if arg < len(found[i].Args) {
			return found[i].Args[arg].Type.Base()
		}
		return kernel.ArgNone
	}
	return slices.ContainsFunc(fits, func(i int) bool { return class(i) != class(fits[0]) })
}

func madeFor(p probe.HelperProto, c probe.Context) bool {
	want := map[ebpf.ProgramType]string{
		ebpf.SchedCLS: "_tc_", ebpf.SchedACT: "_tc_", ebpf.XDP: "_xdp_", ebpf.CGroupSockAddr: "_sock_addr_",
		ebpf.FlowDissector: "_flow_dissector_", ebpf.SkReuseport: "sk_reuseport_", ebpf.SkSKB: "sk_skb_",
		ebpf.RawTracepoint: "_raw_tp", ebpf.TracePoint: "_tp", ebpf.PerfEvent: "_pe", ebpf.Tracing: "_tracing",
		ebpf.CGroupSKB: "bpf_sk", ebpf.Kprobe: "_kprobe",
	}[c.Type]
	return want != "" && slices.ContainsFunc(p.Func, func(s string) bool { return hasWord(s, want) })
}

func hasWord(s, word string) bool {
	for i := 0; i+len(word) <= len(s); i++ {
		if s[i:i+len(word)] == word {
			return true
		}
	}
	return false
}

// storage is a map that a probe may name.
type storage struct{ sk *ebpf.Map }

func newStorage() (*storage, error) {
	m, err := ebpf.NewMap(&ebpf.MapSpec{
		Type: ebpf.SkStorage, KeySize: 4, ValueSize: 4, Flags: 1, // BPF_F_NO_PREALLOC
		Key: &btf.Int{Name: "int", Size: 4, Encoding: btf.Signed}, Value: &btf.Int{Name: "int", Size: 4, Encoding: btf.Signed},
	})
	if err != nil {
		return nil, errors.Join(errors.New("socket storage map"), err)
	}
	return &storage{m}, nil
}

func (s *storage) Close() { s.sk.Close() }

// acquires are the helpers whose result holds a reference, which the verifier
// knows by their numbers. A test loses the reference of each.
var acquires = set("bpf_sk_lookup_tcp", "bpf_sk_lookup_udp", "bpf_skc_lookup_tcp", "bpf_ringbuf_reserve", "bpf_kptr_xchg")

// changesPacket are the helpers after which packet pointers are void, which the
// verifier knows by their numbers. A test uses one after each.
var changesPacket = set(
	"bpf_skb_vlan_push", "bpf_skb_vlan_pop", "bpf_skb_store_bytes", "bpf_skb_change_proto",
	"bpf_skb_change_head", "bpf_skb_change_tail", "bpf_skb_pull_data", "bpf_skb_adjust_room",
	"bpf_clone_redirect", "bpf_l3_csum_replace", "bpf_l4_csum_replace", "bpf_xdp_adjust_head",
	"bpf_xdp_adjust_meta", "bpf_xdp_adjust_tail", "bpf_msg_pull_data", "bpf_msg_push_data",
	"bpf_msg_pop_data", "bpf_lwt_push_encap", "bpf_lwt_seg6_store_bytes", "bpf_lwt_seg6_adjust_srh",
	"bpf_lwt_seg6_action", "bpf_tail_call",
)

func set(names ...string) map[string]bool {
	m := make(map[string]bool)
	for _, n := range names {
		m[n] = true
	}
	return m
}
