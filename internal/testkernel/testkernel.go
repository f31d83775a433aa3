// Package testkernel decides whether a test that asks the running kernel may
// skip. It may where the kernel cannot be asked, and says why; with
// BPFCT_REQUIRE_KERNEL=1 it fails instead, so that CI cannot go green on
// comparisons that never ran.
package testkernel

import (
	"os"
	"testing"
)

// RequireEnv names the variable that turns skips into failures.
const RequireEnv = "BPFCT_REQUIRE_KERNEL"

// Require skips tb unless the running kernel has the conntrack kfuncs and this
// process may use them.
func Require(tb testing.TB) {
	tb.Helper()
	if reason := Missing(); reason != "" {
		Skip(tb, reason)
	}
}

// Skip skips tb because of reason, or fails it where the kernel is required.
func Skip(tb testing.TB, reason string) {
	tb.Helper()
	if os.Getenv(RequireEnv) == "1" {
		tb.Fatalf("%s=1, but %s", RequireEnv, reason)
	}
	tb.Skipf("needs the kernel: %s", reason)
}
