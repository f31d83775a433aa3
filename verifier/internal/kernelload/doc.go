// Package kernelload asks the running kernel's verifier about raw instructions, for
// tests that compare it with ours. It is used by tests alone. Start at Load.
package kernelload
