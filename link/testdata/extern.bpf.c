// Kernel configuration and kernel variables.
#include "defs.h"

enum libbpf_tristate { TRI_NO = 0, TRI_YES = 1, TRI_MODULE = 2 };

extern unsigned LINUX_KERNEL_VERSION __kconfig;
extern unsigned long CONFIG_HZ __kconfig;
extern bool CONFIG_BPF_SYSCALL __kconfig;
extern enum libbpf_tristate CONFIG_NF_CONNTRACK __kconfig;
extern char CONFIG_DEFAULT_HOSTNAME[8] __kconfig;
extern int CONFIG_SURELY_NOT_THERE __kconfig __weak;

extern const int bpf_prog_active __ksym;
extern const void jiffies __ksym;
extern const int no_such_variable __ksym __weak;

volatile __u64 out[16];

SEC("tc")
int kconfig(struct __sk_buff *skb)
{
	out[0] = LINUX_KERNEL_VERSION;
	out[1] = CONFIG_HZ;
	out[2] = CONFIG_BPF_SYSCALL;
	out[3] = CONFIG_NF_CONNTRACK;
	out[4] = CONFIG_DEFAULT_HOSTNAME[1];
	out[5] = CONFIG_SURELY_NOT_THERE;
	return 0;
}

SEC("tc")
int ksyms(struct __sk_buff *skb)
{
	out[0] = (__u64)&bpf_prog_active;
	out[1] = (__u64)&jiffies;
	out[2] = (__u64)&no_such_variable;
	return 0;
}
