// Package netns is the state of a network namespace: its connection tracking
// table, devices, addresses, routes, neighbours and sockets, and the ids by
// which it knows other namespaces. It knows nothing of BPF and moves no packets;
// programs and the packet path read it. Start at New and Netns.
package netns
