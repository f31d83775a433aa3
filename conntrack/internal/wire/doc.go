// Package wire asks the running kernel what it makes of packets: a network
// namespace that forwards between two TUN devices, with connection tracking
// on. It is a helper of tests.
//
// Whoever writes a packet to one device gets it from the other, or not, before
// the write returns. A rule set at the end of the way writes what the tracker
// said of the packet into its TTL.
package wire
