// Package dynptr has dynamic pointers: 16 bytes on a program's stack that stand
// for memory of a size known only when the program runs, be it a map value, a
// ring buffer sample, a packet or its metadata.
//
// The 16 bytes are laid out as the kernel's: what the dynptr is of, a word with
// type, read-only bit and size, and an offset. The machine keeps nothing beside
// them. The bytes of packets and ring buffers are reached through the helpers
// that programs use for these, so that both do the same; from the packet this
// package needs the Packet interface.
//
// Start at Register and Packet.
package dynptr
