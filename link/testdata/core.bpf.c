// CO-RE relocations of every kind.
#include "defs.h"

struct iphdr___flavour {
	__u8 ihl : 4;
	__u8 version : 4;
	__u8 tos;
} CORE;

struct nf_conn {
	unsigned long status;
	__u32 mark;
	__u32 no_such_field;
} CORE;

struct no_such_struct {
	int x;
} CORE;

struct bpf_ct_opts {
	__u16 ct_zone_id;
} CORE;

enum nf_nat_manip_type___local { NF_NAT_MANIP_SRC___local, NF_NAT_MANIP_DST___local };
enum nf_nat_manip_type___bad { NF_NAT_MANIP_UNHEARD_OF = 7 };

struct own {
	__u64 a;
	__u64 b;
};

volatile __u64 out[16];

SEC("tc")
int info(struct __sk_buff *skb)
{
	struct nf_conn *ct = 0;
	struct bpf_ct_opts *opts = 0;

	out[0] = field_exists(ct->mark);
	out[1] = field_exists(ct->no_such_field);
	out[2] = type_exists(struct nf_conn);
	out[3] = type_exists(struct no_such_struct);
	out[4] = type_size(struct nf_conn);
	out[5] = type_id_local(struct own);
	out[6] = type_id_kernel(struct nf_conn);
	out[7] = enum_exists(enum nf_nat_manip_type___local, NF_NAT_MANIP_DST___local);
	out[8] = enum_value(enum nf_nat_manip_type___local, NF_NAT_MANIP_DST___local);
	out[9] = enum_exists(enum nf_nat_manip_type___bad, NF_NAT_MANIP_UNHEARD_OF);
	out[10] = __builtin_preserve_field_info(opts->ct_zone_id, 0);
	out[11] = field_exists(opts->ct_zone_id);
	return 0;
}

SEC("tc")
int bitfield(struct __sk_buff *skb)
{
	struct iphdr___flavour *ip = (void *)(long)skb->mark;

	out[0] = __builtin_preserve_field_info(ip->version, 0);
	out[1] = __builtin_preserve_field_info(ip->version, 1);
	out[2] = __builtin_preserve_field_info(ip->version, 4);
	out[3] = __builtin_preserve_field_info(ip->version, 5);
	return 0;
}

SEC("tc")
int poisoned(struct __sk_buff *skb)
{
	struct nf_conn *ct = (void *)(long)skb->mark;

	if (field_exists(ct->no_such_field))
		return ct->no_such_field;
	return 1;
}
