// Package enginetest has one table of tests that every engine passes.
//
// An engine's own test calls Run, which needs nothing, and RunAsKernel, which runs
// the same programs on the kernel and compares; Benchmark and its like measure.
// No map or helper implementation is needed: an Env gives a program named objects and Go functions. Env is
// exported for tests of an engine that are of no use to others.
package enginetest
