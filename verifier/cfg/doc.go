// Package cfg is what the verifier finds out about a program before it walks it:
// functions, the control flow graph, where states are worth comparing, which
// registers and stack slots are read later. Start at Graph.
package cfg
