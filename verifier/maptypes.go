package verifier

import (
	"slices"

	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct/internal/errno"
)

// Helpers that take only maps of some types, and maps that only some helpers take: the
// two halves of check_map_func_compatibility.
var (
	mapsOfHelper = map[string][]ebpf.MapType{
		"bpf_tail_call":                 {ebpf.ProgramArray},
		"bpf_perf_event_read":           {ebpf.PerfEventArray},
		"bpf_perf_event_output":         {ebpf.PerfEventArray},
		"bpf_perf_event_read_value":     {ebpf.PerfEventArray},
		"bpf_skb_output":                {ebpf.PerfEventArray},
		"bpf_xdp_output":                {ebpf.PerfEventArray},
		"bpf_ringbuf_output":            {ebpf.RingBuf},
		"bpf_ringbuf_reserve":           {ebpf.RingBuf},
		"bpf_ringbuf_query":             {ebpf.RingBuf},
		"bpf_ringbuf_reserve_dynptr":    {ebpf.RingBuf},
		"bpf_ringbuf_submit_dynptr":     {ebpf.RingBuf},
		"bpf_ringbuf_discard_dynptr":    {ebpf.RingBuf},
		"bpf_user_ringbuf_drain":        {ebpf.UserRingbuf},
		"bpf_get_stackid":               {ebpf.StackTrace},
		"bpf_current_task_under_cgroup": {ebpf.CGroupArray},
		"bpf_skb_under_cgroup":          {ebpf.CGroupArray},
		"bpf_redirect_map":              {ebpf.DevMap, ebpf.DevMapHash, ebpf.CPUMap, ebpf.XSKMap},
		"bpf_sk_redirect_map":           {ebpf.SockMap},
		"bpf_msg_redirect_map":          {ebpf.SockMap},
		"bpf_sock_map_update":           {ebpf.SockMap},
		"bpf_sk_redirect_hash":          {ebpf.SockHash},
		"bpf_msg_redirect_hash":         {ebpf.SockHash},
		"bpf_sock_hash_update":          {ebpf.SockHash},
		"bpf_get_local_storage":         {ebpf.CGroupStorage, ebpf.PerCPUCGroupStorage},
		"bpf_sk_select_reuseport":       {ebpf.ReusePortSockArray, ebpf.SockMap, ebpf.SockHash},
		"bpf_map_pop_elem":              {ebpf.Queue, ebpf.Stack},
		"bpf_map_peek_elem":             {ebpf.Queue, ebpf.Stack, bloomFilter},
		"bpf_map_push_elem":             {ebpf.Queue, ebpf.Stack, bloomFilter},
		"bpf_map_lookup_percpu_elem":    {ebpf.PerCPUArray, ebpf.PerCPUHash, ebpf.LRUCPUHash},
		"bpf_sk_storage_get":            {ebpf.SkStorage},
		"bpf_sk_storage_delete":         {ebpf.SkStorage},
		"bpf_inode_storage_get":         {ebpf.InodeStorage},
		"bpf_inode_storage_delete":      {ebpf.InodeStorage},
		"bpf_task_storage_get":          {ebpf.TaskStorage},
		"bpf_task_storage_delete":       {ebpf.TaskStorage},
		"bpf_for_each_map_elem":         {ebpf.Array, ebpf.PerCPUArray, ebpf.Hash, ebpf.PerCPUHash, ebpf.LRUHash, ebpf.LRUCPUHash},
	}
	helpersOfMap = map[ebpf.MapType][]string{
		ebpf.ProgramArray:   {"bpf_tail_call"},
		ebpf.PerfEventArray: {"bpf_perf_event_read", "bpf_perf_event_output", "bpf_skb_output", "bpf_perf_event_read_value", "bpf_xdp_output"},
		ebpf.RingBuf: {"bpf_ringbuf_output", "bpf_ringbuf_reserve", "bpf_ringbuf_query", "bpf_ringbuf_reserve_dynptr",
			"bpf_ringbuf_submit_dynptr", "bpf_ringbuf_discard_dynptr"},
		ebpf.UserRingbuf:         {"bpf_user_ringbuf_drain"},
		ebpf.StackTrace:          {"bpf_get_stackid"},
		ebpf.CGroupArray:         {"bpf_skb_under_cgroup", "bpf_current_task_under_cgroup"},
		ebpf.CGroupStorage:       {"bpf_get_local_storage"},
		ebpf.PerCPUCGroupStorage: {"bpf_get_local_storage"},
		ebpf.DevMap:              {"bpf_redirect_map", "bpf_map_lookup_elem"},
		ebpf.DevMapHash:          {"bpf_redirect_map", "bpf_map_lookup_elem"},
		ebpf.CPUMap:              {"bpf_redirect_map"},
		ebpf.XSKMap:              {"bpf_redirect_map", "bpf_map_lookup_elem"},
		ebpf.ArrayOfMaps:         {"bpf_map_lookup_elem"},
		ebpf.HashOfMaps:          {"bpf_map_lookup_elem"},
		ebpf.SockMap: {"bpf_sk_redirect_map", "bpf_sock_map_update", "bpf_msg_redirect_map", "bpf_sk_select_reuseport",
			"bpf_map_lookup_elem", "bpf_map_update_elem", "bpf_map_delete_elem"},
		ebpf.SockHash: {"bpf_sk_redirect_hash", "bpf_sock_hash_update", "bpf_msg_redirect_hash", "bpf_sk_select_reuseport",
			"bpf_map_lookup_elem", "bpf_map_update_elem", "bpf_map_delete_elem"},
		ebpf.ReusePortSockArray: {"bpf_sk_select_reuseport"},
		ebpf.Queue:              {"bpf_map_peek_elem", "bpf_map_pop_elem", "bpf_map_push_elem"},
		ebpf.Stack:              {"bpf_map_peek_elem", "bpf_map_pop_elem", "bpf_map_push_elem"},
		ebpf.SkStorage:          {"bpf_sk_storage_get", "bpf_sk_storage_delete", "bpf_kptr_xchg"},
		ebpf.InodeStorage:       {"bpf_inode_storage_get", "bpf_inode_storage_delete", "bpf_kptr_xchg"},
		ebpf.TaskStorage:        {"bpf_task_storage_get", "bpf_task_storage_delete", "bpf_kptr_xchg"},
		ebpf.CgroupStorage:      {"bpf_cgrp_storage_get", "bpf_cgrp_storage_delete", "bpf_kptr_xchg"},
		bloomFilter:             {"bpf_map_peek_elem", "bpf_map_push_elem"},
	}
)

// bloomFilter is BPF_MAP_TYPE_BLOOM_FILTER, which cilium/ebpf does not name.
const bloomFilter = ebpf.MapType(30)

// checkMapType refuses a map that the helper does not take.
func (e *env) checkMapType(c *call) error {
	if c.m == nil {
		return nil
	}
	t := c.m.Spec.Type
	if list, ok := helpersOfMap[t]; ok && !slices.Contains(list, c.name) {
		return e.wrongMap(c)
	}
	if list, ok := mapsOfHelper[c.name]; ok && !slices.Contains(list, t) {
		return e.wrongMap(c)
	}
	if c.name == "bpf_tail_call" && len(e.subprogs) > 1 && !e.tailCallsInSubprogs() {
		return e.reject(errno.EINVAL, "mixing of tail_calls and bpf-to-bpf calls is not supported")
	}
	return nil
}

func (e *env) wrongMap(c *call) error {
	return e.reject(errno.EINVAL, "cannot pass map_type %d into func %s#%d", uint32(c.m.Spec.Type), c.name, c.id)
}

// tailCallsInSubprogs reports whether the machine's JIT lets functions of a program
// make tail calls: that of x86-64 and arm64 does.
func (e *env) tailCallsInSubprogs() bool { return true }
