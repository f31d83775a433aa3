// Package cfg is what the verifier finds out about a program before it walks it, and
// needs no state for: its functions, the control flow, where states are worth
// comparing, loops, which registers are read later. LiveStack, which learns during
// the walk, says the same of stack slots.
//
// Start at Split, which finds the functions, and Build, which makes the Graph. The
// order of the steps and the words of a Fault are the kernel's.
package cfg
