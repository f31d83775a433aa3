package live_test

import (
	"os"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct/internal/testkernel"
	"github.com/bpfct/bpfct/live"
)

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		childMain()
		return
	}
	os.Exit(m.Run())
}

// require skips tb where programs cannot be run on the kernel.
func require(tb testing.TB) {
	tb.Helper()
	testkernel.Require(tb)
	if err := live.Available(); err != nil {
		testkernel.Skip(tb, err.Error())
	}
}

// newHost makes a host that is closed with the test; it skips without a kernel.
func newHost(tb testing.TB, opts live.Options) *live.Host {
	tb.Helper()
	require(tb)
	h, err := live.NewHost(opts)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := h.Close(); err != nil {
			tb.Error(err)
		}
	})
	return h
}

// loadSpec reads a committed object.
func loadSpec(tb testing.TB, path string) *ebpf.CollectionSpec {
	tb.Helper()
	spec, err := ebpf.LoadCollectionSpec(path)
	if err != nil {
		tb.Fatal(err)
	}
	return spec
}
