// Package natgw is a NAT gateway in BPF: a router with an inside and an outside
// interface that translates IPv4 and IPv6, TCP and UDP, ICMP errors about them,
// port forwards and hairpin, on the kernel's connection tracking.
//
// natgw.c is the program. Load reads its compiled object; Config sets it up.
package natgw

//go:generate go run github.com/bpfct/bpfct/internal/bpfbuild natgw.c
