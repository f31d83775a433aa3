// Package defrag puts IP fragments together and takes packets apart again, as
// Linux does before and after connection tracking.
//
// [New] makes a [Reassembler], [Reassembler.Push] gives it one packet after
// another. Time is jiffies of the owner's clock. Pieces of a packet that do not
// come together in time, overlap or contradict each other are dropped; the
// answer says why. [Fragment] is the way back.
//
// The package knows frames (package packet) and nothing else.
package defrag
