package vm

import (
	"bytes"
	"testing"
)

func TestCopyUnseen(t *testing.T) {
	for n := range 40 {
		for from := range 30 {
			for to := range 30 {
				b := make([]byte, 80)
				for i := range b {
					b[i] = byte(i)
				}
				want := bytes.Clone(b)
				copy(want[to:to+n], want[from:from+n])
				copyUnseen(b[to:to+n], b[from:from+n])
				if !bytes.Equal(b, want) {
					t.Fatalf("%d bytes from %d to %d: got %v, want %v", n, from, to, b, want)
				}
			}
		}
	}
	if Copy(nil, nil) != 0 || Copy(make([]byte, 3), make([]byte, 5)) != 3 {
		t.Error("Copy counts wrongly")
	}
	b := []byte{1, 2, 3}
	if Clear(b); !bytes.Equal(b, make([]byte, 3)) {
		t.Errorf("cleared bytes are %v", b)
	}
}
