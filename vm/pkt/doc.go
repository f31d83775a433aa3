// Package pkt is the packet that a program runs on, and the helpers that work
// on it or on the network around it.
//
// A Skb is what tc programs (and other types on struct __sk_buff) run on, an XDP
// what XDP programs do. Both are made as BPF_PROG_TEST_RUN makes them, unless
// told that the packet arrives on a device. A program's writes, and helpers,
// change them; after the run Data, CtxOut, Redirect and Clones say what has
// become of the packet.
//
// The bytes of a packet that a program may touch are one guest object of
// exactly that size. A helper after which the kernel's verifier forgets packet
// pointers moves the bytes to a new object, so that an old pointer faults.
//
// Start at NewSkb, NewXDP and Register.
package pkt
