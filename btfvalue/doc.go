// Package btfvalue turns the bytes of a C value into plain Go values and back, by
// its BTF type: what the command line prints of variables and maps, and what it
// reads map contents from.
//
// Start at Decode; Encode is the way back.
package btfvalue
