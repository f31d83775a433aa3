// Package bounds is arithmetic on what is known of a number: which of its bits
// (Tnum), and between which values it lies as signed or unsigned number of 64 or 32
// bits (Scalar). It knows nothing of BPF programs.
//
// Every operation is sound: the result of concrete numbers inside the operands lies
// inside the result. And it is exactly as precise as Linux' verifier, since logs and
// verdicts show it. Start at Scalar.
package bounds
