// What the test programs need of the kernel, declared by hand.
#pragma once

typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;
typedef int __s32;
typedef _Bool bool;

#define SEC(name) __attribute__((section(name), used))
#define __weak __attribute__((weak))
#define __ksym __attribute__((section(".ksyms")))
#define __kconfig __attribute__((section(".kconfig")))
#define __kptr __attribute__((btf_type_tag("kptr")))
#define __noinline __attribute__((noinline))
#define __uint(name, val) int(*name)[val]
#define __type(name, val) typeof(val) *name
#define CORE __attribute__((preserve_access_index))

#define field_exists(f) __builtin_preserve_field_info(f, 2)
#define type_exists(t) __builtin_preserve_type_info(*(typeof(t) *)0, 0)
#define type_size(t) __builtin_preserve_type_info(*(typeof(t) *)0, 1)
#define type_id_local(t) __builtin_btf_type_id(*(typeof(t) *)0, 0)
#define type_id_kernel(t) __builtin_btf_type_id(*(typeof(t) *)0, 1)
#define enum_exists(t, v) __builtin_preserve_enum_value(*(typeof(t) *)v, 0)
#define enum_value(t, v) __builtin_preserve_enum_value(*(typeof(t) *)v, 1)
#define ksym_exists(f) ({ _Static_assert(!__builtin_constant_p(!!f), #f " is weak"); !!f; })

struct __sk_buff {
	__u32 len;
	__u32 pkt_type;
	__u32 mark;
};

struct xdp_md {
	__u32 data;
	__u32 data_end;
};

static void *(*bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
static __u64 (*bpf_ktime_get_ns)(void) = (void *)5;
static long (*bpf_loop)(__u32 n, void *fn, void *ctx, __u64 flags) = (void *)181;

char _license[] SEC("license") = "GPL";
