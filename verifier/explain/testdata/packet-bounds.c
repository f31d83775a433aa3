//go:build ignore

/* SPDX-License-Identifier: MIT */
#include "bpfct.h"

BPFCT_LICENSE;

SEC("xdp")
int read_port(struct xdp_md *ctx)
{
	char *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;

	if (data + sizeof(struct ethhdr) + sizeof(struct iphdr) > end)
		return XDP_PASS;
	return data[sizeof(struct ethhdr) + sizeof(struct iphdr) + 2] ? XDP_PASS : XDP_DROP;
}
