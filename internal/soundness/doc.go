// Package soundness proves the verifier against the machine: at each instruction that
// a program executes, each register must hold a value that the verifier thought
// possible there, and the sanitizer must have nothing to say of a program that was
// accepted.
//
// Start with Harness: it verifies the programs of an object, loads the accepted ones
// on a host and runs them on random packets.
package soundness
