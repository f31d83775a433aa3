// Package explain says what a refusal of the verifier means for the C source: what is
// wrong in plain words, the lines that lead there, and what usually mends it.
//
// The refusals that it knows are a catalogue of classes (Classes), each with the
// kernel's messages, words and a page in docs/errors that is made from a test. How a
// program got to the refusal is read from the log at level 1, which is that path and
// nothing else, so that a log of the kernel's does as well as one of package verifier.
// Start at Explain.
package explain
