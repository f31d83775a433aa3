package errno

import (
	"errors"
	"fmt"
	"syscall"
	"testing"
)

func TestErrnoIsMatchesTheHostsNumber(t *testing.T) {
	err := fmt.Errorf("map counts: %w", EEXIST)
	if !errors.Is(err, EEXIST) || !errors.Is(err, syscall.EEXIST) {
		t.Fatalf("%v does not match EEXIST", err)
	}
	if errors.Is(err, EINVAL) || errors.Is(err, syscall.EINVAL) {
		t.Fatalf("%v matches EINVAL", err)
	}
}

func TestNeg(t *testing.T) {
	if got := int64(ENOENT.Neg()); got != -2 {
		t.Fatalf("ENOENT.Neg() = %d, want -2", got)
	}
}

func TestNames(t *testing.T) {
	for e, want := range map[Errno]string{EAFNOSUPPORT: "EAFNOSUPPORT", ENONET: "ENONET", 99999: "errno 99999"} {
		if got := e.Name(); got != want {
			t.Errorf("Name of %d is %q, want %q", uint32(e), got, want)
		}
	}
}
