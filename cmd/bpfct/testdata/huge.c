// A map that no machine has the memory for.
#include "bpfct.h"

BPFCT_LICENSE;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 100000000);
	__type(key, u32);
	__type(value, u64[100]);
} huge SEC(".maps");

SEC("tc")
int use(struct __sk_buff *skb)
{
	u32 key = 0;

	return bpf_map_lookup_elem(&huge, &key) ? 1 : 0;
}
