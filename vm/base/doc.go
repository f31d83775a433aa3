// Package base has the helpers and kfuncs that need nothing but the machine:
// time, randomness, loops, text, locks, critical sections, iterators over numbers
// and bits, safe reads.
//
// Register adds them to a vm.Registry. Each function takes r1 to r5 as the kernel
// declares them; what Linux 6.18 answers to odd arguments was measured and is
// compared with the running kernel in the tests.
package base
